import type { Files } from '../host/files.ts';
import { type Address, type Family, parseAddress } from '../net/address.ts';
import { type Port, parsePort } from '../net/port.ts';
import type { ProcSocket } from './proc-address.ts';
import { processText } from './process-text.ts';
import { readAnybodys } from './read-anybodys.ts';
import { portOf, rootsListeners, SSH_SERVERS, tcpSockets } from './tcp-sockets.ts';

/** Units by which systemd listens for sshd, and their folders (systemd.unit(5)). */
const SOCKET_UNITS = ['ssh.socket', 'sshd.socket', 'dropbear.socket'];
const UNIT_FOLDERS = [
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator',
  '/run/systemd/system',
  '/etc/systemd/system',
];

/** A listening place of an sshd: one address, or any of a family. */
export interface Door {
  readonly families: readonly Family[];
  readonly address: Address | undefined;
  readonly port: Port;
}

/** Returns the ports at which systemd starts an sshd per connection (systemd.socket(5)). */
function activatedPorts(files: Files): readonly number[] {
  return SOCKET_UNITS.flatMap((unit) =>
    UNIT_FOLDERS.flatMap((folder) => [
      `${folder}/${unit}`,
      ...files.list(`${folder}/${unit}.d`).map((name) => `${folder}/${unit}.d/${name}`),
    ]),
  ).flatMap((path) =>
    [...readAnybodys(files, path).matchAll(/^ListenStream=(?:\S*:)?(\d+)\s*$/gm)].map(([, port]) =>
      Number(port),
    ),
  );
}

/** Returns the sockets of a process, by inode. */
function inodesOf(files: Files, pid: string): readonly number[] {
  const folder = `/proc/${pid}/fd`;
  // The link's target is no path: only its last part is meaningful.
  return files.list(folder).flatMap((name) => {
    const [, inode] = /\/socket:\[(\d+)\]$/.exec(files.place(`${folder}/${name}`) ?? '') ?? [];
    return inode === undefined ? [] : [Number(inode)];
  });
}

/**
 * Returns the listening places of every sshd of root's in our network namespace, without those on
 * loopback.
 */
export function sshDoors(files: Files): readonly Door[] {
  const listeners = rootsListeners(tcpSockets(files));
  if (listeners.length === 0) return [];
  const pids = files.list('/proc').filter((name) => /^\d+$/.test(name));
  const servers = pids.filter((pid) =>
    SSH_SERVERS.includes(processText(files, pid, 'comm').trim()),
  );
  const served = new Set(servers.flatMap((pid) => inodesOf(files, pid)));
  const isSystemd = processText(files, 1, 'comm').trim() === 'systemd';
  const activated = isSystemd ? activatedPorts(files) : [];
  const waiting = new Set(activated.length > 0 ? inodesOf(files, '1') : []);
  return listeners
    .filter(
      (each) =>
        served.has(each.inode) || (waiting.has(each.inode) && activated.includes(portOf(each))),
    )
    .flatMap(doorOf);
}

function doorOf(socket: ProcSocket): readonly Door[] {
  const [address, port] = [
    parseAddress(socket.here.split(' ')[0] ?? ''),
    parsePort(String(portOf(socket))),
  ];
  if (address === undefined || port === undefined || /^(127\.|::1$)/.test(address.text)) return [];
  if (address.text === '0.0.0.0') return [{ families: ['ipv4'], address: undefined, port }];
  if (address.text === '::') return [{ families: ['ipv4', 'ipv6'], address: undefined, port }];
  return [{ families: [address.family], address, port }];
}

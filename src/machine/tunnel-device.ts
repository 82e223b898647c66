import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { list, object, optional, parseState, text } from './schema.ts';

export const CLASS = '/sys/class/net';
/** A file in the folder of interfaces that is none (drivers/net/bonding/bond_sysfs.c). */
const BONDING = 'bonding_masters';
/** ARPHRD_NONE (linux/if_arp.h). */
const NO_LINK_LAYER = '65534';
/**
 * The kinds of interface that OpenVPN makes: drivers/net/tun.c, drivers/net/ovpn of Linux 6.16, and
 * the module ovpn-dco before it.
 */
const KINDS: readonly string[] = ['tun', 'ovpn', 'ovpn-dco'];

/** Returns the interfaces of our network namespace. */
export function devices(files: Files): ReadonlySet<string> {
  const names = (files.read(PATHS.devices) ?? '')
    .split('\n')
    .flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
  return new Set(names);
}

/**
 * The kind of an interface: `tunnel` if OpenVPN can have made it, `other` (loopback, a card, a
 * bridge, a VLAN, another VPN), or `absent`. Where /sys shows another network namespace, ip(8)
 * decides; in doubt it is `other`.
 */
export type DeviceKind = 'tunnel' | 'other' | 'absent';

/** /sys belongs to the network namespace of the process that mounted it, /proc/net to ours. */
function sysIsOurs(files: Files, present: ReadonlySet<string>): boolean {
  const shown = files.list(CLASS).filter((name) => name !== BONDING);
  return shown.length === present.size && shown.every((name) => present.has(name));
}

/** Reads the kind from /sys; undefined where only ip(8) can tell, as for the module ovpn-dco. */
function kindBySys(files: Files, device: InterfaceName): DeviceKind | undefined {
  const path = `${CLASS}/${device}`;
  if (files.exists(`${path}/tun_flags`)) return 'tunnel';
  if (files.read(`${path}/type`)?.trim() !== NO_LINK_LAYER || files.exists(`${path}/device`))
    return 'other';
  const [, kind] = /^DEVTYPE=(.*)$/m.exec(files.read(`${path}/uevent`) ?? '') ?? [];
  return kind === undefined ? undefined : kind === 'ovpn' ? 'tunnel' : 'other';
}

const LINKS = list(
  object({ linkinfo: optional(object({ info_kind: text((kind) => kind, 'a kind') })) }),
);

/** Returns an interface's driver by ip(8); undefined for hardware, and where ip shows none. */
function driverByIp(processes: Processes, device: string): string | undefined {
  const { status, stdout } = processes.run({
    program: 'ip',
    args: ['-json', '-details', 'link', 'show', 'dev', device],
  });
  const links = status === 0 ? parseState(stdout, LINKS) : undefined;
  const [link] = links !== undefined && 'value' in links ? links.value : [];
  return link?.linkinfo?.info_kind;
}

/**
 * Whether an interface belongs to the kernel's module ovpn, which names its kind
 * (drivers/net/ovpn/main.c).
 */
export function isOvpnDevice(
  host: Host,
  device: string,
  present: ReadonlySet<string> = devices(host),
): boolean {
  if (!present.has(device)) return false;
  if (!sysIsOurs(host, present)) return driverByIp(host, device) === 'ovpn';
  return (host.read(`${CLASS}/${device}/uevent`) ?? '').split('\n').includes('DEVTYPE=ovpn');
}

/**
 * Whether the kernel reports an interface as down (RFC 2863, ifOperStatus); false where /sys shows
 * another network namespace.
 */
export function isDownDevice(
  files: Files,
  device: string,
  present: ReadonlySet<string> = devices(files),
): boolean {
  return sysIsOurs(files, present) && files.read(`${CLASS}/${device}/operstate`)?.trim() === 'down';
}

function kindByDriver(processes: Processes, device: InterfaceName): DeviceKind {
  return KINDS.includes(driverByIp(processes, device) ?? '') ? 'tunnel' : 'other';
}

/** `present` are the interfaces of our network namespace. */
export function deviceKind(
  host: Host,
  device: InterfaceName,
  present: ReadonlySet<string> = devices(host),
): DeviceKind {
  if (!present.has(device)) return 'absent';
  return (
    (sysIsOurs(host, present) ? kindBySys(host, device) : undefined) ?? kindByDriver(host, device)
  );
}

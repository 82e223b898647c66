import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, must, ran, ruleLines, useMachine } from '../hooks/installed-machine.ts';

const SOON = { timeout: patiently(20_000), interval: 50 };
const ACCOUNT = '61236';
const NETWORK = `
set -e
ip netns add client
ip link add eth0 type veth peer name eth0 netns client
ip addr add 203.0.113.5/24 dev eth0; ip link set eth0 up
ip -n client addr add 203.0.113.7/24 dev eth0; ip -n client link set eth0 up; ip -n client link set lo up
ip tuntap add tun0 mode tun
`;

/**
 * Accepts connections at a port under a program's name; the first has a command run below it, as
 * sshd(8) would.
 */
const SERVER = `
const [title, port, command] = process.argv.slice(1);
process.title = title;
console.log('pid ' + process.pid);
const sockets = [];
require('node:net').createServer((socket) => {
  sockets.push(socket.on('error', () => undefined));
  console.log('accepted');
  if (command === '') return;
  const env = { SSH_CONNECTION: [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort].join(' ').replaceAll('::ffff:', '') };
  require('node:child_process').spawn('sh', ['-c', command], { env, stdio: ['ignore', 'inherit', 'inherit'] }).on('close', () => console.log('ended'));
}).listen(Number(port), '0.0.0.0', () => console.log('listens'));
`;
const CONNECT = `console.log('pid ' + process.pid);
const [host, port, localPort] = process.argv.slice(1);
require('node:net').connect({ host, port: Number(port), localPort: Number(localPort) }).on('connect', () => console.log('open')).on('error', () => undefined)`;

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    must(fresh.sh(NETWORK));
    fresh.relock(
      `KILLSWITCH_BACKEND=${backend}`,
      'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
      'KILLSWITCH_LAN=off',
    );
    must(fresh.command('unlock'));
  });
  const started: { readonly child: ChildProcess; readonly lines: readonly string[] }[] = [];
  /** nsenter(1) is what was started here: the program itself says its number. */
  const stop = ({ child, lines }: (typeof started)[number]) => {
    const [, pid] = /^pid (\d+)$/m.exec(lines.join('\n')) ?? [];
    if (pid !== undefined) machine().run('kill', '-9', pid);
    child.kill('SIGKILL');
  };
  afterEach(() => {
    for (const each of started.splice(0)) stop(each);
    machine().command('unlock');
  });

  /** Leaves a program of Node's running; what it says. */
  const start = (
    script: string,
    args: readonly string[],
    { as = '0', at }: { as?: string; at?: string } = {},
  ) => {
    const lines: string[] = [];
    // execve(2) keeps the process: killing it ends the program.
    const words = [
      'setpriv',
      '--reuid',
      as,
      '--clear-groups',
      process.execPath,
      '-e',
      script,
      ...args,
    ];
    const child = machine().sandbox.start(words, at === undefined ? {} : { at });
    if (child.stdout === null) throw new Error('no output');
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    started.push({ child, lines });
    return { child, lines };
  };
  const kept = () =>
    ruleLines(machine().rules()).filter(
      (line) =>
        line.includes('ssh-session') && !line.endsWith('{}') && !/-[jN] KILLSWITCH-SSH/.test(line),
    );
  const lockWith = (session: string) =>
    machine().run(
      '/usr/bin/env',
      `SSH_CONNECTION=${session}`,
      '/usr/local/sbin/ovpn-killswitch',
      'lock',
      '--force',
      '--yes',
    );

  test.each([
    ['that an account listens for', ACCOUNT, '2222', '40001'],
    ['that root has accepted without having started the command', '0', '23', '40002'],
  ])(
    'a connection %s is not kept, whatever SSH_CONNECTION says',
    async (_, as, port, localPort) => {
      const server = start(SERVER, ['sshd', port, ''], { as });
      await expect.poll(() => server.lines, SOON).toContain('listens');
      const client = start(CONNECT, ['203.0.113.5', port, localPort], { at: 'client' });
      await expect.poll(() => client.lines, SOON).toContain('open');
      const locked = lockWith(`203.0.113.7 ${localPort} 203.0.113.5 ${port}`);
      expect(locked.status, ran(locked)).toBe(0);
      expect(kept()).toEqual([]);
      expect(machine().status()).toMatchObject({ state: 'blocked', exact: true, sshSessions: [] });
    },
  );

  test("an account's connection to a server outside is not kept", async () => {
    const server = start(SERVER, ['sshd', '22', ''], { at: 'client' });
    await expect.poll(() => server.lines, SOON).toContain('listens');
    const own = start(CONNECT, ['203.0.113.7', '22', '40003'], { as: ACCOUNT });
    await expect.poll(() => own.lines, SOON).toContain('open');
    const locked = lockWith('203.0.113.7 22 203.0.113.5 40003');
    expect(locked.status, ran(locked)).toBe(0);
    expect(kept()).toEqual([]);
  });

  test('a session that sshd serves is kept, status shows it, and the next hook takes its rule away when it has ended', async () => {
    const server = start(SERVER, [
      'sshd',
      '22',
      '/usr/local/sbin/ovpn-killswitch lock --force --yes',
    ]);
    await expect.poll(() => server.lines, SOON).toContain('listens');
    const client = start(CONNECT, ['203.0.113.5', '22', '40004'], { at: 'client' });
    await expect.poll(() => server.lines, SOON).toContain('ended');
    expect(kept().length, server.lines.join('\n')).toBeGreaterThan(0);
    expect(machine().status()).toMatchObject({
      exact: true,
      sshSessions: ['203.0.113.7 40004 203.0.113.5 22'],
    });
    must(machine().hook('up', tunnelCall('tun0')));
    expect(kept().length).toBeGreaterThan(0);
    stop(client);
    stop(server);
    await expect
      .poll(() => machine().sh('grep -c " 01 " /proc/net/tcp').stdout.trim(), SOON)
      .toBe('0');
    must(machine().hook('down', tunnelCall('tun0')));
    expect(kept()).toEqual([]);
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true, sshSessions: [] });
    expect(machine().list('/run/ovpn-killswitch')).not.toContain('ssh-sessions');
  });
});

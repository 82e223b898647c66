import { afterAll, describe, expect, test } from 'vitest';
import { BACKENDS, must, ran, useMachine } from '../hooks/installed-machine.ts';

const NETWORK = `
set -e
ip netns add client
ip link add eth0 type veth peer name eth0 netns client
ip addr add 203.0.113.5/24 dev eth0; ip link set eth0 up
ip -n client addr add 203.0.113.7/24 dev eth0; ip -n client link set eth0 up; ip -n client link set lo up
`;
/** Listens as sshd(8) does, under its name. */
const SSHD = `process.title = 'sshd';
require('node:net').createServer((socket) => socket.on('error', () => undefined))
  .listen(22, '0.0.0.0', () => require('node:fs').writeFileSync('/run/sshd', String(process.pid)))`;
/** Logs in anew, or gives up soon. */
const LOGIN = `const socket = require('node:net').connect({ host: '203.0.113.5', port: 22 });
const end = (word) => () => { console.log(word); process.exit(); };
socket.on('connect', end('open')).on('error', end('refused')); setTimeout(end('shut'), 1000)`;
const SESSION = 'SSH_CONNECTION=203.0.113.7 40001 203.0.113.5 22';
const LOCK = '/usr/local/sbin/ovpn-killswitch lock';
const LINES = ['KILLSWITCH_LAN=203.0.113.7:22/tcp', 'KILLSWITCH_LAN_INBOUND=22/tcp'];

describe.each(BACKENDS)('with %s', (backend) => {
  const settings = [`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'];
  let pid = '';
  const machine = useMachine((fresh) => {
    must(fresh.sh(NETWORK));
    fresh.settings(...settings);
    fresh.sandbox.start([process.execPath, '-e', SSHD]);
    pid = must(fresh.sh('until test -s /run/sshd; do sleep 0.05; done; cat /run/sshd')).stdout;
  });
  afterAll(() => {
    if (pid !== '') machine().run('kill', pid);
  });

  const overSsh = (...flags: readonly string[]) =>
    machine().run('/usr/bin/env', SESSION, ...LOCK.split(' '), ...flags);
  const atTerminal = (typed: string) =>
    machine().sh(`printf '%s\\n' '${typed}' | env '${SESSION}' script -qec '${LOCK}' /dev/null`);
  const logsIn = () =>
    machine().sandbox.run([process.execPath, '-e', LOGIN], { at: 'client' }).stdout.trim();

  test('over SSH and without a terminal it is refused, with the lines that let the login in and the flags that lock all the same', () => {
    const refused = overSsh();
    expect(refused.status, ran(refused)).toBe(78);
    for (const text of [...LINES, '203.0.113.7', '--confirm', '--yes', 'State now: OPEN'])
      expect(refused.stderr).toContain(text);
    expect(machine().status().state).toBe('unlocked');
    expect(logsIn()).toBe('open');
  });

  test('on a terminal it is asked about once; only "yes" or a time locks', () => {
    const no = atTerminal('no');
    expect(no.status, ran(no)).toBe(78);
    expect(no.stdout.split('Lock all the same?').length - 1).toBe(1);
    expect(machine().status().state).toBe('unlocked');
    const timed = atTerminal('1h');
    expect(timed.status, ran(timed)).toBe(0);
    expect(timed.stdout).toContain('It opens again in 3600 s');
    must(machine().command('unlock'));
    const yes = atTerminal('yes');
    expect(yes.status, ran(yes)).toBe(0);
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true });
    expect(logsIn()).toBe('shut');
  });

  test('a lock that makes it no worse is not asked about, nor one that was agreed to by a flag', () => {
    must(overSsh());
    must(machine().command('unlock'));
    must(overSsh('--yes'));
    must(machine().command('unlock'));
    must(overSsh('--confirm', '1h'));
    must(machine().command('confirm'));
  });

  test('doctor and boot enable name the same lines', () => {
    const found = JSON.parse(machine().command('doctor', '--json').stdout) as readonly {
      readonly what: string;
      readonly fix: string;
    }[];
    const [login, ...more] = found.filter(({ what }) => what.includes('SSH login'));
    expect(more).toEqual([]);
    expect(login?.what).toContain('port 22');
    expect(login?.fix).toContain('KILLSWITCH_LAN_INBOUND=22/tcp');
    const boot = machine().run(
      '/usr/bin/env',
      SESSION,
      '/usr/local/sbin/ovpn-killswitch',
      'boot',
      'enable',
      '--with',
      'plain',
    );
    for (const line of LINES) expect(boot.stdout, ran(boot)).toContain(line);
  });

  test('with the lines that were named nothing is asked, and the login comes in', () => {
    machine().settings(...settings, ...LINES);
    const locked = overSsh();
    expect(locked.status, ran(locked)).toBe(0);
    expect(locked.stdout).not.toContain('WARNING');
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true });
    expect(logsIn()).toBe('open');
  });
});

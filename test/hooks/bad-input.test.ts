import { afterEach, describe, expect, test } from 'vitest';
import type { Ran } from '../../src/host/sandbox.ts';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  hookArgv,
  LOG,
  must,
  type Rules,
  ran,
  ruleLines,
  SETTINGS,
  STATE,
  TUNNELS,
  useMachine,
  withoutEnded,
} from './installed-machine.ts';
import { hideHere, mountHere, undoAll } from './obstacles.ts';

const NOBODY = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
const FILTERS = ['nft', 'iptables-save', 'iptables-restore', 'ip6tables-save', 'ip6tables-restore'];

const accepts = (rules: Rules) =>
  ruleLines(rules).filter((line) => /accept/i.test(line) && !/policy/i.test(line));

function expectError(ended: Ran, status: number, ...said: readonly string[]): void {
  expect(ended.status, ran(ended)).toBe(status);
  for (const words of said) expect(ended.stderr).toContain(words);
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  expect(ended.stderr).not.toContain('[INTERNAL]');
}

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine();
  const setting = `KILLSWITCH_BACKEND=${backend}`;
  const call = tunnelCall('tun0');
  afterEach(() => {
    undoAll(machine());
  });

  test('three mistakes in the settings are named together, with their lines, and the rules stay', () => {
    const it = machine();
    it.relock(setting);
    const blocked = it.rules();
    must(it.hook('up', call));
    const connected = it.rules();
    it.settings(
      'KILLSWITCH_BACKEND=nft',
      'KILLSWITCH_LAN=everything',
      '# a comment',
      'KILLSWITCH_COLOUR=blue',
    );
    const named = [
      'the settings have 3 problems',
      `${SETTINGS}:1: KILLSWITCH_BACKEND is "nft"`,
      `${SETTINGS}:2: KILLSWITCH_LAN`,
      `${SETTINGS}:4: KILLSWITCH_COLOUR`,
    ];
    expectError(it.command('lock', '--force'), 78, ...named);
    expectError(it.hook('up', tunnelCall('tun1')), 78, ...named);
    // Told the same as the up before the mistakes, it would end before it reads the settings.
    const more = { route_network_1: '10.66.0.0', route_netmask_1: '255.255.0.0' };
    expectError(it.hook('route-up', { argv: [], env: { ...call.env, ...more } }), 0, ...named);
    expect(it.rules()).toEqual(connected);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true, settingsChanged: true });
    // The settings that the last lock read are in force: a tunnel's end needs nothing of the file.
    must(it.hook('down', call));
    expect(withoutEnded(it.rules())).toEqual(blocked);
    it.settings(setting);
    must(it.command('lock', '--force'));
    expect(it.status()).toMatchObject({
      state: 'blocked',
      exact: true,
      tunnels: [],
      settingsChanged: false,
    });
  });

  test('a damaged settings file never keeps anybody from unlocking', () => {
    const it = machine();
    it.relock(setting);
    it.settings('\u0000\u0001 nonsense', 'KILLSWITCH_LAN');
    must(it.command('unlock'));
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
  });

  test('a user who is not root is told to use sudo, and changes nothing', (context) => {
    const it = machine();
    if (!it.sandbox.hasOtherUsers) context.skip('there is no other user here');
    it.relock(setting);
    const base = it.rules();
    for (const name of ['lock', 'unlock', 'status', 'recover', 'uninstall', 'install'])
      expectError(
        it.run(...NOBODY, '/usr/local/sbin/ovpn-killswitch', name),
        77,
        `"${name}" needs root`,
        name === 'install' ? 'ovpn-killswitch/cli.js install' : `sudo ovpn-killswitch ${name}`,
      );
    expect(it.rules()).toEqual(base);
  });

  test('a hook without root ends with 0, changes nothing and says so', (context) => {
    const it = machine();
    if (!it.sandbox.hasOtherUsers) context.skip('there is no other user here');
    it.relock(setting);
    const base = it.rules();
    for (const hook of ['up', 'route-up', 'down'] as const)
      expectError(
        it.run(...NOBODY, ...hookArgv(hook, hook === 'route-up' ? { ...call, argv: [] } : call)),
        0,
        'runs without root',
      );
    expect(it.rules()).toEqual(base);
    must(it.hook('up', call));
    const connected = it.rules();
    expectError(
      it.run(...NOBODY, ...hookArgv('route-up', { ...call, argv: [] })),
      0,
      'the loaded rules still fit',
    );
    expectError(it.run(...NOBODY, ...hookArgv('down', call)), 0, 'runs without root');
    expect(it.rules()).toEqual(connected);
    must(it.hook('down', call));
  });

  test('without any packet filter the package to install is named', () => {
    const it = machine();
    it.relock(setting);
    must(it.hook('up', call));
    const connected = it.rules();
    const show = hideHere(it, ...FILTERS);
    const packages = backend === 'iptables' ? 'apt install iptables' : 'apt install nftables';
    expectError(it.command('lock', '--force'), 69, 'is not installed', packages);
    expectError(it.command('status'), 69, packages);
    expectError(it.command('unlock'), 69, 'apt install');
    expectError(it.hook('up', tunnelCall('tun1')), 69, packages);
    expectError(it.hook('down', tunnelCall('tun1')), 0, packages);
    show();
    expect(it.rules()).toEqual(connected);
    must(it.hook('down', call));
  });

  test('an environment without a device, or with two, makes up fail and leaves the base', () => {
    const it = machine();
    it.relock(setting);
    const base = it.rules();
    expectError(
      it.hook('up', { argv: [], env: {} }),
      78,
      'neither the variable "dev" nor the first argument names a device',
    );
    expectError(
      it.hook('up', { ...call, argv: ['tun1'] }),
      78,
      'dev=tun0 but the first argument is tun1',
    );
    expectError(it.hook('down', { argv: [], env: {} }), 0, 'names a device');
    expect(it.rules()).toEqual(base);
  });

  test('on a kernel without IPv6 the switch locks IPv4 and says so', () => {
    const it = machine();
    it.relock(setting);
    must(it.command('unlock'));
    const umount = mountHere(it, '/proc/sys/net', '-t', 'tmpfs', 'tmpfs');
    const locked = must(it.command('lock', '--force'));
    expect(locked.stdout).toContain('this kernel has no IPv6');
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
    must(it.command('unlock'));
    umount();
  });

  test('a tunnel file that is damaged is no tunnel, or an error: the rules are never wider for it', () => {
    const it = machine();
    it.relock(setting);
    const base = it.rules();
    must(it.hook('up', call));
    const connected = it.rules();
    for (const damage of ['', '{', 'null', '{"version":1,"device":"tun1"}']) {
      it.write(`${TUNNELS}/tun0`, damage);
      must(it.hook('down', tunnelCall('tun9')));
      expect(withoutEnded(it.rules()), damage).toEqual(withoutEnded(base));
      must(it.hook('up', call));
      expect(it.rules(), damage).toEqual(connected);
    }
    must(it.run('rm', `${TUNNELS}/tun0`));
    must(it.run('mkdir', `${TUNNELS}/tun0`));
    must(it.hook('down', tunnelCall('tun9')));
    expect(withoutEnded(it.rules()), 'a folder is no tunnel').toEqual(withoutEnded(base));
    must(it.hook('down', call));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
  });

  test.each(['lock.json', 'endpoints.json', 'before.policies'])(
    '%s that is damaged is an error or is put right: the rules are never wider for it',
    (file) => {
      const it = machine();
      it.relock(setting);
      const base = it.rules();
      must(it.hook('up', call));
      const connected = it.rules();
      const allowed = new Set([...accepts(base), ...accepts(connected)]);
      const whole = it.read(`${STATE}/${file}`);
      const half = whole.slice(0, whole.length / 2);
      for (const damage of backend === 'nftables' ? ['', '{', 'null', half] : ['', half]) {
        it.write(`${STATE}/${file}`, damage);
        const up = it.hook('up', call);
        expect([0, 73], ran(up)).toContain(up.status);
        const rules = it.rules();
        expect(accepts(rules).filter((line) => !allowed.has(line))).toEqual([]);
        expect(
          ruleLines(base).filter((line) => !ruleLines(rules).includes(line)),
          'rules of the base that are gone',
        ).toEqual([]);
        const down = it.hook('down', tunnelCall('tun9'));
        expect(down.status).toBe(0);
        expect(`${up.stderr}${down.stderr}`).not.toMatch(/INTERNAL|^\s+at /m);
        must(it.command('lock', '--force'));
        expect(it.status()).toMatchObject({ state: 'connected', exact: true });
      }
      must(it.hook('down', call));
      must(it.command('unlock'));
      expect(JSON.stringify(it.rules())).not.toMatch(/killswitch|policy DROP/i);
    },
  );

  test('down brings the base back although the record of the lock is damaged', () => {
    const it = machine();
    it.relock(setting);
    const base = it.rules();
    must(it.hook('up', call));
    it.write(`${STATE}/lock.json`, '{');
    must(it.hook('down', call));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
    must(it.command('lock', '--force'));
  });

  test.each([
    ['read-only', (folder: string) => ['-o', 'bind', folder], true],
    ['full', () => ['-t', 'tmpfs', '-o', 'size=4k,mode=755', 'tmpfs'], false],
  ] as const)('with a %s /run the rules stay as they are and up fails', (_, mount, isReadOnly) => {
    const it = machine();
    it.relock(setting);
    const base = it.rules();
    const folder = '/run/ovpn-killswitch';
    const umount = mountHere(it, folder, ...mount(folder));
    if (isReadOnly) must(it.run('mount', '-o', 'remount,bind,ro', folder));
    else it.sh(`mkdir ${folder}/tunnels; head -c 65536 /dev/zero > ${folder}/tunnels/.full`);
    expectError(it.hook('up', call), 73, '[FILES]');
    expectError(it.hook('down', tunnelCall('tun1')), 0);
    expect(it.rules()).toEqual(base);
    umount();
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('with a read-only /var/lib lock fails before the first change, and hooks go on', () => {
    const it = machine();
    it.relock(setting);
    const base = it.rules();
    const umount = mountHere(it, STATE, '-o', 'bind', STATE);
    must(it.run('mount', '-o', 'remount,bind,ro', STATE));
    expectError(it.command('lock', '--force'), 73, '[FILES]');
    expect(it.rules()).toEqual(base);
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
    umount();
  });

  test('with a full /var/lib a first lock fails before the first change', () => {
    const it = machine();
    it.relock(setting);
    must(it.command('unlock'));
    const open = it.rules();
    const umount = mountHere(it, STATE, '-t', 'tmpfs', '-o', 'size=4k,mode=755', 'tmpfs');
    it.sh(`head -c 65536 /dev/zero > ${STATE}/full`);
    expectError(it.command('lock', '--force'), 73, '[FILES]');
    expect(it.rules()).toEqual(open);
    umount();
    must(it.command('lock', '--force'));
  });

  test('a log file that cannot be written is no reason to fail', () => {
    const it = machine();
    it.relock(setting);
    must(it.run('rm', '-f', LOG));
    must(it.run('mkdir', LOG));
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
    must(it.run('rmdir', LOG));
  });

  test('a full disk under the log file is no reason to fail', () => {
    const it = machine();
    it.relock(setting);
    const umount = mountHere(it, '/var/log', '-t', 'tmpfs', '-o', 'size=4k,mode=755', 'tmpfs');
    it.sh('head -c 65536 /dev/zero > /var/log/full');
    const up = it.hook('up', call);
    expectError(up, 0);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    expectError(it.hook('down', call), 0);
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
    umount();
  });
});

describe('with iptables', () => {
  const machine = useMachine();
  afterEach(() => {
    undoAll(machine());
  });

  test('without any packet filter, and none chosen, the package to install is named', () => {
    const it = machine();
    it.relock();
    must(it.command('unlock'));
    const open = it.rules();
    const show = hideHere(it, ...FILTERS);
    expectError(
      it.command('lock', '--force'),
      69,
      '[NO_BACKEND]',
      'nft is not installed',
      'apt install nftables',
    );
    expectError(it.hook('up', tunnelCall('tun0')), 0, 'UNLOCKED');
    show();
    expect(it.rules()).toEqual(open);
  });

  test('a missing ip6tables on a kernel with IPv6 is an error that says what to install', () => {
    const it = machine();
    it.relock('KILLSWITCH_BACKEND=iptables');
    const base = it.rules();
    const show = hideHere(it, 'ip6tables-save', 'ip6tables-restore');
    expectError(
      it.command('lock', '--force'),
      69,
      '[NO_IPV6_BACKEND]',
      'IPv6 could not be locked',
      'apt install iptables',
    );
    expectError(it.hook('up', tunnelCall('tun0')), 69, '[NO_IPV6_BACKEND]');
    show();
    expect(it.rules()).toEqual(base);
  });
});

describe('the command', () => {
  const machine = useMachine((fresh) => fresh.relock());

  test.each([
    [['frobnicate'], 'there is no command "frobnicate"'],
    [['lock', '--froce'], '--froce'],
    [['lock', 'now'], 'lock does not take "now"'],
    [['status', '--jsn'], '--jsn'],
    [['render', '--backend', 'ufw'], 'there is no backend "ufw"'],
    [['explain'], 'explain'],
  ])('called as %j is refused with 64 and says how it is called', (args, said) => {
    const it = machine();
    const base = it.rules();
    expectError(it.command(...args), 64, said, '[USAGE]');
    expect(it.rules()).toEqual(base);
  });

  test('called without anything shows its help and ends with 64', () => {
    const ended = machine().command();
    expect(ended.status).toBe(64);
    expect(ended.stdout).toMatch(/^ {2}unlock +open the machine$/m);
  });
});

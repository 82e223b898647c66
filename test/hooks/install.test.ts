import { describe, expect, test } from 'vitest';
import { openSandbox } from '../../src/host/sandbox.ts';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  BUILT_COMMAND,
  hookArgv,
  LIBRARY,
  LOG,
  machineObstacle,
  must,
  ran,
  SETTINGS,
  STATE,
  useMachine,
} from './installed-machine.ts';
import { mountHere, undoAll } from './obstacles.ts';

const COMMAND = '/usr/local/sbin/ovpn-killswitch';
const call = tunnelCall('tun0');
const install = ['install'] as const;

describe('install', () => {
  const machine = useMachine();

  test('leaves files that only root can write', () => {
    const it = machine();
    const listed = must(
      it.run('find', LIBRARY, COMMAND, '/etc/ovpn-killswitch', '-printf', '%U:%G %m %y %p\n'),
    )
      .stdout.trim()
      .split('\n')
      .sort();
    expect(listed).toEqual(
      [
        `0:0 755 d ${LIBRARY}`,
        ...['hooks', 'proof'].map((folder) => `0:0 755 d ${LIBRARY}/${folder}`),
        ...['up', 'down', 'route-up', 'nm-dispatcher'].map(
          (hook) => `0:0 755 f ${LIBRARY}/hooks/${hook}`,
        ),
        `0:0 755 f ${LIBRARY}/cli.js`,
        `0:0 755 f ${LIBRARY}/resolver.js`,
        `0:0 755 f ${LIBRARY}/rehearsal.js`,
        `0:0 755 f ${LIBRARY}/route-up.js`,
        ...['hooks.js', 'hooks-nftables.cache', 'hooks-iptables.cache', 'start.js'].map(
          (part) => `0:0 644 f ${LIBRARY}/${part}`,
        ),
        `0:0 755 f ${LIBRARY}/boot`,
        ...['progress', 'prove', 'proof/prober', 'proof/responder', 'proof/visitor'].map(
          (program) => `0:0 755 f ${LIBRARY}/${program}.js`,
        ),
        `0:0 755 f ${LIBRARY}/recover`,
        `0:0 755 f ${LIBRARY}/nm-dispatcher`,
        `0:0 644 f ${LIBRARY}/package.json`,
        // In a user namespace that maps root alone, no Node of the machine belongs to root.
        ...(it.sandbox.hasOtherUsers ? [] : [`0:0 755 f ${LIBRARY}/node`]),
        `0:0 777 l ${COMMAND}`,
        '0:0 755 d /etc/ovpn-killswitch',
        `0:0 644 f ${SETTINGS}`,
      ].sort(),
    );
  });

  test('names the interpreter by its absolute path, so that everything starts in an empty environment', () => {
    const it = machine();
    for (const file of ['cli.js', 'hooks/up', 'hooks/down', 'route-up.js', 'hooks/nm-dispatcher']) {
      const [, interpreter = ''] =
        /^#!\/usr\/bin\/env -S (?:-u [A-Z_]+ )+(\/\S+) --v8-pool-size=0\n/.exec(
          it.read(`${LIBRARY}/${file}`),
        ) ?? [];
      expect(interpreter).not.toBe('');
      expect(must(it.run('readlink', '-f', interpreter)).stdout.trim()).toBe(interpreter);
    }
    must(it.run('/usr/bin/env', '-i', `${LIBRARY}/cli.js`, 'help'));
    must(it.run('/usr/bin/env', '-i', COMMAND, 'help'));
  });

  test('under any umask and a second time gives the same files, and keeps the settings', () => {
    const it = machine();
    const list = () =>
      must(
        it.run('find', LIBRARY, COMMAND, '/etc/ovpn-killswitch', '-printf', '%U:%G %m %y %s %p\n'),
      )
        .stdout.split('\n')
        .sort();
    it.settings('KILLSWITCH_REFUSE=reject');
    const before = list();
    for (const mask of ['0077', '0000']) {
      must(it.sh(`umask ${mask}; exec '${process.execPath}' '${BUILT_COMMAND}' install`));
      expect(list()).toEqual(before);
    }
    must(it.command(...install));
    expect(list()).toEqual(before);
    expect(it.read(SETTINGS)).toBe('KILLSWITCH_REFUSE=reject\n');
  });

  test('over a copy that is running disturbs no hook', async () => {
    const it = machine();
    it.relock();
    const hooks = Array.from({ length: 6 }, (_, index) =>
      it.startHook('up', tunnelCall(`tun${index}`)),
    );
    for (let round = 0; round < 3; round++)
      must(it.run(process.execPath, BUILT_COMMAND, ...install));
    for (const ended of await Promise.all(hooks)) expect(ended.status, ran(ended)).toBe(0);
    expect(it.status().tunnels).toHaveLength(6);
    expect(it.run('find', LIBRARY, '-name', '*.new').stdout).toBe('');
  });
});

describe('install with a Node that hooks must not use', () => {
  const machine = useMachine();

  test('under /home copies it and says so, and the hooks work when /home is hidden', () => {
    const it = machine();
    const umount = mountHere(it, '/home', '-t', 'tmpfs', 'tmpfs');
    must(it.run('mkdir', '-p', '/home/somebody/bin'));
    must(it.run('cp', process.execPath, '/home/somebody/bin/node'));
    const installed = must(it.run('/home/somebody/bin/node', BUILT_COMMAND, ...install));
    expect(installed.stdout).toContain(
      `Copied /home/somebody/bin/node to ${LIBRARY}/node: a hardened OpenVPN unit cannot see /home`,
    );
    umount();
    expect(it.read(`${LIBRARY}/hooks/up`)).toContain(` ${LIBRARY}/node --v8-pool-size=0\n`);
    expect(must(it.run('stat', '-c', '%u:%g %a', `${LIBRARY}/node`)).stdout.trim()).toBe('0:0 755');
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
  });

  test('in a folder that a group can write to copies it and says so', (context) => {
    const it = machine();
    if (!it.sandbox.hasOtherUsers) context.skip('no file of the machine belongs to root here');
    must(it.run('rm', '-f', `${LIBRARY}/node`));
    must(it.sh('mkdir -m 775 /run/tools && chmod 775 /run/tools && : > /run/tools/node'));
    mountHere(it, '/run/tools/node', '--bind', process.execPath);
    const installed = must(it.run('/run/tools/node', BUILT_COMMAND, ...install));
    expect(installed.stdout).toContain(
      `Copied /run/tools/node to ${LIBRARY}/node: non-root users can write to /run/tools`,
    );
    undoAll(it);
    must(it.command('status', '--help'));
  });
});

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine();
  const setting = `KILLSWITCH_BACKEND=${backend}`;
  const policies = () =>
    ['ipv4', 'ipv6'].flatMap((family) =>
      ['INPUT', 'FORWARD', 'OUTPUT'].map(
        (chain) => `${family} ${chain} ${machine().rules()[`${family} ${chain}`]?.[0]}`,
      ),
    );
  const OPEN = [
    'ipv4 INPUT policy ACCEPT',
    'ipv4 FORWARD policy DROP',
    'ipv4 OUTPUT policy ACCEPT',
    'ipv6 INPUT policy ACCEPT',
    'ipv6 FORWARD policy ACCEPT',
    'ipv6 OUTPUT policy ACCEPT',
  ];

  test('unlock after somebody flushed everything restores the chain policies', () => {
    const it = machine();
    must(it.sh('iptables -P FORWARD DROP; ip6tables -P FORWARD ACCEPT'));
    it.relock(setting);
    must(it.sh('for each in iptables ip6tables; do $each -F; $each -X; done'));
    if (backend === 'iptables') expect(it.command('status').status).toBe(2);
    must(it.command('unlock'));
    expect(policies()).toEqual(OPEN);
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
  });

  test('recover opens the machine without Node and without the package, as often as it is run', () => {
    const it = machine();
    it.relock(setting);
    must(it.hook('up', call));
    must(it.sh(`cp ${LIBRARY}/recover /run/recover; mv ${LIBRARY} /run/library`));
    mountHere(it, process.execPath, '--bind', '/dev/null');
    const first = must(it.run('/usr/bin/env', '-i', '/run/recover'));
    expect(first.stdout).toContain('recover: done');
    const open = it.rules();
    expect(JSON.stringify(open)).not.toMatch(/killswitch/i);
    expect(policies()).toEqual(OPEN);
    must(it.run('/usr/bin/env', '-i', '/run/recover'));
    expect(it.rules()).toEqual(open);
    undoAll(it);
    must(it.sh(`mv /run/library ${LIBRARY}`));
    expect(it.command('status').status).toBe(1);
    must(it.hook('up', call));
    expect(it.rules(), 'hooks after recover leave the machine open').toEqual(open);
    must(it.hook('down', call));
  });

  test('recover opens a machine whose rules were flushed, and one whose state is lost', () => {
    const it = machine();
    it.relock(setting);
    must(it.sh('for each in iptables ip6tables; do $each -F; $each -X; done'));
    must(it.command('recover'));
    expect(policies()).toEqual(OPEN);
    it.relock(setting);
    must(it.run('rm', '-rf', STATE));
    must(it.command('recover'));
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
    // iptables: nobody knows any more what was there, so it is what Linux starts with. nft has
    // policies of its own and never touched these.
    expect(policies()).toEqual(
      backend === 'iptables' ? OPEN.map((each) => each.replace('DROP', 'ACCEPT')) : OPEN,
    );
  });
});

describe('uninstall', () => {
  test('opens the machine and leaves no file', async (context) => {
    const why = machineObstacle();
    if (why !== undefined) context.skip(why);
    const sandbox = await openSandbox();
    try {
      // All that was written lies in the upper folders of the sandbox. The lock that iptables
      // itself makes is not ours.
      const places = ['/mnt/etc/upper', '/mnt/usr/local/upper', '/mnt/var/upper', '/run'];
      const ours = ['(', '-type', 'f', '-o', '-type', 'l', '-o', '-name', '*killswitch*', ')'];
      const files = () =>
        must(
          sandbox.run([
            'find',
            ...places,
            ...ours,
            '!',
            '-name',
            'xtables.lock',
            '!',
            '-path',
            '/mnt/etc/upper/resolv.conf',
          ]),
        )
          .stdout.trim()
          .split('\n');
      // This one is changed and restored.
      const resolvers = () => must(sandbox.run(['cat', '/etc/resolv.conf'])).stdout;
      const before = resolvers();
      must(sandbox.run([process.execPath, BUILT_COMMAND, ...install]));
      must(sandbox.run([COMMAND, 'lock', '--force']));
      must(sandbox.run(hookArgv('up', call)));
      expect(files()).toContain(`/mnt${LOG.replace('/var', '/var/upper')}`);
      expect(resolvers()).not.toBe(before);
      must(sandbox.run([COMMAND, 'uninstall']));
      expect(resolvers()).toBe(before);
      expect(files()).toEqual(['']);
      expect(
        must(sandbox.run(['sh', '-c', 'iptables-save; ip6tables-save; nft list ruleset'])).stdout,
      ).not.toMatch(/killswitch|policy drop| DROP/i);
    } finally {
      sandbox.close();
    }
  });
});

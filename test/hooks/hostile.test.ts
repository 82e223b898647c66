import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import type { Ran } from '../../src/host/sandbox.ts';
import { CAPTURES, capture, tunnelCall } from './captures.ts';
import {
  addedLines,
  BACKENDS,
  type Call,
  LIBRARY,
  LOG,
  type Machine,
  must,
  ran,
  ruleLines,
  TUNNELS,
  useMachine,
  withoutEnded,
} from './installed-machine.ts';

const SETTINGS = ['KILLSWITCH_ENDPOINTS=198.51.100.7:443/tcp'];

/** Values that would do harm if a shell, a path or a rule ever took them as they are. */
const HOSTILE = [
  '$(touch /run/pwned)',
  '`touch /run/pwned`',
  '; touch /run/pwned #',
  '|| touch /run/pwned',
  '10.8.0.1; nft flush ruleset',
  '10.8.0.1 -j ACCEPT',
  '0.0.0.0/0',
  '::/0',
  '../../../etc/passwd',
  '"} chain x { type filter hook output priority -300; policy accept; } {"',
  "' OR '1'='1",
  '-A OUTPUT -j ACCEPT',
  '%s%n%x',
  '\u00ef\u00bf\u00bd\u202e\u{1f4a9}',
  'A'.repeat(300),
  '1'.repeat(300),
  '10.8.0.1,0.0.0.0/0',
  '{ 10.8.0.1, 0.0.0.0/0 }',
  '\\x0a*filter',
];

/** Variables that a server can set, and that are read. */
const READ_VARIABLES = [
  'ifconfig_local',
  'ifconfig_netmask',
  'ifconfig_remote',
  'ifconfig_ipv6_local',
  'ifconfig_ipv6_netbits',
  'route_network_1',
  'route_netmask_1',
  'route_gateway_1',
  'route_ipv6_network_1',
  'trusted_ip',
  'trusted_port',
  'remote_1',
  'proto_1',
  'daemon_pid',
  'dns_server_1_address_1',
];
const UNREAD_VARIABLES = [
  'OPENVPN_PATH',
  'UV_SHELL',
  'IV_PLAT',
  'X509_0_CN',
  'common_name',
  'tls_id_0',
  'script_type',
  'signal',
  'BASH_ENV',
  'ENV',
];

const accepts = (lines: readonly string[]) =>
  lines.filter((line) => /accept/i.test(line) && !/policy/i.test(line));

function expectCalm(ended: Ran): void {
  expect(ended.stderr, 'a stack trace').not.toMatch(/^\s+at /m);
  expect(ended.stderr).not.toContain('[INTERNAL]');
  expect(ended.stderr, 'bytes that a terminal would act on').toMatch(/^[\x20-\x7e\n]*$/);
}

/** A program that does nothing but leave a mark. */
function writeTripwire(machine: Machine, path: string, mark: string): void {
  machine.write(path, `#!${process.execPath}\nrequire('node:fs').writeFileSync('${mark}', '');\n`);
  must(machine.run('chmod', '755', path));
}

/** Replaces every shell by a program that leaves a mark; returns whether it was started. */
function withoutShells(machine: Machine, work: () => void): boolean {
  const mark = '/run/shell-was-started';
  writeTripwire(machine, '/run/tripwire', mark);
  const shells = [
    ...new Set(
      ['sh', 'bash', 'dash'].map((name) =>
        machine.run('readlink', '-f', `/bin/${name}`).stdout.trim(),
      ),
    ),
  ].filter(machine.exists);
  for (const shell of shells) must(machine.run('mount', '--bind', '/run/tripwire', shell));
  try {
    work();
    const started = machine.exists(mark);
    machine.run('/bin/sh', '-c', 'true');
    expect(machine.exists(mark), 'the tripwire itself').toBe(true);
    return started;
  } finally {
    for (const shell of shells) must(machine.run('umount', shell));
    machine.run('rm', '-f', mark);
  }
}

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.relock(`KILLSWITCH_BACKEND=${backend}`, ...SETTINGS));
  const relock = () => machine().relock(`KILLSWITCH_BACKEND=${backend}`, ...SETTINGS);

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') relock();
  });

  test.each(
    CAPTURES.filter(({ file }) =>
      file.includes(backend === 'nftables' ? 'hostile' : 'hostile-metachars'),
    ).map((each) => [each.file, each] as const),
  )(
    '%s starts no shell but its own, writes no file but its own and logs at most one refusal',
    (_, each) => {
      const it = machine();
      relock();
      it.write('/run/marker', '');
      const logged = it.logMark();
      const work = () => {
        const ended = it.hook(each.hook, each);
        expect(ended.status, ran(ended)).toBe(0);
        expectCalm(ended);
      };
      // route-up is a script itself: what it may write is below, as for all.
      if (each.hook === 'route-up') work();
      else expect(withoutShells(it, work)).toBe(false);
      const refusals = logged().filter(({ event }) => event === 'value-refused');
      expect(refusals.length).toBeLessThanOrEqual(1);
      for (const { msg } of refusals) expect(msg).toMatch(/^[\x20-\x7e]*$/);
      const written = it
        .sh(
          'find /etc /usr/local /var/lib /var/log /run -xdev -type f -newer /run/marker ! -name tripwire',
        )
        .stdout.trim()
        .split('\n')
        .sort();
      const resolvers = it.status().tunnels.some((tunnel) => tunnel.resolvers.length > 0);
      const dns = [
        '/etc/resolv.conf',
        '/var/lib/ovpn-killswitch/dns/before',
        '/var/lib/ovpn-killswitch/dns/place',
      ];
      expect(written).toEqual(
        [
          '/run/ovpn-killswitch/last-transaction',
          `${TUNNELS}/${each.env['dev']}`,
          LOG,
          ...(each.hook === 'up' ? ['/run/ovpn-killswitch/told'] : []),
          ...(resolvers ? dns : []),
        ].sort(),
      );
      // Text that the server chose is in there only as addresses and names.
      expect(it.read('/etc/resolv.conf').replace(/^#.*/gm, '')).toMatch(/^[\w.:\n -]*$/);
      must(it.hook('down', { argv: [], env: { dev: each.env['dev'] ?? '' } }));
    },
  );

  test('values that only look like addresses never make the rules wider than leaving them out', () => {
    const it = machine();
    relock();
    const base = it.rules();
    const plain = tunnelCall('tun0', {
      route_network_1: '10.20.0.0',
      route_netmask_1: '255.255.0.0',
    });
    // The transport is local configuration: a value that says nothing means either, as when it is
    // left out.
    const { proto_1: _, ...either } = plain.env;
    must(it.hook('up', { ...plain, env: either }));
    const allowed = new Set(accepts(ruleLines(it.rules())));
    must(it.hook('up', plain));
    for (const line of accepts(ruleLines(it.rules()))) allowed.add(line);
    const value = fc.oneof(
      fc.constantFrom(...HOSTILE),
      fc
        .string({
          unit: fc.constantFrom(...`$();|&<>"'\`\\{}*?~!#%,./: -0x1f`),
          minLength: 1,
          maxLength: 60,
        })
        .filter((text) => /[$;|&<>"'`\\{}]/.test(text)),
    );
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...READ_VARIABLES, ...UNREAD_VARIABLES), value, {
          minKeys: 1,
          maxKeys: 8,
        }),
        value,
        (more, option) => {
          const logged = it.logMark();
          const ended = it.hook('up', {
            argv: plain.argv,
            env: { ...plain.env, ...more, foreign_option_2: `dhcp-option DNS ${option}` },
          });
          expect(ended.status, ran(ended)).toBe(0);
          expectCalm(ended);
          const lines = ruleLines(it.rules());
          expect(accepts(lines).filter((line) => !allowed.has(line))).toEqual([]);
          expect(
            ruleLines(base).filter((line) => !lines.includes(line)),
            'rules of the base that are gone',
          ).toEqual([]);
          expect(logged().filter(({ event }) => event === 'value-refused')).toHaveLength(1);
        },
      ),
      { numRuns: backend === 'nftables' ? 15 : 6 },
    );
    expect(it.exists('/run/pwned')).toBe(false);
    must(it.hook('down', tunnelCall('tun0')));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
  });

  test('every device name that is accepted makes rules that the kernel takes and lists', () => {
    const it = machine();
    relock();
    const base = it.rules();
    const names = [
      'x'.repeat(15),
      'a.b-c_d',
      '0',
      'Tun0',
      'input',
      'ip',
      'accept',
      '10.8.0.1',
      'all',
    ];
    for (const name of names) {
      must(it.hook('up', tunnelCall(name)));
      expect(addedLines(base, it.rules()).some((line) => line.includes(name))).toBe(true);
      if (name.length === 15)
        expect(it.status()).toMatchObject({ state: 'connected', exact: true });
      must(it.hook('down', tunnelCall(name)));
      expect(withoutEnded(it.rules()), name).toEqual(withoutEnded(base));
    }
  });
});

describe('with nftables', () => {
  const machine = useMachine((fresh) => fresh.relock('KILLSWITCH_BACKEND=nftables', ...SETTINGS));
  const odd = [
    'tun0;reboot',
    '../../x',
    'tun 0',
    '-j',
    'tun+',
    'tun*',
    'x'.repeat(16),
    'x'.repeat(300),
    '.',
    '..',
    't\u00fcn0',
    '$(id)',
    '"tun0"',
    '',
    '!tun0',
  ];

  test.each(odd)(
    'a device called %j is refused: up fails, down does not, and the base stays',
    (name) => {
      const it = machine();
      const base = it.rules();
      const call: Call = { argv: [name, '1500'], env: { ...tunnelCall('tun0').env, dev: name } };
      for (const hook of ['up', 'down', 'route-up'] as const) {
        const ended = it.hook(hook, hook === 'route-up' ? { ...call, argv: [] } : call);
        expect(ended.status, ran(ended)).toBe(hook === 'up' ? 78 : 0);
        expect(ended.stderr).toContain("OpenVPN's environment cannot be read");
        expectCalm(ended);
      }
      expect(it.rules()).toEqual(base);
      expect(it.list(TUNNELS)).toEqual([]);
    },
  );

  test('arguments that name another device than the environment are refused', () => {
    const it = machine();
    const base = it.rules();
    const ended = it.hook('up', {
      ...tunnelCall('tun0'),
      argv: ['tun1', '1500', '0', '10.8.0.2', '255.255.255.0', 'init'],
    });
    expect(ended.status).toBe(78);
    expect(ended.stderr).toContain('dev=tun0 but the first argument is tun1');
    expect(it.rules()).toEqual(base);
  });

  test('bytes that are no UTF-8 are escaped in the log and change nothing else', () => {
    const it = machine();
    const call = capture('ovpn2.6.hostile-invalid-utf8.up.env');
    const words = [...call.argv].map((word) => Buffer.from(`${word}\0`));
    const variables = Buffer.from(
      Buffer.from(call.bytes).toString('latin1').replaceAll('\n', '\0'),
      'latin1',
    );
    expect(variables.toString('latin1')).toMatch(/\xff\xfe\x80/);
    it.write(
      '/run/call',
      Buffer.concat([variables, Buffer.from(`${LIBRARY}/hooks/up\0`), ...words]),
    );
    const logged = it.logMark();
    const ended = it.run('xargs', '-0', '-a', '/run/call', 'env', '-i');
    expect(ended.status, ran(ended)).toBe(0);
    expectCalm(ended);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    for (const { msg } of logged()) expect(msg).toMatch(/^[\x20-\x7e]*$/);
    must(it.hook('down', call));
  });

  test('a thousand variables, most of them refused, end in one line and the rules of the good ones', () => {
    const it = machine();
    const base = it.rules();
    must(it.hook('up', tunnelCall('tun0')));
    const plain = it.rules();
    must(it.hook('down', tunnelCall('tun0')));
    const options = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [
        `foreign_option_${index + 2}`,
        `dhcp-option DNS $(id)${index}`,
      ]),
    );
    const logged = it.logMark();
    const ended = it.hook('up', tunnelCall('tun0', options));
    expect(ended.status, ran(ended)).toBe(0);
    expect(
      ended.stderr.split('\n').filter((line) => line.includes('ignored a value')),
    ).toHaveLength(1);
    expect(ended.stderr.length).toBeLessThan(2000);
    expect(ended.stderr).toContain('and 996 more');
    expect(logged().filter(({ event }) => event === 'value-refused')).toHaveLength(1);
    expect(it.rules()).toEqual(plain);
    must(it.hook('down', tunnelCall('tun0')));
    expect(withoutEnded(it.rules())).toEqual(withoutEnded(base));
  });

  test('a server may fill the log with no more than a few kilobytes for each connection', () => {
    const it = machine();
    const options = Object.fromEntries(
      Array.from({ length: 1000 }, (_, index) => [
        `foreign_option_${index + 1}`,
        `dhcp-option DNS ${'$'.repeat(200)}`,
      ]),
    );
    const before = it.read(LOG).length;
    must(it.hook('up', tunnelCall('tun0', options)));
    expect(it.read(LOG).length - before).toBeLessThan(16_384);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('PATH, HOME and the shell variables of the environment decide nothing', () => {
    const it = machine();
    must(it.hook('up', tunnelCall('tun0')));
    const plain = it.rules();
    must(it.hook('down', tunnelCall('tun0')));
    for (const program of [
      'nft',
      'flock',
      'iptables-save',
      'iptables-restore',
      'node',
      'env',
      'sh',
    ])
      writeTripwire(it, `/run/evil/${program}`, '/run/evil-was-started');
    const ended = it.hook(
      'up',
      tunnelCall('tun0', {
        PATH: '/run/evil',
        HOME: '/run/evil',
        SHELL: '/run/evil/sh',
        IFS: '/',
        LD_LIBRARY_PATH: '/run/evil',
        NODE_PATH: '/run/evil',
        TMPDIR: '/run/evil',
      }),
    );
    expect(ended.status, ran(ended)).toBe(0);
    expect(it.rules()).toEqual(plain);
    expect(it.exists('/run/evil-was-started')).toBe(false);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('a library that cannot be preloaded does not stop the hook', () => {
    const it = machine();
    const ended = it.hook('up', tunnelCall('tun0', { LD_PRELOAD: '/run/evil/none.so' }));
    expect(ended.status, ran(ended)).toBe(0);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('what Node and libuv would take from the environment does not reach them', () => {
    const it = machine();
    const ended = it.hook(
      'up',
      tunnelCall('tun0', { NODE_OPTIONS: '--no-such-option', UV_USE_IO_URING: '1' }),
    );
    expect(ended.status, ran(ended)).toBe(0);
    expect(it.list(TUNNELS)).toEqual(['tun0']);
    must(it.hook('down', tunnelCall('tun0')));
  });

  test('a hook starts the programs of the packet filter, flock, and cp for attributes, and nothing else', (context) => {
    const it = machine();
    if (spawnSync('strace', ['-V']).status !== 0) context.skip('strace is not installed');
    const ended = it.run(
      'strace',
      '-f',
      '-e',
      'trace=execve',
      '-o',
      '/run/trace',
      '/usr/bin/env',
      '-i',
      ...Object.entries(capture('ovpn2.6.hostile-metachars.up.env').env).map(
        ([key, value]) => `${key}=${value}`,
      ),
      `${LIBRARY}/hooks/up`,
    );
    if (!it.exists('/run/trace') || ended.stderr.includes('ptrace'))
      context.skip(`strace cannot trace here: ${ended.stderr.trim()}`);
    expect(ended.status, ran(ended)).toBe(0);
    const started = [...it.read('/run/trace').matchAll(/execve\("([^"]+)"[^\n]*= 0$/gm)].map(
      ([, path = '']) => path.split('/').at(-1),
    );
    expect([...new Set(started)].sort()).toEqual(
      ['cp', 'env', 'flock', 'nft', basename(process.execPath), 'up'].sort(),
    );
    must(it.hook('down', tunnelCall('tun0')));
  });
});

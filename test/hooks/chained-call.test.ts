import { beforeEach, describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import {
  type Call,
  hookArgv,
  LIBRARY,
  type Machine,
  machineObstacle,
  must,
  ran,
  SETTINGS,
  useMachine,
} from './installed-machine.ts';

const PROFILE = '/etc/openvpn/client/mine.conf';
/** Writes down what it was given, then ends as the file beside it says. */
const RECORDER = '/etc/openvpn/recorder';
const RECORDED = '/run/recorded';

const RECORDER_TEXT = `#!/bin/sh
for each in "$0" "$@"; do printf '%s\\n' "$each"; done >${RECORDED}.argv
cat /proc/$$/environ >${RECORDED}.env
umask >${RECORDED}.umask
pwd >${RECORDED}.folder
echo 'said by the recorder'
. /run/ending
`;

interface Recorded {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function recorded(machine: Machine): Recorded | undefined {
  if (!machine.exists(`${RECORDED}.argv`)) return undefined;
  const variables = machine
    .read(`${RECORDED}.env`)
    .split('\0')
    .filter((each) => each !== '')
    .map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)] as const);
  return {
    argv: machine.read(`${RECORDED}.argv`).trimEnd().split('\n'),
    env: Object.fromEntries(variables),
  };
}

describe('a command that an attached profile had before', () => {
  const machine = useMachine((it) => {
    it.write(RECORDER, RECORDER_TEXT);
    must(it.run('chmod', '755', RECORDER));
    must(it.command('lock', '--force'));
  });

  beforeEach(() => {
    if (machineObstacle() !== undefined) return;
    machine().sh(`rm -f ${RECORDED}.*; echo 'exit 0' >/run/ending; rm -f ${SETTINGS}`);
  });

  const ends = (how: string) => machine().write('/run/ending', `${how}\n`);
  const call = tunnelCall('tun0');
  const chained = (...command: readonly string[]): Call => ({
    ...call,
    argv: ['--then', ...command, ...call.argv],
  });

  test('is called with its words, OpenVPN’s arguments and OpenVPN’s environment, and its output is not lost', () => {
    const up = must(machine().hook('up', chained(RECORDER, 'a b', '', '$HOME;`id`')));
    expect(recorded(machine())).toEqual({
      argv: [RECORDER, 'a b', '', '$HOME;`id`', ...call.argv],
      env: call.env,
    });
    expect(up.stdout).toContain('said by the recorder');
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true });
    must(machine().hook('down', chained(RECORDER)));
    expect(recorded(machine())?.argv).toEqual([RECORDER, ...call.argv]);
    expect(machine().status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test('gets nothing appended from route-up, as from OpenVPN', () => {
    must(machine().hook('route-up', { argv: ['--then', RECORDER, 'x'], env: call.env }));
    expect(recorded(machine())).toEqual({ argv: [RECORDER, 'x'], env: call.env });
    must(machine().hook('down', call));
  });

  test('gets the umask and the folder that the hook was started with', () => {
    const argv = [`${LIBRARY}/hooks/up`, ...chained('./recorder').argv];
    const env = Object.entries(call.env).map(([name, value]) => `${name}=${value}`);
    must(
      machine().run(
        'sh',
        '-c',
        'cd /etc/openvpn; umask 0077; exec "$@"',
        'sh',
        'env',
        '-i',
        ...env,
        ...argv,
      ),
    );
    expect([machine().read(`${RECORDED}.umask`), machine().read(`${RECORDED}.folder`)]).toEqual([
      '0077\n',
      '/etc/openvpn\n',
    ]);
    must(
      machine().run(
        'sh',
        '-c',
        'cd /etc/openvpn; exec "$@"',
        'sh',
        'env',
        '-i',
        ...env,
        argv[0] ?? '',
        ...chained('recorder').argv,
      ),
    );
    expect(recorded(machine())?.argv[0]).toBe('./recorder');
    must(machine().hook('down', call));
  });

  test.each<readonly [string, () => readonly string[], string, number, RegExp | undefined]>([
    ['ends with 0', () => [RECORDER], 'exit 0', 0, undefined],
    [
      'ends with 7',
      () => [RECORDER],
      'exit 7',
      7,
      /recorder, which the profile calls after up, ended with status 7/,
    ],
    ['is stopped by a signal', () => [RECORDER], 'kill -TERM $$', 143, /stopped by SIGTERM/],
    [
      'is not there',
      () => ['/etc/openvpn/none'],
      'exit 0',
      127,
      /none, which the profile calls after up, failed: .*ENOENT/,
    ],
    [
      'cannot be run',
      () => ['/etc/passwd'],
      'exit 0',
      126,
      /passwd, which the profile calls after up, failed: .*EACCES/,
    ],
  ])(
    'that %s decides the status of up, and never that of down and route-up',
    (_, command, ending, status, said) => {
      ends(ending);
      const up = machine().hook('up', chained(...command()));
      expect(up.status).toBe(status);
      if (said === undefined) expect(up.stderr).not.toContain('which the profile calls');
      else expect(up.stderr).toMatch(said);
      // OpenVPN calls no `down` after an `up` that failed.
      expect(machine().status()).toMatchObject({
        state: status === 0 ? 'connected' : 'blocked',
        exact: true,
      });
      const routeUp = machine().hook('route-up', { argv: ['--then', ...command()], env: call.env });
      expect(routeUp.status).toBe(0);
      if (said !== undefined)
        expect(routeUp.stderr).toContain('which the profile calls after route-up');
      const down = machine().hook('down', chained(...command()));
      expect(down.status).toBe(0);
      if (said !== undefined) expect(down.stderr).toContain('which the profile calls after down');
    },
  );

  test('is not called by up and route-up when the rules are not in force, and by down whatever happened', () => {
    machine().settings('KILLSWITCH_LAN=nonsense');
    expect(machine().hook('up', chained(RECORDER)).status).toBe(78);
    expect(machine().hook('route-up', { argv: ['--then', RECORDER], env: call.env }).status).toBe(
      0,
    );
    expect(recorded(machine())).toBeUndefined();
    expect(machine().hook('down', chained(RECORDER)).status).toBe(0);
    expect(recorded(machine())?.argv).toEqual([RECORDER, ...call.argv]);
  });

  test('does not see what a server could have set for Node', () => {
    const hostile = { ...call.env, UV_USE_IO_URING: '1', UV_THREADPOOL_SIZE: '9' };
    must(machine().hook('up', { argv: chained(RECORDER).argv, env: hostile }));
    expect(recorded(machine())?.env).toEqual(call.env);
    must(machine().hook('down', call));
  });
});

describe('a command that is called in turn', () => {
  const machine = useMachine((it) => must(it.command('lock', '--force')));

  // Debian's openvpn@.service allows ten tasks, of which OpenVPN is one.
  test('can run a pipeline of three programs with nine tasks for the hook and all of them', (context) => {
    const it = machine();
    if (!it.sandbox.hasOtherUsers) context.skip('there is no other user here');
    it.write(RECORDER, '#!/bin/sh\n[ "$(printf a | tr a b | cat)" = b ] || exit 9\n');
    must(it.run('chmod', '755', RECORDER));
    // The kernel counts a user's processes over the whole machine: this one has no others.
    const uid = String(62_100 + (process.pid % 1000));
    const limited = [
      'setpriv',
      '--reuid',
      uid,
      '--regid',
      uid,
      '--clear-groups',
      'prlimit',
      '--nproc=9',
    ];
    const { argv, env } = tunnelCall('tun0');
    const ended = it.sandbox.run([
      ...limited,
      ...hookArgv('up', { argv: ['--then', RECORDER, ...argv], env }),
    ]);
    expect(ended.status, ran(ended)).toBe(0);
  });
});

describe('attach and detach on files', () => {
  const machine = useMachine();
  const bytes = (path: string) => machine().run('od', '-An', '-v', '-tx1', path).stdout;
  const place = (path: string) => machine().run('stat', '-c', '%u %g %a %F', path).stdout.trim();

  test.each<readonly [string, string]>([
    ['nothing', ''],
    ['no last line break', 'client\nremote 192.0.2.1'],
    ['Windows line ends', 'client\r\nremote 192.0.2.1\r\n'],
    ['bytes that are not UTF-8', '# Z\xfcrich\nclient\n'],
    ['a byte order mark', '\xef\xbb\xbfclient\n'],
    ['NUL and other control characters', 'client\n# \0\x01\x7f\n'],
  ])('restore every byte of a profile with %s', (_, text) => {
    machine().write(PROFILE, Buffer.from(text, 'latin1'));
    const before = bytes(PROFILE);
    must(machine().command('attach', PROFILE));
    expect(machine().read(PROFILE)).toContain(`up ${LIBRARY}/hooks/up`);
    must(machine().command('detach', PROFILE));
    expect(bytes(PROFILE)).toBe(before);
  });

  test('keep owner and mode, and the original is for root alone', (context) => {
    if (!machine().sandbox.hasOtherUsers) context.skip('this user namespace has only one user');
    machine().write(PROFILE, 'client\n');
    must(machine().sh(`chown 0:65534 ${PROFILE}; chmod 640 ${PROFILE}`));
    must(machine().command('attach', PROFILE));
    expect(place(PROFILE)).toBe('0 65534 640 regular file');
    const [backup = ''] = machine().list('/var/lib/ovpn-killswitch/profiles');
    expect(place(`/var/lib/ovpn-killswitch/profiles/${backup}`)).toBe('0 0 600 regular file');
    must(machine().command('detach', PROFILE));
    expect(place(PROFILE)).toBe('0 65534 640 regular file');
  });

  test('write through a symbolic link', () => {
    machine().write('/etc/openvpn/real.conf', 'client\n');
    must(machine().run('ln', '-sfn', '/etc/openvpn/real.conf', '/etc/openvpn/link.conf'));
    must(machine().command('attach', '/etc/openvpn/link.conf'));
    expect(machine().run('readlink', '/etc/openvpn/link.conf').stdout).toBe(
      '/etc/openvpn/real.conf\n',
    );
    expect(machine().read('/etc/openvpn/real.conf')).toContain(`up ${LIBRARY}/hooks/up`);
    must(machine().command('detach', '/etc/openvpn/link.conf'));
    expect(machine().read('/etc/openvpn/real.conf')).toBe('client\n');
  });

  test('write into a file that is mounted', () => {
    machine().write('/etc/openvpn/mounted.conf', 'client\n');
    machine().write('/run/outside.conf', 'client\nremote 192.0.2.1\n');
    must(machine().run('mount', '--bind', '/run/outside.conf', '/etc/openvpn/mounted.conf'));
    must(machine().command('attach', '/etc/openvpn/mounted.conf'));
    expect(machine().read('/run/outside.conf')).toContain(`up ${LIBRARY}/hooks/up`);
    must(machine().command('detach', '/etc/openvpn/mounted.conf'));
    expect(machine().read('/run/outside.conf')).toBe('client\nremote 192.0.2.1\n');
    expect(
      machine()
        .list('/etc/openvpn')
        .filter((name) => name.startsWith('.')),
    ).toEqual([]);
  });

  test('take a path from the folder they are called in', () => {
    machine().write(PROFILE, 'client\n');
    must(machine().sh(`cd /etc/openvpn/client && ${LIBRARY}/cli.js attach mine.conf`));
    expect(machine().read(PROFILE)).toContain(`up ${LIBRARY}/hooks/up`);
    must(machine().command('detach', PROFILE));
  });

  test('refuse a folder', () => {
    const { status, stderr } = machine().command('attach', '/etc/openvpn');
    expect(status).toBe(78);
    expect(stderr).toMatch(/\/etc\/openvpn: EISDIR/);
  });
});

import { describe, expect, test } from 'vitest';
import { attach } from '../../../src/cli/attach.ts';
import { detach } from '../../../src/cli/detach.ts';
import { PATHS } from '../../../src/host/paths.ts';
import { linesOf } from '../../support/context.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';
import { thrownBy } from '../../support/thrown-by.ts';
import { vpnKeyfile } from '../../support/vpn-keyfile.ts';

const [A, B, C] = ['a', 'b', 'c'].map(
  (digit) => `${digit.repeat(8)}-4440-48b0-bdf8-0d3ad6826b17`,
) as [string, string, string];
const FOLDER = '/etc/NetworkManager/system-connections';
const KEYS = ['ipv4.dns-priority', 'ipv6.dns-priority'] as const;
const KEPT = `${PATHS.state}/networkmanager.json`;

/**
 * A machine with a NetworkManager that does what nmcli(1) says, and the priorities that its
 * connections have.
 */
function machine(
  files: Readonly<Record<string, string>> = {},
  root = true,
): { readonly host: FakeHost; readonly priorities: Map<string, [string, string]> } {
  const priorities = new Map(
    [A, B, C].map((uuid): [string, [string, string]] => [uuid, ['0', '0']]),
  );
  const host = fakeHost({
    root,
    files: {
      [PATHS.dispatcher]: '',
      [`${FOLDER}/a`]: vpnKeyfile({ uuid: A, name: 'My VPN $(reboot)' }),
      [`${FOLDER}/b`]: vpnKeyfile({ uuid: B, name: 'Twice' }),
      [`${FOLDER}/c`]: vpnKeyfile({ uuid: C, name: 'Other', plugin: 'vpnc' }),
      ...files,
    },
    answer: ({ program, args }) => {
      expect(program).toBe('nmcli');
      const text = args.join(' ');
      const uuid = /uuid (\S+)/.exec(text)?.[1] ?? '';
      if (text === `-g ${KEYS.join(',')} connection show uuid ${uuid}`)
        return { stdout: `${priorities.get(uuid)?.join('\n')}\n` };
      const [, four = '', six = ''] =
        /^connection modify uuid \S+ ipv4\.dns-priority (\S+) ipv6\.dns-priority (\S+)$/.exec(
          text,
        ) ?? [];
      expect(four).not.toBe('');
      priorities.set(uuid, [four, six]);
      return {};
    },
  });
  return { host, priorities };
}

describe('attach --networkmanager', () => {
  test.each([
    ['its name', 'My VPN $(reboot)'],
    ['its uuid', A],
    ['its uuid in capitals', A.toUpperCase()],
  ])(
    'makes the resolvers of a connection, meant by %s, the only ones, and detach puts back what was there',
    (_, name) => {
      const { host, priorities } = machine();
      priorities.set(A, ['20', '30']);
      linesOf(attach, host, '--networkmanager', name);
      expect(priorities.get(A)).toEqual(['-50', '-50']);
      expect(priorities.get(B)).toEqual(['0', '0']);
      linesOf(detach, host, '--networkmanager', name);
      expect(priorities.get(A)).toEqual(['20', '30']);
      expect(host.files.has(KEPT)).toBe(false);
    },
  );

  test('twice changes nothing more, and keeps what was there first', () => {
    const { host, priorities } = machine();
    linesOf(attach, host, '--networkmanager', A);
    expect(linesOf(attach, host, '--networkmanager', A)).toEqual([
      'My VPN $(reboot): is attached already',
    ]);
    linesOf(detach, host, '--networkmanager', A);
    expect(priorities.get(A)).toEqual(['0', '0']);
  });

  test('leaves a connection alone whose resolvers are the only ones already, and so does detach', () => {
    const { host, priorities } = machine();
    priorities.set(A, ['-1', '-7']);
    linesOf(attach, host, '--networkmanager', A);
    linesOf(detach, host, '--networkmanager', A);
    expect(priorities.get(A)).toEqual(['-1', '-7']);
  });

  test('keeps the previous values before it changes anything', () => {
    const { host } = machine();
    let kept: string | undefined;
    const run: FakeHost['run'] = (command) => {
      if (command.args.includes('modify')) kept = host.files.get(KEPT);
      return host.run(command);
    };
    linesOf(attach, { ...host, run }, '--networkmanager', A);
    expect(JSON.parse(kept ?? '')).toEqual({ [A]: { [KEYS[0]]: '0', [KEYS[1]]: '0' } });
  });

  test('takes several names', () => {
    const { host, priorities } = machine();
    linesOf(attach, host, '--networkmanager', A, '--networkmanager=Twice');
    expect([...priorities.values()]).toEqual([
      ['-50', '-50'],
      ['-50', '-50'],
      ['0', '0'],
    ]);
  });

  test('--dry-run says what it would do, and does nothing', () => {
    const { host, priorities } = machine();
    const dryRun = (command: typeof attach) => {
      const before = new Map(host.files);
      const lines = linesOf(command, host, '--dry-run', '--networkmanager', A);
      expect(host.files).toEqual(before);
      return lines;
    };
    expect(dryRun(attach)).toEqual([expect.stringContaining('would be below zero')]);
    expect(dryRun(detach)).toEqual(['# My VPN $(reboot): holds nothing of ours']);
    expect(priorities.get(A)).toEqual(['0', '0']);
    linesOf(attach, host, '--networkmanager', A);
    expect(dryRun(attach)).toEqual(['# My VPN $(reboot): is attached already']);
    expect(dryRun(detach)).toEqual([expect.stringContaining('would be undone')]);
    expect(priorities.get(A)).toEqual(['-50', '-50']);
  });

  test.each([
    ['a name that nobody has', 'Nobody', /keeps no VPN of that name/],
    ['a name that two have', 'Twice', /2 VPNs have that name/],
    ['a VPN of another plugin', 'Other', /not an OpenVPN connection/],
    ['a name with escape sequences', '\x1b[2J', /^\\x1b\[2J: /],
  ])('refuses %s, and changes nothing', (_, name, problem) => {
    const { host } = machine({
      [`${FOLDER}/d`]: vpnKeyfile({ uuid: 'd'.repeat(32), name: 'Twice' }),
    });
    const error = thrownBy(() =>
      linesOf(attach, host, '--networkmanager', A, '--networkmanager', name),
    );
    expect(error.code).toBe('PROFILE');
    expect(error.detail.join('\n')).toMatch(problem);
    expect(host.commands).toEqual([]);
  });

  test('says what NetworkManager says when it does not run', () => {
    const { host } = machine();
    const run: FakeHost['run'] = () => ({
      status: 8,
      stdout: '',
      stderr: 'Error: NetworkManager is not running.\n',
    });
    const error = thrownBy(() => linesOf(attach, { ...host, run }, '--networkmanager', A));
    expect([error.code, ...error.detail]).toEqual([
      'PROFILE',
      'Error: NetworkManager is not running.',
    ]);
    expect(host.files.has(KEPT)).toBe(false);
  });

  test('needs the dispatcher script, without which nobody reports the tunnel', () => {
    const { host } = machine();
    host.files.delete(PATHS.dispatcher);
    expect(thrownBy(() => linesOf(attach, host, '--networkmanager', A)).code).toBe('FILES');
    expect(host.commands).toEqual([]);
  });

  test('needs root, and takes no profile besides', () => {
    expect(
      thrownBy(() => linesOf(attach, machine({}, false).host, '--networkmanager', A)).code,
    ).toBe('NOT_ROOT');
    expect(
      thrownBy(() => linesOf(attach, machine().host, '--networkmanager', A, '/etc/openvpn/a.conf'))
        .code,
    ).toBe('USAGE');
  });
});

test('detach --networkmanager leaves a priority alone that somebody has changed since', () => {
  const { host, priorities } = machine();
  linesOf(attach, host, '--networkmanager', A);
  priorities.set(A, ['-50', '10']);
  linesOf(detach, host, '--networkmanager', A);
  expect(priorities.get(A)).toEqual(['-50', '10']);
  expect(host.files.has(KEPT)).toBe(false);
});

test.each(['', 'x', '[]', '{"a":1}', `{"${A}":{"${KEYS[0]}":"$(reboot)","${KEYS[1]}":"0"}}`])(
  'a memory that holds %j is as if there was none',
  (text) => {
    const { host, priorities } = machine({ [KEPT]: text });
    priorities.set(A, ['-50', '-50']);
    expect(linesOf(detach, host, '--networkmanager', A)).toEqual([
      'My VPN $(reboot): holds nothing of ours',
    ]);
  },
);

import { describe, expect, test } from 'vitest';
import { type BootMachine, STRATEGY_NAMES } from '../../../src/boot/boot-strategy.ts';
import { strategyOf } from '../../../src/boot/choose-boot.ts';
import { followNftables } from '../../../src/boot/follow-nftables.ts';
import {
  NFTABLES_DROP_IN,
  NFTABLES_DROP_IN_NOW,
  nftablesOpens,
} from '../../../src/boot/nftables-service.ts';
import { planBoot } from '../../../src/boot/plan-boot.ts';
import { type FakeMachine, fakeHost } from '../../support/fake-host.ts';

const UNIT = '/lib/systemd/system/nftables.service';
const unit = (...lines: readonly string[]) =>
  `[Unit]\nDescription=nftables\n\n[Service]\nType=oneshot\n${lines.join('\n')}\n`;
const DEBIAN = unit(
  'ExecStart=/usr/sbin/nft -f /etc/nftables.conf',
  'ExecReload=/usr/sbin/nft -f /etc/nftables.conf',
  'ExecStop=/usr/sbin/nft flush ruleset',
);
const FEDORA = unit(
  'ExecStart=/sbin/nft -f /etc/sysconfig/nftables.conf',
  `ExecReload=/sbin/nft 'flush ruleset; include "/etc/sysconfig/nftables.conf";'`,
  'ExecStop=/sbin/nft flush ruleset',
);
const OURS = 'include "/var/lib/ovpn-killswitch/*.nft"; include "/var/lib/ovpn-killswitch/*.hold";';
const THEN = '-/usr/local/lib/ovpn-killswitch/boot --flushed';

function machine(files: Readonly<Record<string, string>>): BootMachine {
  return {
    read: (path) => files[path],
    exists: (path) => path in files,
    list: (folder) =>
      Object.keys(files).flatMap((path) =>
        path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1)] : [],
      ),
    locked: true,
    base: {},
  };
}
const plan = (files: Readonly<Record<string, string>>) => {
  const { files: written, notes } = planBoot(strategyOf('systemd'), machine(files));
  return {
    text: written.find(({ path }) => path === NFTABLES_DROP_IN)?.text,
    notes: notes.join('\n'),
  };
};

describe('beside nftables.service', () => {
  test.each([
    [
      'Debian',
      DEBIAN,
      ['include "/etc/nftables.conf"', 'include "/etc/nftables.conf"', 'flush ruleset'],
      '/usr/sbin/nft',
    ],
    [
      'Fedora',
      FEDORA,
      [
        'include "/etc/sysconfig/nftables.conf"',
        'flush ruleset; include "/etc/sysconfig/nftables.conf"',
        'flush ruleset',
      ],
      '/sbin/nft',
    ],
  ])(
    'each command of %s loads the base in its own transaction, and has iptables loaded again after it',
    (_, text, scripts, nft) => {
      const lines = ['ExecStart', 'ExecReload', 'ExecStop'].flatMap((key, index) => [
        `${key}=`,
        `${key}=${nft} '${scripts[index]};; ${OURS}'`,
        `${key}=${THEN}`,
      ]);
      const { text: dropIn, notes } = plan({ [UNIT]: text });
      expect(dropIn?.split('\n')).toEqual([
        expect.stringMatching(/^# /),
        '[Service]',
        ...lines,
        '',
      ]);
      expect(notes).toContain('opens nothing');
    },
  );

  test.each(STRATEGY_NAMES)(
    'every way to boot brings the drop-in where systemd runs (%s)',
    (name) => {
      const { files, commands } = planBoot(
        strategyOf(name),
        machine({ [UNIT]: DEBIAN, '/run/systemd/system': '' }),
      );
      expect(files.find(({ path }) => path === NFTABLES_DROP_IN)?.text).toBe(
        plan({ [UNIT]: DEBIAN }).text,
      );
      expect(commands.filter(({ args }) => args.includes('daemon-reload'))).toHaveLength(1);
      const { files: elsewhere } = planBoot(strategyOf(name), machine({ [UNIT]: DEBIAN }));
      expect(elsewhere.some(({ path }) => path === NFTABLES_DROP_IN)).toBe(name === 'systemd');
    },
  );

  test.each([{}, { [UNIT]: DEBIAN, '/etc/systemd/system/nftables.service': '' }])(
    'nothing is written where there is no such service, or a masked one',
    (files) => {
      const { text, notes } = plan(files);
      expect(text).toBeUndefined();
      expect(notes).not.toContain('nftables.service');
    },
  );

  test('what the unit of the machine says counts before that of the package, and our own drop-in is nobody else’s', () => {
    const own = unit('ExecStart=/opt/nft -f /etc/mine.nft');
    expect(plan({ [UNIT]: DEBIAN, '/etc/systemd/system/nftables.service': own }).text).toContain(
      `ExecStart=/opt/nft 'include "/etc/mine.nft";; `,
    );
    const { text } = plan({ [UNIT]: DEBIAN });
    expect(plan({ [UNIT]: DEBIAN, [NFTABLES_DROP_IN]: text ?? '' }).text).toBe(text);
  });

  test.each<readonly [string, Readonly<Record<string, string>>]>([
    [
      'a person has given it other commands',
      {
        [UNIT]: DEBIAN,
        '/etc/systemd/system/nftables.service.d/override.conf': '[Service]\nExecStop=\n',
      },
    ],
    [
      'a person has given it other commands until the next boot',
      {
        [UNIT]: DEBIAN,
        '/run/systemd/system/nftables.service.d/override.conf': '[Service]\nExecStop=\n',
      },
    ],
    ['it runs a script', { [UNIT]: unit('ExecStart=/usr/local/bin/load-rules') }],
    [
      'it says more to nft than is known',
      { [UNIT]: unit('ExecStart=/usr/sbin/nft -I /srv -f /etc/nftables.conf') },
    ],
    [
      'a word in it could end the quotes',
      { [UNIT]: unit(`ExecStart=/usr/sbin/nft -f /etc/it's.conf`) },
    ],
    ['it may have only one command', { [UNIT]: DEBIAN.replace('oneshot', 'simple') }],
    ['it has no command', { [UNIT]: unit() }],
    ['it has two commands for one thing', { [UNIT]: DEBIAN.replace('ExecReload', 'ExecStart') }],
  ])('it is left alone, and "boot enable" says that it opens, when %s', (_, files) => {
    const { text, notes } = plan(files);
    expect(text).toBeUndefined();
    expect(notes).toContain('opens until "lock"');
  });
});

const LIBRARY = '/usr/local/lib/ovpn-killswitch';
const RECORD = '/var/lib/ovpn-killswitch/lock.json';
const record = (locked: boolean, until?: { readonly boot: string; readonly uptime: number }) =>
  JSON.stringify({
    locked,
    since: 1,
    backend: 'nftables',
    before: [],
    made: [],
    ...(until && { until }),
  });
const SYSTEMD = {
  [UNIT]: DEBIAN,
  '/run/systemd/system/x': '',
  [`${LIBRARY}/boot`]: '',
  [`${LIBRARY}/recover`]: '',
};
const OTHER_BOOT = { boot: 'never', uptime: 1 };

/** A machine of systemd on which everything is installed; `recover` does what the script does. */
function lockable(
  files: Readonly<Record<string, string>>,
  answer: NonNullable<FakeMachine['answer']> = () => ({}),
) {
  return fakeHost({
    files: { ...SYSTEMD, ...files },
    answer: (command, host) => {
      if (command.args.includes('nftables-now')) host.remove(NFTABLES_DROP_IN_NOW);
      return answer(command, host);
    },
  });
}
const calls = (host: ReturnType<typeof fakeHost>) =>
  host.commands.map(({ program, args }) => [program, ...args].join(' '));

describe('without boot enable', () => {
  test('a locked machine has the very same drop-in until its next boot, and systemd is told once', () => {
    const host = lockable({ [RECORD]: record(true) });
    followNftables(host);
    expect(host.files.get(NFTABLES_DROP_IN_NOW)).toBe(plan({ [UNIT]: DEBIAN }).text);
    followNftables(host);
    expect(calls(host)).toEqual(['systemctl daemon-reload']);
    expect(host.logged.map(({ level, event }) => [level, event])).toEqual([
      ['info', 'nftables-service'],
    ]);
    expect(nftablesOpens(host)).toBe(false);
  });

  test('a unit that an update gave other commands gets another drop-in with the next lock, and opens until then', () => {
    const host = lockable({ [RECORD]: record(true) });
    followNftables(host);
    host.files.set(UNIT, DEBIAN.replaceAll('/usr/sbin/nft', '/usr/bin/nft'));
    expect(nftablesOpens(host)).toBe(true);
    followNftables(host);
    expect(host.files.get(NFTABLES_DROP_IN_NOW)).toContain('ExecStop=/usr/bin/nft');
    expect(nftablesOpens(host)).toBe(false);
  });

  test.each([
    ['is unlocked', { [RECORD]: record(false) }],
    ['has a lock that nobody confirmed', { [RECORD]: record(true, OTHER_BOOT) }],
    ['has no such unit by now', { [RECORD]: record(true), [UNIT]: '' }],
  ])('one that %s restores it', (_, files) => {
    const host = lockable({ [NFTABLES_DROP_IN_NOW]: '[Service]\n', ...files });
    followNftables(host);
    expect(host.files.has(NFTABLES_DROP_IN_NOW)).toBe(false);
    expect(calls(host)).toEqual([`sh ${LIBRARY}/recover --boot-off nftables-now`]);
  });

  test('one that has a unit with commands of its own by now keeps it until unlock, and says so', () => {
    const host = lockable({
      [NFTABLES_DROP_IN_NOW]: '[Service]\n',
      [RECORD]: record(true),
      [UNIT]: unit('ExecStart=/usr/local/bin/load-rules'),
    });
    followNftables(host);
    expect(host.files.has(NFTABLES_DROP_IN_NOW)).toBe(true);
    expect(nftablesOpens(host)).toBe('unknown');
    host.files.set(RECORD, record(false));
    followNftables(host);
    expect(host.files.has(NFTABLES_DROP_IN_NOW)).toBe(false);
  });

  test.each([
    ['is unlocked', { ...SYSTEMD, [RECORD]: record(false) }],
    ['is not run by systemd', { [UNIT]: DEBIAN, [`${LIBRARY}/boot`]: '', [RECORD]: record(true) }],
    ['has no such service', { ...SYSTEMD, [UNIT]: '', [RECORD]: record(true) }],
    [
      'is locked from a folder, not installed',
      { [UNIT]: DEBIAN, '/run/systemd/system/x': '', [RECORD]: record(true) },
    ],
  ])('nothing is written or called on one that %s', (_, files) => {
    const host = fakeHost({ files });
    followNftables(host);
    expect([...host.files.keys()].sort()).toEqual(Object.keys(files).sort());
    expect(calls(host)).toEqual([]);
    expect(host.logged).toEqual([]);
  });

  test('what systemd did not read is no protection: the file goes, the log warns, status tells, and the lock holds', () => {
    const host = lockable({ [RECORD]: record(true) }, ({ program }) =>
      program === 'systemctl' ? { status: 1, stderr: 'no bus\n' } : {},
    );
    followNftables(host);
    expect(host.files.has(NFTABLES_DROP_IN_NOW)).toBe(false);
    expect(host.logged).toEqual([
      expect.objectContaining({
        level: 'warn',
        event: 'nftables-service',
        message: expect.stringContaining('no bus'),
      }),
    ]);
    expect(nftablesOpens(host)).toBe(true);
  });

  test('a systemd that is late reads it all the same: the file stays, and the log warns', () => {
    const host = lockable({ [RECORD]: record(true) }, ({ program }) =>
      program === 'systemctl' ? { status: null, stderr: 'stopped' } : {},
    );
    followNftables(host);
    expect(host.files.has(NFTABLES_DROP_IN_NOW)).toBe(true);
    expect(host.logged).toEqual([
      expect.objectContaining({ level: 'warn', message: expect.stringContaining('stopped') }),
    ]);
  });

  test('of two drop-ins of one name that in /etc counts', () => {
    const host = lockable({ [RECORD]: record(true) });
    followNftables(host);
    host.files.set(NFTABLES_DROP_IN, '[Service]\n# of an older unit\n');
    expect(nftablesOpens(host)).toBe(true);
  });
});

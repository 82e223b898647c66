import { describe, expect, test } from 'vitest';
import { readBoot } from '../../../src/boot/boot-report.ts';
import { disableBoot, enableBoot, followBoot } from '../../../src/boot/enable.ts';
import { NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from '../../../src/boot/nftables-service.ts';
import type { Command } from '../../../src/host/command.ts';
import { sealed } from '../../../src/record/base-texts.ts';
import { type FakeHost, type FakeMachine, fakeHost } from '../../support/fake-host.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const LIBRARY = '/usr/local/lib/ovpn-killswitch';
const STATE = '/var/lib/ovpn-killswitch';
const LOCKED = JSON.stringify({
  locked: true,
  since: 1,
  backend: 'nftables',
  before: [],
  made: [],
});

const INSTALLED = { [`${LIBRARY}/boot`]: '', [`${LIBRARY}/recover`]: '' };
const LOCKED_FILES = {
  ...INSTALLED,
  [`${STATE}/lock.json`]: LOCKED,
  [`${STATE}/base.nft`]: sealed('table inet ovpn_killswitch\n'),
};
const SYSTEMD: FakeMachine = {
  files: { ...LOCKED_FILES, '/run/systemd/system/x': '' },
  programs: ['systemctl'],
};
const calls = (host: FakeHost) =>
  host.commands.map(({ program, args }) => [program, ...args].join(' '));

describe('boot enable', () => {
  test('writes the new way, calls what belongs to it, and only then takes the others away', () => {
    const host = fakeHost({
      files: { ...LOCKED_FILES, '/run/openrc/softlevel': '', '/etc/debian_version': '12' },
      programs: ['rc-update'],
    });
    expect(enableBoot(host, 'auto').strategy.name).toBe('openrc');
    expect(calls(host)).toEqual([
      'rc-update add ovpn-killswitch sysinit',
      `sh ${LIBRARY}/recover --boot-off systemd netfilter-persistent sysconfig`,
    ]);
    expect(host.files.has('/etc/init.d/ovpn-killswitch')).toBe(true);
  });

  test('beside netfilter-persistent writes its plugin too, and leaves it there', () => {
    const plugins = '/usr/share/netfilter-persistent/plugins.d';
    const host = fakeHost({
      ...SYSTEMD,
      files: { ...SYSTEMD.files, [`${plugins}/15-ip4tables`]: '' },
    });
    enableBoot(host, 'auto');
    expect(host.files.get(`${plugins}/50-ovpn-killswitch`)).toContain(
      `exec ${LIBRARY}/boot --restored`,
    );
    expect(calls(host).join()).toContain('--boot-off openrc sysconfig');
    expect(readBoot(host).problems).toEqual([]);
  });

  test('on a machine nobody has decided about says to the boot script that it is unlocked, and decides nothing', () => {
    const host = fakeHost({ ...SYSTEMD, files: { ...INSTALLED, '/run/systemd/system/x': '' } });
    enableBoot(host, 'auto');
    expect(host.files.get(`${STATE}/lock.plain`)).toBe('unlocked\n');
    expect(host.files.has(`${STATE}/lock.json`)).toBe(false);
  });

  test('writes nothing before install, and says what fails', () => {
    const bare = fakeHost({ programs: ['systemctl'] });
    expect(() => enableBoot(bare, 'systemd')).toThrow('/boot is missing');
    expect([...bare.files.keys()]).toEqual([]);
    const failing = fakeHost({
      ...SYSTEMD,
      answer: ({ program }) => (program === 'systemctl' ? { status: 1, stderr: 'no bus' } : {}),
    });
    expect(() => enableBoot(failing, 'auto')).toThrow('systemctl daemon-reload failed');
  });

  const reload = (status: number | null) => (command: Command) =>
    command.program === 'systemctl' ? { status, stderr: 'no bus' } : {};

  test.each([1, null])(
    'that fails (status %s) takes its files away by the script, and keeps no name',
    (status) => {
      const host = fakeHost({ ...SYSTEMD, answer: reload(status) });
      expect(thrownBy(() => enableBoot(host, 'systemd'))).toMatchObject({
        code: 'NO_BOOT',
        detail: ['no bus', 'Nothing is loaded at boot: every file was removed again.'],
      });
      expect(calls(host).at(-1)).toBe(`sh ${LIBRARY}/recover --boot-off systemd`);
      expect(readBoot(host).strategy).toBeUndefined();
    },
  );

  test('that fails beside another way leaves that in charge', () => {
    const host = fakeHost({
      ...SYSTEMD,
      files: { ...SYSTEMD.files, [`${STATE}/boot/with`]: 'plain\n' },
      answer: reload(1),
    });
    expect(thrownBy(() => enableBoot(host, 'systemd'))).toMatchObject({
      detail: ['no bus', 'The rules are still loaded at boot by plain.'],
    });
    expect(host.files.get(`${STATE}/boot/with`)).toBe('plain\n');
  });

  test('that fails and cannot be taken back is known to status', () => {
    const host = fakeHost({
      ...SYSTEMD,
      answer: ({ program }) =>
        ['systemctl', 'sh'].includes(program) ? { status: 1, stderr: 'no bus' } : {},
    });
    expect(() => enableBoot(host, 'systemd')).toThrow('systemctl daemon-reload failed');
    expect(host.files.get(`${STATE}/boot/with`)).toBe('systemd\n');
  });

  test('is known to status before the first command runs', () => {
    const kept: (string | undefined)[] = [];
    const keep = () => {
      kept.push(host.files.get(`${STATE}/boot/with`));
      return {};
    };
    const host: FakeHost = fakeHost({ ...SYSTEMD, answer: keep });
    enableBoot(host, 'systemd');
    expect(kept[0]).toBe('systemd\n');
  });

  test('is followed by disable, which leaves nothing in the state', () => {
    const host = fakeHost(SYSTEMD);
    enableBoot(host, 'auto');
    expect(disableBoot(host)?.name).toBe('systemd');
    expect(calls(host).at(-1)).toBe(
      `sh ${LIBRARY}/recover --boot-off systemd openrc netfilter-persistent sysconfig nftables sysctl`,
    );
    expect(readBoot(host).strategy).toBeUndefined();
  });
});

describe('nftables.service', () => {
  const unit = '/lib/systemd/system/nftables.service';
  const before = {
    ...SYSTEMD,
    files: {
      ...SYSTEMD.files,
      [unit]: '[Service]\nType=oneshot\nExecStop=/usr/sbin/nft flush ruleset\n',
    },
  };

  test('is told for now before "boot disable" takes away what told it for each boot: a locked machine may have been started since', () => {
    const told: boolean[] = [];
    const host = fakeHost({
      ...before,
      answer: ({ args }, { files }) => {
        if (args.includes('--boot-off')) told.push(files.has(NFTABLES_DROP_IN_NOW));
        return {};
      },
    });
    enableBoot(host, 'auto');
    expect(host.files.has(NFTABLES_DROP_IN)).toBe(true);
    disableBoot(host);
    expect(told).toEqual([false, true]);
  });

  test('that got commands of its own stays shut until unlock, and the report names a drop-in that somebody changed', () => {
    const host = fakeHost(before);
    enableBoot(host, 'auto');
    host.files.set(NFTABLES_DROP_IN, '[Service]\n');
    expect(readBoot(host).problems).toEqual([`${NFTABLES_DROP_IN} is not what it should be`]);
    host.files.set('/etc/systemd/system/nftables.service.d/own.conf', '[Service]\nExecStop=\n');
    enableBoot(host, 'auto');
    expect(host.files.has(NFTABLES_DROP_IN)).toBe(true);
    host.files.set(`${STATE}/lock.json`, LOCKED.replace('true', 'false'));
    followBoot(host);
    expect(calls(host)).toContain(`sh ${LIBRARY}/recover --boot-off nftables`);
  });

  test('is told for each boot only while that is to be locked: a lock that nobody confirms ends with the boot', () => {
    const host = fakeHost({
      ...before,
      answer: ({ args }, { files }) => {
        if (args.includes('nftables')) files.delete(NFTABLES_DROP_IN);
        if (args.includes('nftables-now')) files.delete(NFTABLES_DROP_IN_NOW);
        return {};
      },
    });
    const record = (locked: boolean, until: boolean) => {
      const [boot, uptime] = [host.read('/proc/sys/kernel/random/boot_id')?.trim() ?? '', 3600];
      const text = JSON.stringify({
        ...JSON.parse(LOCKED),
        locked,
        ...(until && { until: { boot, uptime } }),
      });
      host.files.set(`${STATE}/lock.json`, text);
      followBoot(host);
      return [host.files.has(NFTABLES_DROP_IN), host.files.has(NFTABLES_DROP_IN_NOW)];
    };
    host.files.set('/proc/sys/kernel/random/boot_id', 'this\n');
    host.files.set('/proc/uptime', '1.00 1.00\n');
    host.files.set(`${STATE}/lock.json`, LOCKED.replace('true', 'false'));
    enableBoot(host, 'auto');
    expect([host.files.has(NFTABLES_DROP_IN), host.files.has(NFTABLES_DROP_IN_NOW)]).toEqual([
      false,
      false,
    ]);
    expect(record(true, true)).toEqual([false, true]);
    expect(record(true, false)).toEqual([true, true]);
    expect(record(false, true)).toEqual([true, false]);
    expect(record(false, false)).toEqual([false, false]);
  });

  test('follows each lock and unlock', () => {
    const host = fakeHost(before);
    followBoot(host);
    expect(host.files.has(NFTABLES_DROP_IN_NOW)).toBe(true);
    host.files.set(`${STATE}/lock.json`, LOCKED.replace('true', 'false'));
    followBoot(host);
    expect(calls(host).at(-1)).toBe(`sh ${LIBRARY}/recover --boot-off nftables-now`);
  });
});

describe('the report', () => {
  const enabled = () => {
    const host = fakeHost(SYSTEMD);
    enableBoot(host, 'auto');
    return host;
  };

  test('has no problem when all is as it was written', () => {
    expect(readBoot(enabled())).toMatchObject({
      strategy: { name: 'systemd' },
      sysctl: false,
      problems: [],
    });
  });

  test.each([
    [
      'a unit that is masked',
      '/etc/systemd/system/ovpn-killswitch.service',
      '',
      'is not what it should be',
    ],
    [
      'a drop-in that is gone',
      '/etc/systemd/system/NetworkManager.service.d/ovpn-killswitch-boot.conf',
      undefined,
      'is not what it should be',
    ],
    ['a base that is damaged', `${STATE}/base.nft`, 'table inet', 'is damaged'],
    ['a base that is gone', `${STATE}/base.nft`, undefined, 'holds no base rules'],
    ['a script that is gone', `${LIBRARY}/boot`, undefined, 'is missing'],
    [
      'what the last boot could not load',
      '/run/ovpn-killswitch/boot.problem',
      'nft did not take it\n',
      'nft did not take it',
    ],
  ])('names %s', (_, path, text, problem) => {
    const host = enabled();
    if (text === undefined) host.remove(path);
    else host.files.set(path, text);
    expect(readBoot(host).problems).toEqual([expect.stringContaining(problem)]);
  });
});

describe('after lock and unlock', () => {
  test('a network that the boot script took away is restored', () => {
    const host = fakeHost({
      files: { ...LOCKED_FILES, '/run/ovpn-killswitch/boot.problem': 'no tool\n' },
    });
    followBoot(host);
    expect(calls(host)).toEqual([`sh ${LIBRARY}/boot --reopen`]);
  });

  test('nothing is called when nothing has to follow', () => {
    const host = fakeHost(SYSTEMD);
    enableBoot(host, 'auto');
    const before = host.commands.length;
    followBoot(host);
    expect(host.commands).toHaveLength(before);
  });
});

import { describe, expect, test } from 'vitest';
import { type BootMachine, STRATEGY_NAMES } from '../../../src/boot/boot-strategy.ts';
import { strategyOf } from '../../../src/boot/choose-boot.ts';
import { sealed, unsealed } from '../../../src/record/base-texts.ts';
import { countsExposure, exposureOf } from '../../support/exposure.ts';

const machine: BootMachine = {
  read: () => undefined,
  exists: () => false,
  list: () => [],
  locked: true,
  base: { 'base.v4': '*filter\nCOMMIT\n' },
};
const textsOf = (name: (typeof STRATEGY_NAMES)[number]) => strategyOf(name).plan(machine).files;

describe('what each strategy writes', () => {
  test.each(STRATEGY_NAMES)('%s', (name) => {
    const { files, commands, links, notes } = strategyOf(name).plan(machine);
    const shown = files.map(({ path, text, mode }) => `==> ${path} (${mode.toString(8)})\n${text}`);
    const run = commands.map(({ program, args }) => `$ ${[program, ...args].join(' ')}`);
    expect(
      [
        ...shown,
        ...run,
        ...links.map((path) => `-> ${path}`),
        ...notes.map((note) => `# ${note}`),
      ].join('\n'),
    ).toMatchSnapshot();
  });

  test('lies under names that the script recover takes away again', () => {
    const known = [
      /^\/etc\/systemd\/system\/ovpn-killswitch(-early)?\.service$/,
      /^\/etc\/systemd\/system\/[^/]+\.d\/ovpn-killswitch-boot\.conf$/,
      /^\/etc\/init\.d\/ovpn-killswitch$/,
      /^\/usr\/share\/netfilter-persistent\/plugins\.d\/50-ovpn-killswitch$/,
      /^\/etc\/sysconfig\/ip6?tables(-config)?$/,
    ];
    const paths = STRATEGY_NAMES.flatMap((name) => textsOf(name).map(({ path }) => path));
    expect(paths.filter((path) => !known.some((each) => each.test(path)))).toEqual([]);
    expect(known.filter((each) => !paths.some((path) => each.test(path)))).toEqual([]);
  });
});

describe('systemd', () => {
  test.skipIf(!countsExposure()).each(['ovpn-killswitch.service', 'ovpn-killswitch-early.service'])(
    '%s is exposed less than 5.0, as systemd-analyze counts, and needs no name space for it',
    (name) => {
      expect(exposureOf(unit(name))).toBeLessThan(5);
      // Where one cannot be made, systemd does not start the unit, and the network stays off.
      expect(unit(name)).not.toMatch(
        /^(Private|Protect|ReadOnly|Inaccessible|Temporary|Bind|Root)\w*=/m,
      );
    },
  );

  const unit = (name: string) =>
    textsOf('systemd').find(({ path }) => path.endsWith(`/${name}`))?.text ?? '';

  test('starts nothing that brings a network up unless the base is loaded: such a service requires the unit and waits for it', () => {
    const requiring = textsOf('systemd').filter(({ text }) =>
      text.includes(
        'Requires=ovpn-killswitch.service\nAfter=ovpn-killswitch-early.service ovpn-killswitch.service\nAssertPathExists=/run/ovpn-killswitch/boot.done\n',
      ),
    );
    const services = requiring.map(({ path }) => path.split('/').at(-2));
    expect(services).toEqual(
      expect.arrayContaining([
        'NetworkManager.service.d',
        'systemd-networkd.service.d',
        'networking.service.d',
        'docker.service.d',
        'libvirtd.service.d',
      ]),
    );
  });

  test('loads the base after everything that flushes rules at its start', () => {
    const after = /^After=(.*)$/m.exec(unit('ovpn-killswitch.service'))?.[1]?.split(' ');
    expect(after).toEqual(
      expect.arrayContaining([
        'nftables.service',
        'netfilter-persistent.service',
        'firewalld.service',
        'iptables.service',
      ]),
    );
  });

  test('depends on nothing that could fail in its place: its own units require nothing', () => {
    for (const name of ['ovpn-killswitch.service', 'ovpn-killswitch-early.service'])
      expect(unit(name)).not.toMatch(
        /^(Requires|Requisite|BindsTo|RequiresMountsFor|ConditionPath\w+|AssertPath\w+)=/m,
      );
  });

  test('opens nothing when it is stopped', () => {
    for (const name of ['ovpn-killswitch.service', 'ovpn-killswitch-early.service'])
      expect(unit(name)).not.toContain('ExecStop');
  });
});

describe('netfilter-persistent', () => {
  const plan = (there: string) => () =>
    strategyOf('netfilter-persistent').plan({ ...machine, exists: (path) => path === there });

  test('is refused under OpenRC, and says where systemd does not run that it is late', () => {
    expect(plan('/run/openrc/softlevel')).toThrow('after the network');
    expect(plan('/run/systemd/system')().notes.join('\n')).not.toContain('after the network');
    expect(plan('')().notes.join('\n')).toContain('after the network');
  });
});

describe('OpenRC', () => {
  const PERSISTENT = '/etc/runlevels/sysinit/netfilter-persistent';
  const plan = (there: readonly string[], base: BootMachine['base']) => () =>
    strategyOf('openrc').plan({ ...machine, exists: (path) => there.includes(path), base });

  test('loads the base before every network: also before the service of Debian that does not say it provides one', () => {
    expect(textsOf('openrc')[0]?.text).toMatch(/^\tbefore net networking$/m);
  });

  test('is refused beside netfilter-persistent for rules of iptables, and for no others', () => {
    expect(plan([PERSISTENT], machine.base)).toThrow('netfilter-persistent');
    expect(plan([PERSISTENT], { 'base.nft': 'table inet ovpn_killswitch\n' })).not.toThrow();
    expect(plan([], machine.base)).not.toThrow();
  });

  test.each([
    ['iptables', 'base.v4'],
    ['ip6tables', 'base.v6'],
    ['nftables', 'base.v4'],
    ['nftables', 'base.nft'],
  ] as const)(
    'is refused while %s restores in a later runlevel what would replace %s, and for no other base',
    (service, file) => {
      const base = { [file]: 'text\n' };
      expect(plan([`/etc/runlevels/default/${service}`], base)).toThrow(
        `OpenRC starts ${service} in the runlevel default, after our service`,
      );
      expect(plan([`/etc/runlevels/boot/${service}`], base)).not.toThrow();
      expect(plan([`/etc/runlevels/default/${service}`], {})).not.toThrow();
      if (service !== 'nftables')
        expect(plan([`/etc/runlevels/default/${service}`], { 'base.nft': 'text\n' })).not.toThrow();
    },
  );
});

describe('a sealed text', () => {
  const TEXT = 'table inet mine\ndelete table inet mine\ntable inet mine {\n}\n';

  test('restores its script', () => {
    expect(unsealed(sealed(TEXT))).toBe(TEXT);
  });

  test('is known as damaged when any part of it is cut off, and when any byte is another', () => {
    const whole = sealed(TEXT);
    for (let length = 0; length < whole.length; length++)
      expect(unsealed(whole.slice(0, length)), `${length} bytes`).toBeUndefined();
    for (let at = 0; at < whole.length; at++) {
      const other = whole[at] === 'x' ? 'y' : 'x';
      expect(
        unsealed(whole.slice(0, at) + other + whole.slice(at + 1)),
        `byte ${at}`,
      ).toBeUndefined();
    }
  });

  test('may end in no other text', () => {
    expect(unsealed(`${sealed(TEXT)}flush ruleset\n`)).toBeUndefined();
  });
});

import { describe, expect, test } from 'vitest';
import { iptables } from '../../../src/backend/iptables.ts';
import { KillswitchError } from '../../../src/errors.ts';
import { isPattern, parseInterfaces } from '../../../src/net/interface-pattern.ts';
import type { Port } from '../../../src/net/port.ts';
import { attach } from '../../../src/tunnel/attachment.ts';
import { CHECKS } from '../../../src/view/doctor/checks.ts';
import { type DoctorFacts, readDoctorFacts } from '../../../src/view/doctor/facts.ts';
import type { OpenvpnUnit } from '../../../src/view/doctor/openvpn-units.ts';
import { type FakeMachine, fakeHost } from '../../support/fake-host.ts';
import { NOW, viewOf } from '../../support/views.ts';

const HOOKS = '/usr/local/lib/ovpn-killswitch/hooks';
const attached = attach('client\ndev tun\nremote 203.0.113.10 1194\npersist-tun\n', {
  folder: HOOKS,
  harden: true,
});
const PROFILE = {
  path: '/etc/openvpn/client/a.conf',
  text: 'text' in attached ? attached.text : '',
};
const LOCKED = viewOf('connected, two tunnels').report;
const SYSTEMD = {
  name: 'systemd',
  loader: 'systemd',
  plan: () => ({ files: [], commands: [], links: [], notes: [] }),
} as const;

/** Self-signed, with the subject CN=test. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUbbOzMSZeGZSipzw1DRcSkxSExm8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjIxNDIwNDNaGA8yMTI2MTAyOTE0MjA0
M1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMVe
3Evogf/78yfQZvtGynrTaSqq7hBsi+U2Bjwoajj25st83hMVAE3A33UEjpAra4Qn
6YNROrrJSgUkZMiugZmjUzBRMB0GA1UdDgQWBBTYLfG5hyvTJ4YsU0o9TNhvG9M2
FTAfBgNVHSMEGDAWgBTYLfG5hyvTJ4YsU0o9TNhvG9M2FTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIEuIwSpR60ql0EiErMXBjpG1S/hkXP5/bvin
aZpvDb4HAiEAjQaA9IpC/CTDg/IFpGfkC3YnOr0o0FQ340Wwcf7gvOk=
-----END CERTIFICATE-----
`;

const ROOMY: OpenvpnUnit = {
  name: 'openvpn@.service',
  tasks: 10,
  processes: undefined,
  refusesCompilers: false,
  account: undefined,
  readOnly: [],
};

/** A machine on which nothing is wrong. */
const HEALTHY: DoctorFacts = {
  now: NOW,
  guarded: [
    { path: '/usr', uid: 0, mode: 0o755, kind: 'folder' },
    { path: '/tmp', uid: 0, mode: 0o1777, kind: 'folder' },
    { path: `${HOOKS}/up`, uid: 0, mode: 0o755, kind: 'file' },
    { path: '/usr/local/sbin/ovpn-killswitch', uid: 0, mode: 0o777, kind: 'link' },
  ],
  interpreter: { path: '/usr/bin/node', isThere: true },
  settingsError: undefined,
  report: LOCKED,
  refusal: undefined,
  hasModules: true,
  hasFlock: true,
  hasIpv6: true,
  hasIp6tables: true,
  iptables: { legacy: false, nft: true },
  neighbours: [],
  otherDrops: [],
  program: ['/usr/bin/node', '/home/me/checkout/dist/cli.js'],
  reroutes: [],
  forwardedCards: [],
  unreadable: [],
  flowtables: [],
  showsFrames: false,
  leftDevices: [],
  takenAddresses: [],
  profiles: [PROFILE],
  unreadProfiles: [],
  certificates: [{ profile: PROFILE.path, from: NOW - 1 }],
  addresses: new Map(),
  units: [ROOMY],
  denials: [],
  resolvers: { setting: 'auto', demands: [], inUse: [], differences: [] },
  shutLogin: undefined,
  boot: { strategy: SYSTEMD, sysctl: false, problems: [] },
  watch: { enabled: true, running: true },
};

const found = (facts: DoctorFacts) =>
  CHECKS.flatMap(({ title, find }) => find(facts).map((finding) => ({ title, ...finding })));

test('on a healthy machine nothing is wrong', () => {
  expect(found(HEALTHY)).toEqual([]);
});

/** A fault, and the finding of doctor. */
const AILMENTS: readonly (readonly [
  ailment: string,
  change: Partial<DoctorFacts>,
  what: RegExp,
  fix: RegExp,
])[] = [
  [
    'a profile that others than root can change',
    {
      unreadProfiles: [
        {
          path: '/home/u/x.ovpn',
          error: new KillswitchError('OWNER', '/home/u belongs to u', 'Move it'),
        },
      ],
    },
    /home.u belongs to u/,
    /attach --copy .home.u.x.ovpn/,
  ],
  [
    'settings that do not parse',
    {
      report: new KillswitchError('SETTINGS', 'the settings have one problem', 'Fix the file', [
        'line 3: KILLSWITCH_LAN no',
      ]),
    },
    /one problem: line 3/,
    /Fix the file/,
  ],
  [
    'a mistake in the settings file, with which up fails, although others are in force',
    {
      settingsError: new KillswitchError(
        'SETTINGS',
        'the settings have one problem',
        'Fix the file',
      ),
      report: { ...LOCKED, settingsChanged: true },
    },
    /one problem/,
    /Fix the file/,
  ],
  [
    'no hooks',
    { interpreter: undefined },
    /not installed/,
    /^sudo \/usr\/bin\/node \/home\/me\/checkout\/dist\/cli\.js install$/,
  ],
  [
    'a split tunnel by mark',
    {
      reroutes: [
        {
          what: 'the routing rule "32765: from all fwmark 0x1 lookup 100"',
          show: 'sudo ip -4 rule show',
        },
      ],
    },
    /fwmark 0x1 lookup 100" leads packets elsewhere/,
    /^sudo ip -4 rule show #/,
  ],
  [
    'a pattern of guests that means a network card',
    {
      forwardedCards: ['en*']
        .flatMap((text) => parseInterfaces(text) ?? [])
        .filter(isPattern)
        .map((pattern) => ({
          pattern,
          device: 'eth0',
          what: 'an uplink',
        })),
    },
    /^en\* in KILLSWITCH_FORWARD means eth0, which is an uplink/,
    /^sudoedit .*killswitch\.env/,
  ],
  [
    'a table that iptables cannot read',
    { unreadable: ["iptables-save cannot read its tables: # Table `filter' is incompatible"] },
    /cannot read its tables/,
    /KILLSWITCH_BACKEND=nftables/,
  ],
  [
    'hooks whose Node is gone',
    { interpreter: { path: '/usr/bin/node', isThere: false } },
    /not there/,
    /install/,
  ],
  [
    'a Node in a home folder',
    { interpreter: { path: '/home/me/.nvm/node', isThere: true } },
    /cannot see \/home\/me/,
    /install/,
  ],
  [
    'a folder that only root may enter, on the way to Node',
    { guarded: [{ path: '/usr/bin', uid: 0, mode: 0o700, kind: 'folder' }] },
    /without root \(user nobody\) cannot start: \/usr\/bin is closed/,
    /^sudo chmod o\+rx \/usr\/bin$/,
  ],
  [
    'a hook that nobody but root may run',
    { guarded: [{ path: `${HOOKS}/down`, uid: 0, mode: 0o700, kind: 'file' }] },
    /down is closed/,
    /^sudo chmod o\+rx \S+\/down$/,
  ],
  [
    'a hook that belongs to somebody else',
    { guarded: [{ path: `${HOOKS}/up`, uid: 1000, mode: 0o755, kind: 'file' }] },
    /does not belong to root/,
    /^sudo chown root:root \S+\/up$/,
  ],
  [
    'a folder above that others can write to',
    { guarded: [{ path: '/usr/local', uid: 0, mode: 0o775, kind: 'folder' }] },
    /others than root can write to \/usr\/local$/,
    /^sudo chmod go-w \/usr\/local$/,
  ],
  [
    'a kernel that refuses the rules',
    { refusal: 'nft: Operation not supported' },
    /refuse the rules \(nft: Op/,
    /modprobe/,
  ],
  [
    'a kernel whose modules an update has removed',
    { refusal: 'nft: No such file or directory', hasModules: false },
    /refuse the rules/,
    /^sudo reboot/,
  ],
  ['rules that were changed', { report: { ...LOCKED, exact: false } }, /other rules/, /lock$/],
  [
    'a machine that is not locked',
    { report: { ...LOCKED, state: 'unlocked' } },
    /not locked/,
    /lock$/,
  ],
  [
    'nothing that locks at boot',
    { boot: { ...HEALTHY.boot, strategy: undefined } },
    /after a reboot/,
    /boot enable$/,
  ],
  [
    'something wrong at boot',
    { boot: { ...HEALTHY.boot, problems: ['boot is missing'] } },
    /boot is missing/,
    /boot enable/,
  ],
  [
    'a watch that has ended',
    { watch: { enabled: true, running: false } },
    /watch does not run/,
    /watch enable$/,
  ],
  [
    'changed settings',
    { report: { ...LOCKED, settingsChanged: true } },
    /settings have changed/,
    /lock$/,
  ],
  [
    'two kinds of iptables',
    { iptables: { legacy: true, nft: true } },
    /both iptables-legacy and iptables-nft/,
    /update-alternatives/,
  ],
  [
    'another kill switch',
    {
      neighbours: [
        {
          name: 'Other VPN',
          does: 'is a kill switch too',
          fix: 'sudo systemctl disable --now other',
        },
      ],
    },
    /Other VPN is a kill switch too/,
    /^sudo systemctl disable/,
  ],
  [
    'rules of another kill switch, whoever made them',
    { otherDrops: ['inet killswitch output'] },
    /"inet killswitch output" drops what leaves/,
    /^sudo nft list chain inet killswitch output /,
  ],
  [
    'a flowtable, and nothing to end its connections with',
    { flowtables: ['inet fw ft'] },
    /"inet fw ft" carries connections past every rule/,
    /^sudo apt install conntrack/,
  ],
  [
    'an sshd that lets nobody in anew',
    { shutLogin: { port: 22 as Port, from: undefined, lines: ['KILLSWITCH_LAN_INBOUND=22/tcp'] } },
    /drops every new SSH login \(port 22\)/,
    /# KILLSWITCH_LAN_INBOUND=22\/tcp; then sudo ovpn-killswitch lock$/,
  ],
  [
    'iptables without the table of the second wall',
    { report: { ...LOCKED, choice: { ...LOCKED.choice, backend: iptables(), wall: false } } },
    /no table "mangle"/,
    /KILLSWITCH_BACKEND=nftables; then sudo ovpn-killswitch lock$/,
  ],
  [
    'frames of a bridge that the rules do not know',
    { showsFrames: true, report: { ...LOCKED, choice: { ...LOCKED.choice, frames: false } } },
    /drop frames between the ports of one bridge/,
    /lock$/,
  ],
  [
    'the device of a killed OpenVPN with data channel offload',
    { leftDevices: ['tun0'] },
    /tun0 is a device of data channel offload whose OpenVPN is gone/,
    /^sudo ip link delete dev tun0$/,
  ],
  [
    'a LAN that gives the address of a former tunnel',
    { takenAddresses: [{ interface: 'eth0', address: '10.8.0.2', tunnel: 'tun0' }] },
    /^eth0 has 10\.8\.0\.2, the address that tun0 had/,
    /^sudo ovpn-killswitch lock$/,
  ],
  [
    'a profile without hooks',
    { profiles: [{ path: '/etc/openvpn/b.conf', text: 'client\n' }] },
    /b\.conf does not call up, down, route-up/,
    /attach \/etc/,
  ],
  [
    'a server that no rule can allow',
    {
      profiles: [
        { ...PROFILE, text: PROFILE.text.replace(/^remote .*$/m, 'remote 203.0.113.5 0') },
      ],
    },
    /the server 203\.0\.113\.5 port 0 \(udp\) is not allowed: its port/,
    /^sudoedit \/etc/,
  ],
  [
    'a profile with user nobody',
    { profiles: [{ ...PROFILE, text: `user nobody\n${PROFILE.text}` }] },
    /OpenVPN becomes nobody/,
    /^sudoedit .* # add: plugin/,
  ],
  [
    'a clock before the certificates',
    { certificates: [{ profile: 'a', from: NOW + 86_400 }] },
    /the clock says 2027-01-15T/,
    /^sudo date -u -s '2027-01-16T/,
  ],
  [
    'a denial of AppArmor',
    {
      denials: [
        'audit: apparmor="DENIED" operation="exec" profile="/usr/sbin/openvpn" name="/usr/local/lib/ovpn-killswitch/hooks/up"',
      ],
    },
    /OpenVPN was denied something once/,
    /local\/usr\.sbin\.openvpn; sudo systemctl reload apparmor$/,
  ],
  [
    'a denial of SELinux',
    {
      denials: [
        'avc:  denied  { execute } for comm="openvpn"',
        'avc:  denied  { read } for comm="openvpn"',
      ],
    },
    /OpenVPN was denied something 2 times/,
    /semanage fcontext/,
  ],
  [
    "a denial of NetworkManager's dispatcher",
    {
      denials: [
        'avc:  denied  { execute } for comm="00-ovpn-killswi" scontext=system_u:system_r:NetworkManager_dispatcher_t:s0',
      ],
    },
    /dispatcher was denied something once/,
    /^sudo restorecon -R \/etc\/NetworkManager\/dispatcher\.d /,
  ],
  [
    'a way to set resolvers that is not installed',
    {
      resolvers: new KillswitchError(
        'RESOLVERS',
        'KILLSWITCH_RESOLVER says resolvconf, which is not installed',
        'Install openresolv',
      ),
    },
    /which is not installed/,
    /^Install openresolv$/,
  ],
  [
    'resolvers that are others',
    {
      resolvers: {
        setting: 'auto',
        demands: [],
        inUse: [],
        differences: ['/etc/resolv.conf names others'],
      },
    },
    /names others/,
    /lock$/,
  ],
  [
    'a service without room',
    { units: [{ ...ROOMY, tasks: 5, processes: 100 }] },
    /allows 5 tasks/,
    /TasksMax=20/,
  ],
  [
    'a service that starts OpenVPN as an account',
    { units: [{ ...ROOMY, account: 'openvpn' }] },
    /starts OpenVPN as openvpn: its hooks change nothing/,
    /User=root AmbientCapabilities= /,
  ],
  [
    'a service in which no compiler runs',
    { units: [{ ...ROOMY, refusesCompilers: true }] },
    /Node must have/,
    /MemoryDenyWriteExecute=no/,
  ],
  [
    'a service in which hooks cannot write',
    { units: [{ ...ROOMY, name: 'openvpn-client@me.service', readOnly: ['/etc', '/run'] }] },
    /me\.service keeps a hook from writing to \/etc, \/run/,
    /printf '%s\\n' '\[Service\]' 'ReadWritePaths=\/etc \/run' \| sudo tee \/etc\/systemd\/system\/openvpn-client@me\.service\.d\/folders\.conf/,
  ],
  [
    'a tunnel that has gone',
    { report: { ...LOCKED, stale: LOCKED.intended.live.slice(0, 1) } },
    /tun0 is gone/,
    /lock$/,
  ],
  ['no flock', { hasFlock: false }, /flock/, /apt install util-linux/],
];

describe('doctor finds', () => {
  test.each(AILMENTS)('%s, and what fixes it', (_ailment, change, what, fix) => {
    const findings = found({ ...HEALTHY, ...change });
    expect(findings).toHaveLength(1);
    expect(findings[0]?.what).toMatch(what);
    expect(findings[0]?.fix).toMatch(fix);
  });

  test('something for each of its checks', () => {
    const titles = new Set(
      AILMENTS.flatMap(([, change]) => found({ ...HEALTHY, ...change })).map(({ title }) => title),
    );
    // IPv6 without ip6tables concerns the other backend: see below.
    expect(CHECKS.map(({ title }) => title).filter((title) => !titles.has(title))).toEqual([
      'IPv6 is guarded too',
    ]);
  });

  const { choice } = LOCKED;
  const iptables = {
    ...LOCKED,
    choice: { ...choice, backend: { ...choice.backend, name: 'iptables' } },
  } as const;

  test('the modules of the backend that is used', () => {
    const refused = { ...HEALTHY, refusal: 'no' };
    expect(found(refused)[0]?.fix).toMatch(/nf_tables/);
    expect(found({ ...refused, report: iptables })[0]?.fix).toMatch(/iptable_filter/);
  });

  test('nothing in a folder that only root may enter, when no hook is in there', () => {
    expect(
      found({
        ...HEALTHY,
        guarded: [{ path: '/var/lib/ovpn-killswitch', uid: 0, mode: 0o700, kind: 'folder' }],
      }),
    ).toEqual([]);
  });

  test('IPv6 that no ip6tables guards, with iptables alone', () => {
    const without = { ...HEALTHY, hasIp6tables: false };
    expect(found({ ...without, report: iptables })[0]?.what).toMatch(/no ip6tables/);
    expect(found(without)).toEqual([]);
  });
});

describe('what doctor looks at', () => {
  const machine = (more: FakeMachine = {}) =>
    readDoctorFacts(
      fakeHost({
        programs: ['nft', 'flock'],
        ...more,
        answer: (command, host) =>
          more.answer?.(command, host) ??
          (command.program === 'nft' ? { stdout: '{"nftables":[]}' } : {}),
        files: {
          [`${HOOKS}/up`]:
            '#!/usr/bin/env -S -u NODE_OPTIONS /usr/local/lib/ovpn-killswitch/node --v8-pool-size=0\n',
          '/usr/local/lib/ovpn-killswitch/node': '',
          ...more.files,
        },
      }),
      HEALTHY.program,
    );

  test('is the interpreter that the hooks name, not env', () => {
    expect(machine().interpreter).toEqual({
      path: '/usr/local/lib/ovpn-killswitch/node',
      isThere: true,
    });
  });

  test('is every folder above the hooks up to the root', () => {
    const paths = machine().guarded.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['/usr', '/usr/local/lib/ovpn-killswitch/hooks', `${HOOKS}/up`]),
    );
  });

  test('is every file that root runs or believes, whatever it is called', () => {
    const files = [
      '/usr/local/lib/ovpn-killswitch/hooks.js',
      '/var/lib/ovpn-killswitch/base.nft',
      '/run/ovpn-killswitch/tunnels/tun0',
    ];
    const paths = machine({
      files: Object.fromEntries(files.map((path) => [path, ''])),
    }).guarded.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(files));
  });

  test('is the least that any unit file says, drop-ins included', () => {
    const files = {
      '/usr/lib/systemd/system/openvpn@.service': '[Service]\nTasksMax=10\nLimitNPROC=100\n',
      '/etc/systemd/system/openvpn@.service.d/mine.conf': '[Service]\nTasksMax=4\n',
    };
    expect(machine({ files }).units).toEqual([{ ...ROOMY, tasks: 4, processes: 100 }]);
  });

  test('is also a unit of one connection alone, with what its template says', () => {
    const files = {
      '/usr/lib/systemd/system/openvpn-client@.service':
        '[Service]\nLimitNPROC=10\nProtectSystem=true\n',
      '/etc/systemd/system/openvpn-client@me.service.d/hard.conf':
        '[Service]\nProtectSystem=strict\nReadWritePaths=-/run /var\nMemoryDenyWriteExecute=yes\n',
      '/usr/lib/systemd/system/openvpn-server@.service': '[Service]\nTasksMax=1\n',
    };
    const client = { ...ROOMY, name: 'openvpn-client@.service', tasks: undefined, processes: 10 };
    expect(machine({ files }).units).toEqual([
      client,
      { ...client, name: 'openvpn-client@me.service', refusesCompilers: true, readOnly: ['/etc'] },
    ]);
  });

  test('are chains of others that drop what leaves, and not those that accept it or look elsewhere', () => {
    const chain = (table: string, hook: string, policy: string) => ({
      chain: { family: 'inet', table, name: hook, hook, policy },
    });
    const chains = [
      chain('mine', 'output', 'drop'),
      chain('calm', 'output', 'accept'),
      chain('fw', 'input', 'drop'),
    ];
    const stdout = JSON.stringify({
      nftables: [...chains, chain('ovpn_killswitch', 'output', 'drop')],
    });
    const answer: FakeMachine['answer'] = ({ args }) => ({
      stdout: args.includes('chains') ? stdout : '{"nftables":[]}',
    });
    expect(machine({ answer }).otherDrops).toEqual(['inet mine output']);
  });

  test('is whether the modules of the running kernel are there, where there are any', () => {
    const kernel = { '/proc/sys/kernel/osrelease': '6.1.0-99\n' };
    expect(machine({ files: kernel }).hasModules).toBe(true);
    expect(
      machine({ files: { ...kernel, '/lib/modules/6.1.0-98/modules.dep': '' } }).hasModules,
    ).toBe(false);
    expect(
      machine({ files: { ...kernel, '/lib/modules/6.1.0-99/modules.dep': '' } }).hasModules,
    ).toBe(true);
  });

  test('is whether the resolvers can be set as the settings say', () => {
    const files = { '/etc/ovpn-killswitch/killswitch.env': 'KILLSWITCH_RESOLVER=resolvconf\n' };
    expect(machine({ files }).resolvers).toMatchObject({ code: 'RESOLVERS' });
  });

  test('are the certificates inside profiles and beside them', () => {
    const files = {
      '/etc/openvpn/client/a.conf': `client\n<ca>\n${CERTIFICATE}</ca>\ncert me.crt\n`,
      '/etc/openvpn/client/me.crt': CERTIFICATE,
    };
    const from = Date.UTC(2026, 10, 22) / 1000;
    const all = machine({ files }).certificates;
    expect(all.map(({ profile }) => profile)).toEqual([
      '/etc/openvpn/client/a.conf',
      '/etc/openvpn/client/a.conf',
    ]);
    for (const certificate of all)
      expect(Math.abs(certificate.from - from)).toBeLessThan(2 * 86_400);
  });

  test('is what the kernel says when it only checks the rules', () => {
    const answer: FakeMachine['answer'] = ({ program, args }) =>
      program === 'nft' && args.includes('--check')
        ? { status: 1, stderr: 'Error: no such type\n' }
        : { stdout: '{"nftables":[]}' };
    expect(machine({ answer }).refusal).toBe('nft: Error: no such type');
  });

  test('is what was denied to OpenVPN, and to nobody else', () => {
    const denied = (name: string) =>
      `[1.0] audit: apparmor="DENIED" operation="exec" profile="/usr/sbin/${name}"`;
    const answer: FakeMachine['answer'] = ({ program }) =>
      program === 'dmesg'
        ? { stdout: `${denied('openvpn')}\n${denied('cupsd')}\n` }
        : { stdout: '{"nftables":[]}' };
    expect(machine({ answer }).denials).toEqual([denied('openvpn')]);
  });
});

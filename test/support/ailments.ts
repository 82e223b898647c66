import { iptables } from '../../src/backend/iptables.ts';
import { KillswitchError } from '../../src/errors.ts';
import { isPattern, parseInterfaces } from '../../src/net/interface-pattern.ts';
import type { Port } from '../../src/net/port.ts';
import { attach } from '../../src/tunnel/attachment.ts';
import { CHECKS } from '../../src/view/doctor/checks.ts';
import type { DoctorFacts } from '../../src/view/doctor/facts.ts';
import type { Finding } from '../../src/view/doctor/finding.ts';
import type { OpenvpnUnit } from '../../src/view/doctor/openvpn-units.ts';
import { NOW, viewOf } from './views.ts';

export const HOOKS = '/usr/local/lib/ovpn-killswitch/hooks';
const attached = attach('client\ndev tun\nremote 203.0.113.10 1194\npersist-tun\n', {
  folder: HOOKS,
  harden: true,
});
const PROFILE = {
  path: '/etc/openvpn/client/a.conf',
  text: 'text' in attached ? attached.text : '',
};
export const LOCKED = viewOf('connected, two tunnels').report;
const SYSTEMD = {
  name: 'systemd',
  loader: 'systemd',
  plan: () => ({ files: [], commands: [], links: [], notes: [] }),
} as const;

export const ROOMY: OpenvpnUnit = {
  name: 'openvpn@.service',
  tasks: 10,
  processes: undefined,
  refusesCompilers: false,
  account: undefined,
  readOnly: [],
};

/** A machine on which nothing is wrong. */
export const HEALTHY: DoctorFacts = {
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

/** The findings of every check about a machine. */
export const found = (facts: DoctorFacts): readonly (Finding & { readonly title: string })[] =>
  CHECKS.flatMap(({ title, find }) => find(facts).map((finding) => ({ title, ...finding })));

/** A fault, and the finding of doctor. */
export const AILMENTS: readonly (readonly [
  ailment: string,
  change: Partial<DoctorFacts>,
  what: RegExp,
  fix: RegExp,
])[] = [
  [
    'a profile that non-root users can change',
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
    /fwmark 0x1 lookup 100" reroutes packets/,
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
    /^en\* in KILLSWITCH_FORWARD matches eth0, which is an uplink/,
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
    /does not exist/,
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
    /non-root users can write to \/usr\/local$/,
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
    'rules of another kill switch, of any program',
    { otherDrops: ['inet killswitch output'] },
    /"inet killswitch output" drops outgoing packets/,
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
        'KILLSWITCH_RESOLVER is resolvconf, which is not installed',
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
    /tun0 vanished/,
    /lock$/,
  ],
  ['no flock', { hasFlock: false }, /flock/, /apt install util-linux/],
];

import { COMMANDS } from '../../src/cli/main.ts';
import { EXIT } from '../../src/errors.ts';
import { openSandbox, type Sandbox } from '../../src/host/sandbox.ts';
import { installProduct } from './product.ts';
import { sandboxHost } from './sandbox-host.ts';
import { vpnKeyfile } from './vpn-keyfile.ts';

/**
 * The words that a person types behind the program's name, and what is done to the machine just
 * before.
 */
export interface ScreenCall {
  readonly call: string;
  readonly before?: string;
  /** Its exit status, when that is not 0. */
  readonly end?: number;
}

const SETTINGS = '/etc/ovpn-killswitch/killswitch.env';
const UPLINK = `ip link add uplink0 type veth peer name router0; ip link set router0 up
ip address add 192.0.2.2/24 dev uplink0; ip link set uplink0 up; ip route add default via 192.0.2.1`;

/** Screens that the examples of the help do not come to. */
const OTHER_CALLS: readonly ScreenCall[] = [
  { call: '', end: EXIT.usage },
  ...['help', '--help', '--version'].map((call) => ({ call })),
  { call: 'lokc', end: EXIT.usage },
  { call: 'prove --here', before: UPLINK },
  {
    call: 'lock',
    before: `ip link delete uplink0; echo KILLSWITCH_LAN=everything >> ${SETTINGS}`,
    end: EXIT.settings,
  },
  { call: 'doctor', end: EXIT.failed },
  // A tunnel is live.
  { call: 'portal --user nobody', end: EXIT.unavailable },
  {
    call: 'status',
    before: `sed -i /everything/d ${SETTINGS}; /usr/local/sbin/ovpn-killswitch lock >/dev/null
nft insert rule inet ovpn_killswitch postrouting accept`,
    end: EXIT.degraded,
  },
  { call: 'explain out udp 9.9.9.9 53', end: EXIT.degraded },
  { call: 'lock --force' },
];

const INTERRUPTED = 130;
/** Examples that do not end with 0 on the machine below. */
const ENDS: Readonly<Record<string, number>> = {
  // Root has not come by sudo, and there is no alice.
  ...Object.fromEntries(
    [
      'portal',
      'portal --for 2m --user alice',
      'portal -- firefox http://192.168.1.1/',
      'portal --network 198.51.100.7',
    ].map((call) => [call, EXIT.usage]),
  ),
  'portal --shared-dns': EXIT.usage,
  'portal --close': EXIT.failed,
  prove: INTERRUPTED,
  // It has no NetworkManager, and neither systemd nor OpenRC.
  'attach --networkmanager "My VPN"': EXIT.settings,
  'watch enable': EXIT.unavailable,
  // A lock without it has confirmed it.
  confirm: EXIT.failed,
  'status --watch': INTERRUPTED,
  // There is no image at that place.
  'install --root /var/lib/machines/new': EXIT.usage,
  'boot enable --root /var/lib/machines/new': EXIT.usage,
  // It was unlocked just before.
  'unlock --for 5m': EXIT.usage,
};

/**
 * Every command: how it helps, what it says to a flag that it does not have, and each example of
 * its help as it stands.
 */
const COMMAND_CALLS: readonly ScreenCall[] = COMMANDS.flatMap(({ name, examples }) => [
  { call: `${name} --help` },
  { call: `${name} --nonsense`, end: EXIT.usage },
  ...examples.map(([call]) => ({ call, end: ENDS[call] ?? EXIT.ok })),
]);

/** Every call, with a number: some are made in more than one state. */
export const SCREEN_CALLS = [...OTHER_CALLS, ...COMMAND_CALLS].map((each, index) => ({
  ...each,
  index,
}));

/** They last until they are interrupted, or longer than it takes to see how they look. */
export const ENDLESS = ['watch', 'status --watch', 'prove'];
/** Their text is for programs and files: the same wherever it is shown. */
export const FOR_PROGRAMS = /^(render|completion)( |$)|--json|--prometheus/;

/** A machine with two profiles, a connection of NetworkManager and a live tunnel. */
export async function screenMachine(): Promise<Sandbox> {
  const sandbox = await openSandbox();
  const product = installProduct(sandbox);
  product.set({ KILLSWITCH_BACKEND: 'nftables' });
  const host = sandboxHost(sandbox);
  for (const path of ['client/my-vpn.conf', 'my-vpn.ovpn'])
    host.write(`/etc/openvpn/${path}`, 'client\ndev tun\nremote 203.0.113.10 1194\nuser nobody\n');
  const keyfile = vpnKeyfile({ uuid: '0d6d5d51-0b5d-4d1c-9c0c-7a2f3b0f2f10', name: 'My VPN' });
  host.write('/etc/NetworkManager/system-connections/My VPN.nmconnection', keyfile, 0o600);
  product.succeed('install', '--networkmanager');
  product.succeed('lock');
  const up = product.hook('up');
  if (up.status !== 0) throw new Error(up.stderr);
  return sandbox;
}

import { KEYS, type SettingsKey } from '../policy/settings.ts';

/** The meaning of each key, for the settings file that `install` writes and for its manual page. */
export const MEANING: Readonly<Record<SettingsKey, string>> = {
  KILLSWITCH_BACKEND:
    'Which packet filter loads the rules; "ovpn-killswitch status" says which auto has chosen, and why.',
  KILLSWITCH_PROFILES:
    'Profiles whose remotes the VPN client may reach while nothing is connected.',
  KILLSWITCH_ENDPOINTS:
    'More places the VPN client may reach: 203.0.113.10:1194/udp,[2001:db8::1]:443/tcp',
  KILLSWITCH_ENDPOINT_OWNER:
    'The accounts whose packets may go there: auto is root, and the "user" of profiles and units.',
  KILLSWITCH_LAN: 'Which local networks stay reachable (never for DNS).',
  KILLSWITCH_LAN_INBOUND: 'Ports of this machine that the LAN may reach: 22/tcp',
  KILLSWITCH_LAN_DNS: 'Resolvers on the LAN that may be asked.',
  KILLSWITCH_TUNNEL_PORTS:
    'The only ports, beside ping, that may leave by the tunnel: 443/tcp,80/tcp,993/tcp,465/tcp',
  KILLSWITCH_TUNNEL_INBOUND:
    'Ports of this machine that the other end of the tunnel may reach: 6881-6889/tcp',
  KILLSWITCH_DNS: 'Resolvers to use in the tunnel instead of those the server pushes.',
  KILLSWITCH_RESOLVER: "The way to set the system's resolvers.",
  KILLSWITCH_IPV6: 'Whether IPv6 may be used inside a tunnel that has it, or nowhere.',
  KILLSWITCH_FORWARD:
    'Interfaces of containers or guests that may use the tunnel: docker0,virbr0,br-*',
  KILLSWITCH_REFUSE: 'drop stays silent; reject tells local programs at once.',
  KILLSWITCH_LOG_DROPS: "Writes drops to the kernel's log, at most this often: 10/minute",
  KILLSWITCH_LOG_LEVEL: 'How much goes to /var/log/ovpn-killswitch.log and to stderr.',
};

/** Renders a settings file with every key at its default, commented out. */
export function settingsTemplate(): string {
  const keys = Object.keys(KEYS) as SettingsKey[];
  const entries = keys.map(
    (key) => `# ${MEANING[key]}\n# Allowed: ${KEYS[key].allowed}\n#${key}=${KEYS[key].initial}\n`,
  );
  return `# Settings of ovpn-killswitch. Run "ovpn-killswitch lock" after a change. Every key is optional; these are the defaults.\n\n${entries.join('\n')}`;
}

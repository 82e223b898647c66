/**
 * The content of each captured `up` and `route-up`, written down by a person who read the captures:
 * nothing here came out of the product. `peer` is `ADDRESS PORT` and the transports that the
 * variables prove.
 */
export interface ExpectedTunnel {
  readonly device: string;
  readonly addresses: readonly string[];
  readonly resolvers: readonly string[];
  readonly searchDomains: readonly string[];
  readonly networks: readonly string[];
  readonly peer: readonly [
    address: string,
    port: number,
    ...transports: readonly ('udp' | 'tcp')[],
  ];
  /** Variables whose values are refused. */
  readonly refused: readonly string[];
}

/** A tunnel of topology subnet with both families and nothing else pushed, over UDP. */
const plain: ExpectedTunnel = {
  device: 'tun0',
  addresses: ['10.8.0.2', 'fd00:8::1000'],
  resolvers: [],
  searchDomains: [],
  networks: ['10.8.0.0/24', 'fd00:8::/64'],
  peer: ['203.0.113.10', 1194, 'udp'],
  refused: [],
};
const withDns: ExpectedTunnel = { ...plain, resolvers: ['10.8.0.1'] };
const withRoute: ExpectedTunnel = { ...withDns, networks: [...plain.networks, '10.20.0.0/16'] };

const manyPushes: ExpectedTunnel = {
  ...plain,
  resolvers: ['10.8.0.1', '10.8.0.2', 'fd00:8::53'],
  searchDomains: ['corp.example', 'lab.example'],
  networks: [...plain.networks, '10.20.0.0/16', '10.30.0.0/16', 'fd20::/64', 'fd30::/64'],
  // DOH
  refused: ['foreign_option_6'],
};
const net30: ExpectedTunnel = {
  ...plain,
  addresses: ['10.8.0.6'],
  resolvers: ['10.8.0.1'],
  networks: ['10.8.0.5/32', '10.8.0.1/32', '10.20.0.0/16'],
};
const ipv6Only: ExpectedTunnel = {
  ...plain,
  addresses: ['fd00:8::1000'],
  networks: ['fd00:8::/64'],
};
const peerToPeer: ExpectedTunnel = {
  ...plain,
  addresses: ['10.9.0.2'],
  networks: ['10.9.0.1/32', '10.20.0.0/16'],
};
const overUdp6: ExpectedTunnel = { ...withRoute, peer: ['2001:db8:113::10', 1194, 'udp'] };
const overTcp: ExpectedTunnel = { ...withRoute, peer: ['203.0.113.10', 1194, 'tcp'] };
const dnsOptions: ExpectedTunnel = {
  ...plain,
  // 10.8.0.53 is pushed for port 5353; the servers for certain domains alone come last.
  resolvers: ['192.168.77.53', 'fd00:8::53', '10.8.0.54', '9.9.9.9', '10.8.0.55'],
  searchDomains: ['a.example', 'b.example', 'corp.example'],
  refused: ['dns_server_2_port_1', 'foreign_option_2'],
};
const metachars: ExpectedTunnel = {
  ...plain,
  resolvers: ['9.9.9.9'],
  refused: [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13].map((n) => `foreign_option_${n}`),
};
// Routes through the LAN's gateway are not the tunnel's; the one that covers the LAN is, and covers
// its gateway too.
const netGatewayRoutes: ExpectedTunnel = {
  ...plain,
  networks: [
    ...plain.networks,
    '192.168.77.0/24',
    '8.8.8.8/32',
    '203.0.113.10/32',
    '2001:db8:f00::/48',
  ],
};
const halvesOfTheLan: ExpectedTunnel = {
  ...plain,
  networks: [...plain.networks, '192.168.77.0/25', '192.168.77.128/25'],
};
const optionsChanged: ExpectedTunnel = {
  ...withRoute,
  networks: [...withRoute.networks, '10.99.0.0/16'],
};
const noAddress: ExpectedTunnel = {
  ...plain,
  addresses: [],
  resolvers: ['10.8.0.1'],
  networks: [],
};

/** OpenVPN 2.7: its `proto_1` is the local side's, so the transport stays unknown. */
const plain27: ExpectedTunnel = { ...plain, peer: ['203.0.113.10', 1194] };
const routes27: ExpectedTunnel = {
  ...plain27,
  networks: [...plain.networks, '10.20.0.0/16', 'fd20::/64'],
};
const manyPushes27: ExpectedTunnel = {
  ...routes27,
  resolvers: ['10.8.0.1', 'fd00:8::53'],
  searchDomains: ['corp.example', 'lab.example', 'ads.example'],
  refused: ['foreign_option_5'],
};
/** Its own dns-updown takes DNS out of `up`; DOH and Windows' suffix stay. */
const withoutDns27: ExpectedTunnel = {
  ...routes27,
  searchDomains: ['ads.example'],
  refused: ['foreign_option_1'],
};
const pushUpdate: ExpectedTunnel = { ...plain27, networks: [...plain.networks, '10.55.0.0/16'] };

export const EXPECTED_TUNNELS: Readonly<Record<string, ExpectedTunnel>> = {
  'ovpn2.6.udp4-subnet.up.env': manyPushes,
  'ovpn2.6.udp4-subnet.route-up.env': manyPushes,
  'ovpn2.6.udp4-subnet-after-sigusr1.up.env': manyPushes,
  'ovpn2.6.udp4-subnet-after-sigusr1.route-up.env': manyPushes,
  'ovpn2.6.udp4-subnet-after-sighup.up.env': manyPushes,
  'ovpn2.6.udp4-subnet-after-sighup.route-up.env': manyPushes,
  'ovpn2.6.user-nobody.up.env': manyPushes,
  'ovpn2.6.user-nobody.route-up.env': manyPushes,
  'ovpn2.6.daemon-log.up.env': manyPushes,
  'ovpn2.6.persist.up.env': withRoute,
  'ovpn2.6.persist.route-up.env': withRoute,
  'ovpn2.6.persist-after-sigusr1-restart.up.env': withDns,
  'ovpn2.6.persist-options-changed.up.env': optionsChanged,
  'ovpn2.6.persist-options-changed.route-up.env': optionsChanged,
  'ovpn2.6.hostname-remote.up.env': withRoute,
  'ovpn2.6.tcp4.up.env': overTcp,
  'ovpn2.6.tcp4.route-up.env': overTcp,
  'ovpn2.6.udp6.up.env': overUdp6,
  'ovpn2.6.udp6.route-up.env': overUdp6,
  'ovpn2.6.tcp6.up.env': { ...withRoute, peer: ['2001:db8:113::10', 1194, 'tcp'] },
  'ovpn2.6.tap.up.env': { ...withRoute, device: 'tap0' },
  'ovpn2.6.tap.route-up.env': { ...withRoute, device: 'tap0' },
  'ovpn2.6.net30.up.env': net30,
  'ovpn2.6.net30.route-up.env': net30,
  'ovpn2.6.topology-p2p.up.env': {
    ...withDns,
    addresses: ['10.8.0.4'],
    networks: ['10.8.0.1/32', '10.20.0.0/16'],
  },
  'ovpn2.6.ipv6-only.up.env': ipv6Only,
  'ovpn2.6.ipv6-only.route-up.env': ipv6Only,
  'ovpn2.6.p2p-tls-nopull.up.env': peerToPeer,
  'ovpn2.6.p2p-tls-nopull.route-up.env': peerToPeer,
  'ovpn2.6.p2p-tls-updelay.up.env': peerToPeer,
  'ovpn2.6.p2p-tls-updelay.route-up.env': peerToPeer,
  'ovpn2.6.static-key.up.env': peerToPeer,
  'ovpn2.6.static-key.route-up.env': peerToPeer,
  'ovpn2.6.dns-options.up.env': dnsOptions,
  'ovpn2.6.dns-options.route-up.env': dnsOptions,
  'ovpn2.6.hostile-metachars.up.env': metachars,
  'ovpn2.6.hostile-metachars.route-up.env': metachars,
  'ovpn2.6.hostile-invalid-utf8.up.env': withDns,
  'ovpn2.6.hostile-200-foreign-options.up.env': {
    ...plain,
    resolvers: Array.from({ length: 8 }, (_, index) => `10.8.0.${index + 1}`),
    refused: ['foreign_option_9'],
  },
  'ovpn2.6.hostile-long-values.up.env': { ...plain, refused: ['foreign_option_1'] },
  'ovpn2.6.hostile-cert-subject.up.env': plain,
  'ovpn2.6.hostile-net-gateway-routes.up.env': netGatewayRoutes,
  'ovpn2.6.hostile-net-gateway-routes.route-up.env': netGatewayRoutes,
  'ovpn2.6.hostile-ifconfig-in-lan.up.env': {
    ...plain,
    addresses: ['192.168.77.99', 'fd00:8::1000'],
    networks: ['192.168.77.0/24', 'fd00:8::/64'],
  },
  'ovpn2.6.block-local.up.env': halvesOfTheLan,
  'ovpn2.6.route-noexec.route-up.env': { ...plain, networks: [...plain.networks, '10.20.0.0/16'] },
  'ovpn2.6.route-nopull.route-up.env': plain,
  'ovpn2.6.pull-filter.route-up.env': plain,
  'ovpn2.6.pushed-ifconfig-noexec.up.env': plain,
  'ovpn2.6.pushed-ifconfig-noexec.route-up.env': plain,
  'ovpn2.6.no-ifconfig-pushed.up.env': noAddress,
  'ovpn2.6.no-ifconfig-pushed.route-up.env': noAddress,
  'ovpn2.6.multi-remote.up.env': { ...plain, peer: ['203.0.113.11', 443, 'tcp'] },
  'ovpn2.6.setenv-local.up.env': { ...withRoute, device: 'vpn0' },
  'ovpn2.6.server-peer-info.up.env': plain,
  'ovpn2.7.udp4-subnet.up.env': manyPushes27,
  'ovpn2.7.udp4-subnet.route-up.env': manyPushes27,
  'ovpn2.7.dhcp-dns-custom-updown.up.env': withoutDns27,
  'ovpn2.7.dns-server-dot-custom-updown.up.env': withoutDns27,
  'ovpn2.7.dns-server.up.env': {
    ...withoutDns27,
    resolvers: ['10.8.0.53', 'fd00:8::54'],
    searchDomains: ['ads.example', 'a.example'],
  },
  'ovpn2.7.push-update-route.up.env': pushUpdate,
  'ovpn2.7.push-update-route.route-up.env': pushUpdate,
  // The removed route is still in the environment: too strict, and only until the next connect.
  'ovpn2.7.push-update-remove-route.route-up.env': pushUpdate,
  'ovpn2.7.redirect-plain.route-up.env': plain27,
  'ovpn2.7.redirect-private.route-up.env': plain27,
  'ovpn2.7.redirect-v6-only.route-up.env': plain27,
  'ovpn2.7.redirect-block-local.route-up.env': { ...halvesOfTheLan, peer: plain27.peer },
  'ovpn2.7.hostile-metachars.up.env': {
    ...plain27,
    resolvers: ['9.9.9.9', '10.8.0.1', '10.8.0.2', '10.8.0.3', '10.8.0.4', '10.8.0.5', '10.8.0.6'],
    refused: [1, 2, 3, 4, 5, 6, 8, 9, 10].map((n) => `foreign_option_${n}`),
  },
  'ovpn2.5.udp4-subnet.up.env': {
    ...plain,
    resolvers: ['10.8.0.1', 'fd00:8::53'],
    searchDomains: ['corp.example', 'lab.example'],
    networks: [...plain.networks, '10.20.0.0/16', 'fd20::/64'],
    refused: ['foreign_option_5'],
  },
  'ovpn2.5.udp4-subnet.route-up.env': {
    ...plain,
    resolvers: ['10.8.0.1', 'fd00:8::53'],
    searchDomains: ['corp.example', 'lab.example'],
    networks: [...plain.networks, '10.20.0.0/16', 'fd20::/64'],
    refused: ['foreign_option_5'],
  },
};

/** A connection of `tun0` as OpenVPN 2.6 reports it to `up`: the variables our hooks read. */
export const OPENVPN_ENVIRONMENT: Readonly<Record<string, string>> = {
  dev: 'tun0',
  trusted_ip: '203.0.113.10',
  trusted_port: '1194',
  remote_1: '203.0.113.10',
  remote_port_1: '1194',
  proto_1: 'udp',
  ifconfig_local: '10.8.0.6',
  ifconfig_netmask: '255.255.255.0',
  ifconfig_ipv6_local: 'fd00:8::6',
  ifconfig_ipv6_netbits: '64',
  route_network_1: '10.50.0.0',
  route_netmask_1: '255.255.0.0',
  route_ipv6_network_1: 'fd50::/48',
  foreign_option_1: 'dhcp-option DNS 10.8.0.1',
  foreign_option_2: 'dhcp-option DNS6 fd00:8::1',
};

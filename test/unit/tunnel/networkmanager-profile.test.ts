import { describe, expect, test } from 'vitest';
import { readVpnConnection } from '../../../src/tunnel/networkmanager-profile.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

const UUID = 'fae21da8-4440-48b0-bdf8-0d3ad6826b17';
const SERVICE = 'org.freedesktop.NetworkManager.openvpn';

const keyfile = (
  vpn: Readonly<Record<string, string>>,
  connection: Readonly<Record<string, string>> = {},
) =>
  [
    '[connection]',
    ...Object.entries({ id: 'Office', uuid: UUID, type: 'vpn', ...connection }).map(
      ([key, value]) => `${key}=${value}`,
    ),
    '',
    '[vpn]',
    ...Object.entries({ 'service-type': SERVICE, ...vpn }).map(([key, value]) => `${key}=${value}`),
    '',
  ].join('\n');

const remotes = (vpn: Readonly<Record<string, string>>) =>
  readVpnConnection(keyfile(vpn))?.profile?.remotes;
/** `HOST PORT TRANSPORT [FAMILY]` of each. */
const shown = (vpn: Readonly<Record<string, string>>) =>
  remotes(vpn)?.map(({ host, port, transport, family }) =>
    [host, port, transport, ...(family === undefined ? [] : [family])].join(' '),
  );

describe('the remotes of a connection', () => {
  // The plugin's own tests of nmovpn_remote_parse say the same of host, port and proto.
  test.each([
    ['a', 'a 1194 udp'],
    ['a:', 'a 1194 udp'],
    ['t::', 't 1194 udp'],
    ['a::', 'a:: 1194 udp'],
    ['[a::]:', 'a:: 1194 udp'],
    ['a:::', 'a:: 1194 udp'],
    ['a::udp', 'a 1194 udp'],
    ['a:1:', 'a 1 udp'],
    ['a::1:', 'a::1 1194 udp'],
    ['a::1:1194', 'a::1:1194 1194 udp'],
    ['[a::1]:1194', 'a::1 1194 udp'],
    ['[a::1]', 'a::1 1194 udp'],
    ['a:1:tcp', 'a 1 tcp'],
    ['[aa:bb::1]:443:udp', 'aa:bb::1 443 udp'],
    ['[aa:bb::1]::tcp6', 'aa:bb::1 1194 tcp ipv6'],
    ['aa:bb::1::udp', 'aa:bb::1 1194 udp'],
    ['abc.com:1234:udp4', 'abc.com 1234 udp ipv4'],
    ['vpn.example.com::tcp-client', 'vpn.example.com 1194 tcp'],
    ['vpn.example.com:443:tcp4-client', 'vpn.example.com 443 tcp ipv4'],
  ])('%s is %s', (text, expected) => {
    expect(shown({ remote: text })).toEqual([expected]);
  });

  test.each([['a:1:sctp'], [':1194'], [',']])('%s is none, as it is none to the plugin', (text) => {
    expect(shown({ remote: text })).toEqual([]);
  });

  test('are separated by blanks, tabs and commas', () => {
    expect(shown({ remote: '203.0.113.10:1194:udp, 203.0.113.11:443:tcp\\tc  d,' })).toEqual([
      '203.0.113.10 1194 udp',
      '203.0.113.11 443 tcp',
      'c 1194 udp',
      'd 1194 udp',
    ]);
  });

  test('take port and transport of the connection where they name none', () => {
    expect(shown({ remote: 'a, b:443, c::udp', port: '5000', 'proto-tcp': 'yes' })).toEqual([
      'a 5000 tcp',
      'b 443 tcp',
      'c 5000 udp',
    ]);
    expect(shown({ remote: 'a', 'proto-tcp': 'no' })).toEqual(['a 1194 udp']);
  });

  test('are the proxy, where there is one', () => {
    const proxy = { remote: 'a', 'proxy-server': 'proxy.example' };
    expect(shown({ ...proxy, 'proxy-type': 'http' })).toEqual(['proxy.example 8080 tcp']);
    expect(shown({ ...proxy, 'proxy-type': 'http', 'proxy-port': '3128' })).toEqual([
      'proxy.example 3128 tcp',
    ]);
    expect(shown({ ...proxy, 'proxy-type': 'socks' })).toEqual(['proxy.example 1080 tcp']);
    // The plugin needs both.
    expect(shown(proxy)).toEqual(['a 1194 udp']);
    expect(shown({ remote: 'a', 'proxy-type': 'http' })).toEqual(['a 1194 udp']);
  });

  test('are none without a remote', () => {
    expect(shown({})).toEqual([]);
  });
});

describe('a connection', () => {
  test('has a uuid, a name, and the account of the plugin', () => {
    expect(readVpnConnection(keyfile({ remote: 'a' }))).toMatchObject({
      uuid: UUID,
      name: 'Office',
      profile: { user: 'nm-openvpn' },
    });
  });

  test.each(['org.freedesktop.NetworkManager.vpnc', 'org.freedesktop.NetworkManager.openvpn2', ''])(
    'of the plugin %j is a VPN, but not ours',
    (service) => {
      expect(readVpnConnection(keyfile({ 'service-type': service, remote: 'a' }))).toEqual({
        uuid: UUID,
        name: 'Office',
        profile: undefined,
      });
    },
  );

  test.each(['wifi', 'wireguard', '', 'VPN'])('of the type %j is no VPN', (type) => {
    expect(readVpnConnection(keyfile({ remote: 'a' }, { type }))).toBeUndefined();
  });

  test.each(HOSTILE_TEXT)('whose uuid is %j is none', (uuid) => {
    expect(
      readVpnConnection(keyfile({ remote: 'a' }, { uuid: uuid.replace(/[\r\n]/g, '') })),
    ).toBeUndefined();
  });

  test.each(HOSTILE_TEXT)('is none where its keyfile is %j', (text) => {
    expect(readVpnConnection(text)).toBeUndefined();
  });
});

import { describe, expect, test } from 'vitest';
import { endpointText } from '../../../src/net/endpoint.ts';
import {
  literalEndpoints,
  readProfile,
  remoteName,
  unreachedRemotes,
} from '../../../src/tunnel/profile.ts';

/**
 * Lines of a profile, and where OpenVPN 2.6 sent its first packets to, as captured; but for the
 * override that no TCP remote makes use of, which is read from options.c.
 */
const CONTACTED: readonly (readonly [lines: string, endpoint: string])[] = [
  ['remote fe80::5%eth0 443', '[fe80::5]:443/udp'],
  ['remote ::ffff:203.0.113.5 443 tcp6', '203.0.113.5:443/tcp'],
  ['remote 203.113 443', '203.0.0.113:443/udp'],
  ['remote 0xcb007105 443', '203.0.113.5:443/udp'],
  ['remote 3405803781 443', '203.0.113.5:443/udp'],
  ['remote 203.000.113.005 443', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 00443', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 +443', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 " 443"', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 65979', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 https', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 openvpn', '203.0.113.5:1194/udp'],
  ['rport https\nremote 203.0.113.5', '203.0.113.5:443/udp'],
  ['rport 0443\nremote 203.0.113.5', '203.0.113.5:443/udp'],
  ['remote 203.0.113.5 https tcp', '203.0.113.5:443/tcp'],
  ['remote 203.0.113.5 443 tcp\nhttp-proxy 198.51.100.7 http', '198.51.100.7:80/tcp'],
  [
    'proto tcp\nremote 203.0.113.5 443\nhttp-proxy-override 198.51.100.7 3128',
    '198.51.100.7:3128/tcp',
  ],
  [
    'remote 203.0.113.5 443 tcp\nremote 203.0.113.5 1194 udp\nhttp-proxy-override 198.51.100.7 3128',
    '198.51.100.7:3128/tcp',
  ],
  ['remote 203.0.113.5 443 udp\nhttp-proxy-override 198.51.100.7 3128', '203.0.113.5:443/udp'],
  ['proto udp6\nremote 2001:db8::5 443\nsocks-proxy 198.51.100.7', '198.51.100.7:1080/tcp'],
];

describe('a server that a profile writes as getaddrinfo(3) reads it', () => {
  test.each(CONTACTED)('is the endpoint that OpenVPN contacts: %j', (lines, endpoint) => {
    const profile = readProfile(`client\n${lines}\n`);
    expect(literalEndpoints(profile).map(endpointText)).toEqual([endpoint]);
    expect(unreachedRemotes(profile)).toEqual([]);
  });

  test.each([
    'one_vpn.example.com',
    'vpn.one_corp.example',
    'one.123',
    'one-.example.com',
    '1one.example.com',
    'vpn',
  ])('is asked for by its name: %s', (name) => {
    const profile = readProfile(`client\nremote ${name} https tcp\n`);
    expect(profile.remotes.map(remoteName)).toEqual([{ name, port: 443 }]);
    expect(literalEndpoints(profile)).toEqual([]);
    expect(unreachedRemotes(profile)).toEqual([]);
  });
});

test.each([
  ['remote 203.0.113.5 0', /port/],
  ['remote 203.0.113.5 65536', /port/],
  ['remote 203.0.113.5 ""', /port/],
  ['remote 203.0.113.5 nosuchservice', /port/],
  ['port 0\nremote 203.0.113.5', /port/],
  ['remote ::203.0.113.5 443', /neither a name/],
  ['remote 203.0.113.5. 443', /neither a name/],
  ['remote vpn!.example.com 443', /neither a name/],
  ['remote 224.0.0.5 443', /KILLSWITCH_ENDPOINTS/],
  ['remote 127.0.0.1 443', /KILLSWITCH_ENDPOINTS/],
  ['remote ::1 443', /KILLSWITCH_ENDPOINTS/],
  ['remote 2001:db8::5 443 udp4', /ipv6.*ipv4/],
])('a server that no rule can allow is named, with the reason: %j', (lines, why) => {
  const profile = readProfile(`client\n${lines}\n`);
  expect(literalEndpoints(profile)).toEqual([]);
  expect(unreachedRemotes(profile).map((each) => each.why)).toEqual([expect.stringMatching(why)]);
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endpointText } from '../../../src/net/endpoint.ts';
import { literalEndpoints, readProfile } from '../../../src/tunnel/profile.ts';
import { anyEndpoint } from '../../support/arbitraries.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

const remotes = (text: string) =>
  readProfile(text).remotes.map(({ host, port, transport }) => `${host} ${port} ${transport}`);

describe('the remotes of a profile', () => {
  test.each<readonly [string, string, readonly string[]]>([
    ['port 1194 over UDP by default', 'remote vpn', ['vpn 1194 udp']],
    ['a port', 'remote vpn 443', ['vpn 443 udp']],
    ['a port and a transport', 'remote vpn 443 tcp', ['vpn 443 tcp']],
    ['a double dash in front', '--remote vpn 443 tcp', ['vpn 443 tcp']],
    [
      'every transport OpenVPN knows',
      'remote a 1 udp4\nremote b 2 udp6\nremote c 3 tcp4-client\nremote d 4 tcp6',
      ['a 1 udp', 'b 2 udp', 'c 3 tcp', 'd 4 tcp'],
    ],
    ['several, in order', 'remote b\nremote a', ['b 1194 udp', 'a 1194 udp']],
    [
      'the port and transport of the profile, before them',
      'port 443\nproto tcp-client\nremote vpn',
      ['vpn 443 tcp'],
    ],
    [
      'the port and transport of the profile, after them',
      'remote vpn\nproto tcp-client\nport 443',
      ['vpn 443 tcp'],
    ],
    [
      'their own port and transport before the profile’s',
      'remote vpn 1195 udp\nproto tcp-client\nport 443',
      ['vpn 1195 udp'],
    ],
    ['the last of several ports', 'port 1\nrport 2\nremote vpn', ['vpn 2 udp']],
    ['no port of the local side', 'lport 5000\nlocal 10.0.0.1\nremote vpn', ['vpn 1194 udp']],
    ['nothing that is commented out', '#remote a\n;remote b\n# remote c\nremote d', ['d 1194 udp']],
    ['nothing of a line OpenVPN refuses', 'remote "a\nremote b', ['b 1194 udp']],
    ['nothing without a host', 'remote\nremote vpn', ['vpn 1194 udp']],
    ['nothing at all', 'client\ndev tun', []],
    [
      'no option that only starts like one',
      'remote-random\nremote-cert-tls server\nremote vpn',
      ['vpn 1194 udp'],
    ],
    ['Windows line ends', 'remote vpn 443 tcp\r\nproto udp\r\n', ['vpn 443 tcp']],
    ['a byte order mark', '\ufeffremote vpn', ['vpn 1194 udp']],
    ['no last line end', 'dev tun\nremote vpn 443', ['vpn 443 udp']],
  ])('have %s', (_, text, expected) => {
    expect(remotes(text)).toEqual(expected);
  });

  test.each<readonly [string, string, readonly string[]]>([
    [
      'are the only ones there are',
      'remote top\n<connection>\nremote a 443 tcp\n</connection>',
      ['a 443 tcp'],
    ],
    [
      'keep their order',
      '<connection>\nremote b\n</connection>\n<connection>\nremote a\n</connection>',
      ['b 1194 udp', 'a 1194 udp'],
    ],
    [
      'start with what stands above them',
      'port 443\nproto tcp\n<connection>\nremote a\n</connection>',
      ['a 443 tcp'],
    ],
    [
      'know nothing of what stands below them',
      '<connection>\nremote a\n</connection>\nport 443\nproto tcp',
      ['a 1194 udp'],
    ],
    [
      'keep what they say to themselves',
      '<connection>\nremote a\nport 1\n</connection>\n<connection>\nremote b\n</connection>',
      ['a 1 udp', 'b 1194 udp'],
    ],
    [
      'let the last word win',
      '<connection>\nremote a 443 tcp\nport 1\nproto udp\n</connection>',
      ['a 1 udp'],
    ],
    [
      'have one remote, the last',
      '<connection>\nremote a\nremote b\n</connection>',
      ['b 1194 udp'],
    ],
    [
      'need a remote',
      '<connection>\nport 1\n</connection>\n<connection>\nremote a\n</connection>',
      ['a 1194 udp'],
    ],
    [
      'may hold inline files',
      '<connection>\nremote a\n<http-proxy-user-pass>\nremote b\n</http-proxy-user-pass>\nport 2\n</connection>',
      ['a 2 udp'],
    ],
    [
      'may stand indented and be followed by a comment',
      '  <connection> # one\n  remote a\n  </connection> # end',
      ['a 1194 udp'],
    ],
    [
      'end where the file goes on',
      '<connection>\nremote a\n</connection>\nuser nobody',
      ['a 1194 udp'],
    ],
  ])('in <connection> blocks %s', (_, text, expected) => {
    expect(remotes(text)).toEqual(expected);
  });

  test.each([
    ['<ca>\nremote evil\n</ca>\nremote vpn'],
    ['<ca>\r\nremote evil\r\n</ca>\r\nremote vpn\r\n'],
    ['  <ca> # mine\nremote evil\n   </ca> # end\nremote vpn'],
    ['<tls-crypt>\n<connection>\nremote evil\n</connection>\n</tls-crypt>\nremote vpn'],
    ['--<ca>\nremote evil\n</ca>\nremote vpn'],
    ['"<ca>"\nremote evil\n</ca>\nremote vpn'],
  ])('are not looked for in inline files: %j', (text) => {
    expect(remotes(text)).toEqual(['vpn 1194 udp']);
  });

  test('are not looked for behind an inline file that never ends: OpenVPN does not start with it', () => {
    expect(remotes('remote vpn\n<ca>\nremote evil')).toEqual(['vpn 1194 udp']);
  });
});

describe('the family of a remote', () => {
  test.each<readonly [string, string | undefined]>([
    ['remote vpn 1194 udp', undefined],
    ['remote vpn 1194 tcp-client', undefined],
    ['remote vpn 1194 udp4', 'ipv4'],
    ['remote vpn 1194 tcp6-client', 'ipv6'],
    ['proto udp6\nremote vpn', 'ipv6'],
    ['proto udp6\nremote vpn 1194 udp', undefined],
    ['proto tcp4-client\nremote vpn\nhttp-proxy proxy 3128', undefined],
  ])('of %j is %s', (text, family) => {
    expect(readProfile(text).remotes.map((remote) => remote.family)).toEqual([family]);
  });

  test('leaves out addresses of the other one', () => {
    const text =
      'remote 203.0.113.10 1194 udp6\nremote 2001:db8::1 1194 udp4\nremote 203.0.113.11 1194 udp4\nremote 2001:db8::2 1194 udp6';
    expect(literalEndpoints(readProfile(text)).map(endpointText)).toEqual([
      '203.0.113.11:1194/udp',
      '[2001:db8::2]:1194/udp',
    ]);
  });
});

describe('the remotes of a profile with a proxy', () => {
  test.each<readonly [string, string, readonly string[]]>([
    [
      'are the HTTP proxy, over TCP',
      'remote vpn 443 tcp\nhttp-proxy 192.0.2.8 3128',
      ['192.0.2.8 3128 tcp'],
    ],
    [
      'are the proxy that is named above them',
      'http-proxy proxy 8080 auth.txt basic\nproto tcp\nremote vpn 443',
      ['proxy 8080 tcp'],
    ],
    [
      'are none without a port, which OpenVPN refuses',
      'remote vpn 443 tcp\nhttp-proxy 192.0.2.8',
      ['vpn 443 tcp'],
    ],
    [
      'are the SOCKS proxy, on port 1080',
      'remote vpn 443 tcp\nsocks-proxy proxy',
      ['proxy 1080 tcp'],
    ],
    [
      'are the SOCKS proxy, on its port',
      'remote vpn 443 tcp\nsocks-proxy proxy 9050',
      ['proxy 9050 tcp'],
    ],
    [
      'are the SOCKS proxy over TCP, whatever goes through it',
      'remote vpn 443 udp\nsocks-proxy proxy',
      ['proxy 1080 tcp'],
    ],
    [
      'are that proxy for each of them',
      'remote a 443 tcp\nremote b 443 tcp\nsocks-proxy p',
      ['p 1080 tcp', 'p 1080 tcp'],
    ],
    [
      'are that of their block alone',
      '<connection>\nremote a 443 tcp\nhttp-proxy p 3128\n</connection>\n<connection>\nremote b 443 tcp\n</connection>',
      ['p 3128 tcp', 'b 443 tcp'],
    ],
    [
      'are in a block the one that stands above it',
      'http-proxy p 3128\n<connection>\nremote a 443 tcp\n</connection>\nhttp-proxy q 1',
      ['p 3128 tcp'],
    ],
    [
      'are not those of its other options',
      'remote vpn 443 tcp\nhttp-proxy-option AGENT x\nsocks-proxy-retry',
      ['vpn 443 tcp'],
    ],
  ])('%s', (_, text, expected) => {
    expect(remotes(text)).toEqual(expected);
  });
});

describe('proto-force', () => {
  const both = 'remote a 1194 udp\nremote b 443 tcp-client\nremote c 443 tcp6-client';
  test.each<readonly [string, readonly string[]]>([
    ['proto-force udp', ['a 1194 udp']],
    ['proto-force tcp-client', ['b 443 tcp', 'c 443 tcp']],
    ['proto-force udp\nproto-force tcp', ['b 443 tcp', 'c 443 tcp']],
    ['setenv opt proto-force udp', ['a 1194 udp']],
    ['# proto-force udp', ['a 1194 udp', 'b 443 tcp', 'c 443 tcp']],
  ])('%j leaves the remotes of that transport', (line, expected) => {
    expect(remotes(`${both}\n${line}`)).toEqual(expected);
    expect(remotes(`${line}\n${both}`)).toEqual(expected);
  });

  test('looks at what goes to the server, not at the way to the proxy', () => {
    expect(remotes('remote a 1194 udp\nsocks-proxy p\nproto-force udp')).toEqual(['p 1080 tcp']);
  });
});

describe('the account of a profile', () => {
  test.each([
    ['user nobody', 'nobody'],
    ['user openvpn\ngroup nogroup', 'openvpn'],
    ['user a\nuser b', 'b'],
    ['# user nobody', undefined],
    ['user-id nobody', undefined],
    ['', undefined],
  ])('of %j is %s', (text, user) => {
    expect(readProfile(text).user).toBe(user);
  });
});

describe('the endpoints that a profile names as addresses', () => {
  const endpoints = (text: string) => literalEndpoints(readProfile(text)).map(endpointText);

  test('are those of both families, once each', () => {
    const text =
      'remote 203.0.113.10 1194\nremote 2001:db8::1 443 tcp6-client\nremote vpn.example.test\nremote 203.0.113.10 1194 udp';
    expect(endpoints(text)).toEqual(['203.0.113.10:1194/udp', '[2001:db8::1]:443/tcp']);
  });

  test('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.array(anyEndpoint, { maxLength: 5 }), (list) => {
        const text = list
          .map(({ address, port, transport }) => `remote ${address.text} ${port} ${transport}\n`)
          .join('');
        expect(new Set(endpoints(text))).toEqual(new Set(list.map(endpointText)));
      }),
    );
  });

  test.each(['127.0.0.1', '0.0.0.0', '224.0.0.1', '::1', '::203.0.113.5'])(
    'leave out %s',
    (host) => {
      expect(endpoints(`remote ${host} 1194`)).toEqual([]);
    },
  );

  /** Of the hostile texts those that getaddrinfo(3) reads as an address of another machine. */
  const ADDRESSES = [
    'fe80::1%eth0',
    'fe80::1%25eth0',
    '::ffff:192.0.2.1',
    '::ffff:c000:201',
    '010.8.0.1',
    '10.8.0.01',
    '0x0a080001',
    '10.8.1',
    '168296449',
  ];

  test.each(
    HOSTILE_TEXT.filter((text) => !ADDRESSES.includes(text)).map((text) => [
      JSON.stringify(text).slice(0, 60),
      text,
    ]),
  )('leave out %s', (_, text) => {
    expect(endpoints(`remote ${JSON.stringify(text)} 1194 udp\n`)).toEqual([]);
  });

  test('come out of any text without an exception', () => {
    const line = fc.oneof(
      fc.constantFrom(
        'remote',
        '<connection>',
        '</connection>',
        '<ca>',
        '</ca>',
        'proto tcp',
        'port 443',
        '"',
        "'",
        '\\',
        '#',
        '\r\n',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\n', ' '), (lines, separator) => {
        for (const text of endpoints(lines.join(separator)))
          expect(text).toMatch(/^[0-9a-f.:[\]]+:\d+\/(udp|tcp)$/);
      }),
      { numRuns: 1000 },
    );
  });
});

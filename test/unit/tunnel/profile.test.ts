import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endpointText } from '../../../src/net/endpoint.ts';
import { literalEndpoints, readProfile, words } from '../../../src/tunnel/profile.ts';
import { anyEndpoint } from '../../support/arbitraries.ts';
import { HOSTILE_TEXT } from '../../support/hostile-text.ts';

const remotes = (text: string) => readProfile(text).remotes.map(({ host, port, transport }) => `${host} ${port} ${transport}`);

describe('a line of a profile is cut into words', () => {
  test.each([
    ['remote vpn.example.test 1194', ['remote', 'vpn.example.test', '1194']],
    ['\t remote\t \tvpn  ', ['remote', 'vpn']],
    ['remote vpn\r', ['remote', 'vpn']],
    ['', []],
    ['   ', []],
    ['# remote vpn', []],
    ['; remote vpn', []],
    ['  #remote vpn', []],
    ['remote vpn # the first', ['remote', 'vpn']],
    ['remote vpn ;the first', ['remote', 'vpn']],
    ['remote vpn#1', ['remote', 'vpn#1']],
    ['remote "vpn one" 1194', ['remote', 'vpn one', '1194']],
    ["remote 'vpn one' 1194", ['remote', 'vpn one', '1194']],
    ['remote ""', ['remote', '']],
    ['remote "a # b"', ['remote', 'a # b']],
    ['remote "it\'s"', ['remote', "it's"]],
    ['remote \'say "x"\'', ['remote', 'say "x"']],
    ['remote "say \\"x\\""', ['remote', 'say "x"']],
    ['remote a\\ b', ['remote', 'a b']],
    ['remote c:\\\\vpn', ['remote', 'c:\\vpn']],
    ["remote 'c:\\vpn'", ['remote', 'c:\\vpn']],
    // A quote groups at the start of a word only, and ends the word where it ends.
    ['remote vpn"one"', ['remote', 'vpn"one"']],
    ['remote "vpn"one', ['remote', 'vpn', 'one']],
    ['remote vpn\u00a01194', ['remote', 'vpn\u00a01194']],
  ])('%j is %j', (line, expected) => {
    expect(words(line)).toEqual(expected);
  });

  test.each(['remote "vpn', "remote 'vpn", 'remote vp\\n', 'remote \\vpn', 'remote vpn\\'])(
    '%j is refused whole, as OpenVPN refuses it',
    (line) => {
      expect(words(line)).toEqual([]);
    },
  );
});

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
    ['the port and transport of the profile, before them', 'port 443\nproto tcp-client\nremote vpn', ['vpn 443 tcp']],
    ['the port and transport of the profile, after them', 'remote vpn\nproto tcp-client\nport 443', ['vpn 443 tcp']],
    ['their own port and transport before the profile’s', 'remote vpn 1195 udp\nproto tcp-client\nport 443', ['vpn 1195 udp']],
    ['the last of several ports', 'port 1\nrport 2\nremote vpn', ['vpn 2 udp']],
    ['no port of the local side', 'lport 5000\nlocal 10.0.0.1\nremote vpn', ['vpn 1194 udp']],
    ['nothing that is commented out', '#remote a\n;remote b\n# remote c\nremote d', ['d 1194 udp']],
    ['nothing of a line OpenVPN refuses', 'remote "a\nremote b', ['b 1194 udp']],
    ['nothing without a host', 'remote\nremote vpn', ['vpn 1194 udp']],
    ['nothing at all', 'client\ndev tun', []],
    ['no option that only starts like one', 'remote-random\nremote-cert-tls server\nremote vpn', ['vpn 1194 udp']],
    ['Windows line ends', 'remote vpn 443 tcp\r\nproto udp\r\n', ['vpn 443 tcp']],
    ['a byte order mark', '\ufeffremote vpn', ['vpn 1194 udp']],
    ['no last line end', 'dev tun\nremote vpn 443', ['vpn 443 udp']],
  ])('have %s', (_, text, expected) => {
    expect(remotes(text)).toEqual(expected);
  });

  test.each<readonly [string, string, readonly string[]]>([
    ['are the only ones there are', 'remote top\n<connection>\nremote a 443 tcp\n</connection>', ['a 443 tcp']],
    ['keep their order', '<connection>\nremote b\n</connection>\n<connection>\nremote a\n</connection>', ['b 1194 udp', 'a 1194 udp']],
    ['start with what stands above them', 'port 443\nproto tcp\n<connection>\nremote a\n</connection>', ['a 443 tcp']],
    ['know nothing of what stands below them', '<connection>\nremote a\n</connection>\nport 443\nproto tcp', ['a 1194 udp']],
    [
      'keep what they say to themselves',
      '<connection>\nremote a\nport 1\n</connection>\n<connection>\nremote b\n</connection>',
      ['a 1 udp', 'b 1194 udp'],
    ],
    ['let the last word win', '<connection>\nremote a 443 tcp\nport 1\nproto udp\n</connection>', ['a 1 udp']],
    ['have one remote, the last', '<connection>\nremote a\nremote b\n</connection>', ['b 1194 udp']],
    ['need a remote', '<connection>\nport 1\n</connection>\n<connection>\nremote a\n</connection>', ['a 1194 udp']],
    [
      'may hold inline files',
      '<connection>\nremote a\n<http-proxy-user-pass>\nremote b\n</http-proxy-user-pass>\nport 2\n</connection>',
      ['a 2 udp'],
    ],
    ['may stand indented and be followed by a comment', '  <connection> # one\n  remote a\n  </connection> # end', ['a 1194 udp']],
    ['end where the file goes on', '<connection>\nremote a\n</connection>\nuser nobody', ['a 1194 udp']],
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
    const text = 'remote 203.0.113.10 1194\nremote 2001:db8::1 443 tcp6-client\nremote vpn.example.test\nremote 203.0.113.10 1194 udp';
    expect(endpoints(text)).toEqual(['203.0.113.10:1194/udp', '[2001:db8::1]:443/tcp']);
  });

  test('are read back as they were written', () => {
    fc.assert(
      fc.property(fc.array(anyEndpoint, { maxLength: 5 }), (list) => {
        const text = list.map(({ address, port, transport }) => `remote ${address.text} ${port} ${transport}\n`).join('');
        expect(new Set(endpoints(text))).toEqual(new Set(list.map(endpointText)));
      }),
    );
  });

  test.each(['127.0.0.1', '0.0.0.0', '224.0.0.1', '::1', 'fe80::1%eth0'])('leave out %s', (host) => {
    expect(endpoints(`remote ${host} 1194`)).toEqual([]);
  });

  test.each(HOSTILE_TEXT.map((text) => [JSON.stringify(text).slice(0, 60), text]))('leave out %s', (_, text) => {
    expect(endpoints(`remote ${JSON.stringify(text)} 1194 udp\n`)).toEqual([]);
  });

  test('come out of any text without an exception', () => {
    const line = fc.oneof(
      fc.constantFrom('remote', '<connection>', '</connection>', '<ca>', '</ca>', 'proto tcp', 'port 443', '"', "'", '\\', '#', '\r\n'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line), fc.constantFrom('\n', ' '), (lines, separator) => {
        for (const text of endpoints(lines.join(separator))) expect(text).toMatch(/^[0-9a-f.:[\]]+:\d+\/(udp|tcp)$/);
      }),
      { numRuns: 1000 },
    );
  });
});

import { expect, test } from 'vitest';
import { parseEndpoint } from '../../../src/net/endpoint.ts';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';
import type { LiveTunnel } from '../../../src/record/live-tunnels.ts';
import { parsePins, pinsJson, renewPins } from '../../../src/record/pins.ts';
import { connectionAnswers } from '../../../src/record/tunnel-names.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { settingsOf } from '../../support/policies.ts';

const PROFILE = '/etc/openvpn/client/a.conf';

/** Names to addresses, as a connection to these endpoints says of a profile with this text. */
function answersOf(text: string, ...endpoints: readonly string[]) {
  const device = parseInterfaceName('tun0');
  if (device === undefined) throw new Error('no device');
  const host = fakeHost({ files: { [PROFILE]: text } });
  const live: LiveTunnel = {
    tunnel: {
      device,
      endpoints: endpoints.flatMap((each) => parseEndpoint(each) ?? []),
      addresses: [],
      resolvers: [],
      networks: [],
    },
    since: 0,
    daemon: undefined,
    deviceSeen: true,
    profile: PROFILE,
  };
  return connectionAnswers(host, settingsOf({}), live);
}
const textsOf = (...words: Parameters<typeof answersOf>) =>
  Object.fromEntries(
    [...answersOf(...words)].map(([name, { addresses }]) => [
      name,
      addresses.map(({ text }) => text),
    ]),
  );

test.each([
  ['the one name', 'remote vpn.test 1194 udp', { 'vpn.test': ['203.0.113.10'] }],
  [
    'each name with the port',
    'remote a.test\nremote b.test\nremote c.test 443',
    { 'a.test': ['203.0.113.10'], 'b.test': ['203.0.113.10'] },
  ],
  ['no name over another transport', 'remote vpn.test 1194 tcp', {}],
  ['no name that is reached by the other family alone', 'remote vpn.test 1194 udp6', {}],
  ['no name behind a proxy', 'remote vpn.test 1194\nhttp-proxy 203.0.113.10 1194', {}],
  ['no name of a profile that holds addresses', 'remote 203.0.113.10 1194', {}],
])('stands for %s', (_, text, expected) => {
  expect(textsOf(text, '203.0.113.10:1194/udp')).toEqual(expected);
});

test('stands for the name of the proxy that it goes by', () => {
  expect(
    textsOf('remote vpn.test 1194\nhttp-proxy proxy.test 3128', '203.0.113.10:3128/tcp'),
  ).toEqual({ 'proxy.test': ['203.0.113.10'] });
});

test('is pinned as the connection’s word, which a file keeps', () => {
  const answers = answersOf('remote vpn.test 53 udp', '203.0.113.10:53/udp');
  const pins = renewPins([...answers.keys()], [], answers, 7);
  expect(pins.flatMap(({ addresses }) => addresses.map(({ from }) => from))).toEqual([
    { kind: 'connection', device: 'tun0' },
  ]);
  expect(parsePins(JSON.parse(JSON.stringify(pinsJson(pins))))).toEqual(pins);
});

import { describe, expect, test } from 'vitest';
import { PATHS } from '../../../src/host/paths.ts';
import { parseAddress } from '../../../src/net/address.ts';
import { endpointText } from '../../../src/net/endpoint.ts';
import { gaps } from '../../../src/record/gaps.ts';
import { type Ask, gatherKnown, renewKnown } from '../../../src/record/gather-known.ts';
import type { Origin } from '../../../src/record/pins.ts';
import { forgetKnown, savedKnown, saveKnown } from '../../../src/record/saved-known.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { settingsOf } from '../../support/policies.ts';

const PASSWD =
  'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\nopenvpn:x:998:998::/:/bin/false\nbroken:x:abc:1::/:/bin/false\n';
const FOLDER = '/etc/openvpn/client';
const files = {
  [PATHS.passwd]: PASSWD,
  [`${FOLDER}/a.conf`]: 'remote 203.0.113.10 1194\nuser nobody\n',
  [`${FOLDER}/b.conf`]: 'remote 203.0.113.11 443 tcp\nuser openvpn\n',
  [`${FOLDER}/.hidden.conf`]: 'remote 203.0.113.66\n',
  [`${FOLDER}/c.ovpn`]: 'remote 203.0.113.12\nuser ghost\n',
  [`${FOLDER}/deeper/d.conf`]: 'remote 203.0.113.13\n',
};
const gather = (profiles: string, owner = 'auto') => {
  const known = gatherKnown(
    fakeHost({ files }),
    settingsOf({ KILLSWITCH_PROFILES: profiles, KILLSWITCH_ENDPOINT_OWNER: owner }),
    undefined,
  );
  return { endpoints: known.endpoints.map(endpointText), uids: [...known.uids] };
};

describe('the profiles of the settings', () => {
  test.each([
    [`${FOLDER}/*.conf`, ['203.0.113.10:1194/udp', '203.0.113.11:443/tcp']],
    [`${FOLDER}/?.conf`, ['203.0.113.10:1194/udp', '203.0.113.11:443/tcp']],
    [`${FOLDER}/a.conf`, ['203.0.113.10:1194/udp']],
    [`${FOLDER}/a.conf,${FOLDER}/*.conf`, ['203.0.113.10:1194/udp', '203.0.113.11:443/tcp']],
    [`${FOLDER}/c.ovpn`, ['203.0.113.12:1194/udp']],
    [`${FOLDER}/.c.conf`, []],
    [`${FOLDER}/x.conf`, []],
    ['/nowhere/*.conf', []],
    [`${FOLDER}/a?conf.conf`, []],
  ])('%s name the endpoints %j', (profiles, endpoints) => {
    expect(gather(profiles).endpoints).toEqual(endpoints);
  });
});

describe('whose packets may go there', () => {
  test.each([
    ['auto', [0, 65534, 998]],
    ['root', [0]],
    ['user:openvpn', [998]],
    ['user:1001', [1001]],
    ['any', []],
    ['mark:0x1', []],
  ])('with "%s" are the users %j', (owner, uids) => {
    expect(gather(`${FOLDER}/*.conf`, owner).uids).toEqual(uids);
  });

  test('leave out an account of a profile that does not exist', () => {
    expect(gather(`${FOLDER}/c.ovpn`).uids).toEqual([0]);
  });

  test.each(['ghost', 'broken', 'root:x'])('are an error when the settings name "%s"', (name) => {
    const settings = { ...settingsOf({}), endpointOwner: { kind: 'user', name } as const };
    if (name === 'root:x')
      return expect(() => settingsOf({ KILLSWITCH_ENDPOINT_OWNER: `user:${name}` })).toThrow();
    return expect(() => gatherKnown(fakeHost({ files }), settings, undefined)).toThrow(
      expect.objectContaining({ code: 'SETTINGS' }),
    );
  });
});

describe('what was gathered', () => {
  test('is kept as it was, until it is forgotten', () => {
    const host = fakeHost({ files });
    expect(savedKnown(host, undefined)).toBeUndefined();
    const known = gatherKnown(host, settingsOf({}), undefined);
    saveKnown(host, known, PATHS.state);
    expect(savedKnown(host, undefined)).toEqual(known);
    forgetKnown(host);
    expect(savedKnown(host, undefined)).toBeUndefined();
  });

  test.each([
    '',
    '{',
    '[]',
    '{"endpoints":["x"],"uids":[]}',
    '{"endpoints":[],"uids":["0"]}',
    '{"endpoints":[]}',
    '{"uids":[0]}',
  ])('that is damaged (%j) is an error, not a guess', (text) => {
    const host = fakeHost({ files: { [`${PATHS.state}/endpoints.json`]: text } });
    expect(() => savedKnown(host, undefined)).toThrow(expect.objectContaining({ code: 'FILES' }));
  });
});

const NETWORK: Origin = { kind: 'lock', resolvers: ['203.0.113.53'] };
const TUNNEL: Origin = { kind: 'tunnel', device: 'tun0', resolvers: ['10.8.0.1'] };
const answers =
  (given: Readonly<Record<string, readonly string[]>>, from: Origin = NETWORK): Ask =>
  (names) =>
    new Map(
      names.flatMap((name) =>
        given[name] === undefined
          ? []
          : [[name, { addresses: given[name].flatMap((text) => parseAddress(text) ?? []), from }]],
      ),
    );

describe('names in profiles', () => {
  const named = {
    [`${FOLDER}/n.conf`]:
      'remote vpn.test 1194\nremote vpn.test 443 tcp\nremote gone.test\nremote 203.0.113.9 1194\n',
  };
  const settings = settingsOf({ KILLSWITCH_PROFILES: `${FOLDER}/*.conf` });

  test('become endpoints with each address that DNS has for them', () => {
    const host = fakeHost({ files: named });
    const known = gatherKnown(
      host,
      settings,
      undefined,
      answers({ 'vpn.test': ['192.0.2.1', '2001:db8::1'] }),
    );
    expect(known.endpoints.map(endpointText)).toEqual([
      '192.0.2.1:1194/udp',
      '192.0.2.1:443/tcp',
      '203.0.113.9:1194/udp',
      '[2001:db8::1]:1194/udp',
      '[2001:db8::1]:443/tcp',
    ]);
    expect(gaps(known)).toEqual([expect.stringMatching(/^no address is known for gone\.test: /)]);
  });

  test('are what they were pinned to where nobody can be asked', () => {
    const host = fakeHost({ files: named });
    saveKnown(
      host,
      gatherKnown(host, settings, undefined, answers({ 'vpn.test': ['192.0.2.1'] })),
      PATHS.state,
    );
    const again = gatherKnown(host, settings, undefined);
    expect(again.endpoints.map(endpointText)).toContain('192.0.2.1:443/tcp');
    expect(savedKnown(host, undefined)).toEqual(again);
  });

  test('that are renewed keep their old addresses as a fallback', () => {
    const host = fakeHost({ files: named });
    const known = gatherKnown(host, settings, undefined, answers({ 'vpn.test': ['192.0.2.1'] }));
    const renewed = renewKnown(host, known, answers({ 'vpn.test': ['192.0.2.2'] }, TUNNEL));
    expect(renewed.pins[0]?.addresses.map(({ address }) => address.text)).toEqual([
      '192.0.2.2',
      '192.0.2.1',
    ]);
    expect(renewed.endpoints.map(endpointText)).toContain('192.0.2.2:1194/udp');
  });

  test.each(['53', '853'])(
    'on port %s become endpoints only with addresses that root has found',
    (port) => {
      const files = {
        [`${FOLDER}/n.conf`]: `remote vpn.test ${port}\nremote 203.0.113.9 ${port}\n`,
      };
      const host = fakeHost({ files });
      const known = gatherKnown(host, settings, undefined, answers({ 'vpn.test': ['192.0.2.1'] }));
      const renewed = renewKnown(
        host,
        known,
        answers({ 'vpn.test': ['192.0.2.1', '192.0.2.2'] }, TUNNEL),
      );
      expect(renewed.endpoints.map(endpointText)).toEqual([
        `192.0.2.1:${port}/udp`,
        `203.0.113.9:${port}/udp`,
      ]);
    },
  );
});

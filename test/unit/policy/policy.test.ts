import { expect, describe as group, test } from 'vitest';
import { endpointText } from '../../../src/net/endpoint.ts';
import { LOCAL_MULTICAST, PRIVATE_NETWORKS } from '../../../src/net/well-known.ts';
import { baseOf, decide, describe, tunnelsOf } from '../../../src/policy/policy.ts';
import { POLICIES, settingsOf, TUN0, TUN1 } from '../../support/policies.ts';

const endpoints = settingsOf({
  KILLSWITCH_ENDPOINTS: '203.0.113.9:1194/udp,[2001:db8::9]:443/tcp',
}).endpoints;
const known = { endpoints, uids: [0] };

group('the base', () => {
  test('has the endpoints of the settings and of the profiles, once each', () => {
    const settings = settingsOf({
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp,203.0.113.9:1194/udp',
    });
    expect(baseOf(settings, known).endpoints.map(endpointText)).toEqual([
      '203.0.113.10:1194/udp',
      '203.0.113.9:1194/udp',
      '[2001:db8::9]:443/tcp',
    ]);
  });

  test('has no IPv6 endpoint when IPv6 is blocked', () => {
    expect(
      baseOf(settingsOf({ KILLSWITCH_IPV6: 'block' }), known).endpoints.map(endpointText),
    ).toEqual(['203.0.113.9:1194/udp']);
  });

  test.each([
    ['auto', [0, 65534]],
    ['root', [0, 65534]],
    ['user:nobody', [0, 65534]],
  ])(
    'with the owner "%s" asks for the accounts that were looked up, once each and in order',
    (owner, uids) => {
      const base = baseOf(settingsOf({ KILLSWITCH_ENDPOINT_OWNER: owner }), {
        endpoints: [],
        uids: [65534, 0, 65534],
      });
      expect(base.owners).toEqual(uids.map((uid) => ({ kind: 'uid', uid })));
    },
  );

  test('asks for a mark, or for nobody in particular, whatever accounts there are', () => {
    expect(baseOf(settingsOf({ KILLSWITCH_ENDPOINT_OWNER: 'mark:0xca6c' }), known).owners).toEqual([
      { kind: 'mark', mark: 0xca6c },
    ]);
    expect(baseOf(settingsOf({ KILLSWITCH_ENDPOINT_OWNER: 'any' }), known).owners).toBeUndefined();
  });

  test('lets nobody to the endpoints when no account was found', () => {
    expect(baseOf(settingsOf({}), { endpoints, uids: [] }).owners).toEqual([]);
  });

  test('knows the LAN as the settings do', () => {
    expect(baseOf(settingsOf({ KILLSWITCH_LAN: 'off' }), known).lan).toEqual([]);
    expect(baseOf(settingsOf({}), known).lan.map(({ network }) => network)).toEqual([
      ...PRIVATE_NETWORKS,
      ...LOCAL_MULTICAST,
    ]);
    expect(
      baseOf(settingsOf({ KILLSWITCH_LAN: '192.168.1.0/24' }), known).lan.map(
        ({ network }) => network.text,
      ),
    ).toEqual(['192.168.1.0/24']);
  });
});

group('the state', () => {
  const base = baseOf(settingsOf({}), known);

  test('is blocked without a live tunnel', () => {
    expect(decide(base, [])).toEqual({ state: 'blocked', base, former: [] });
    expect(tunnelsOf(decide(base, []))).toEqual([]);
  });

  test('is connected with live tunnels, whose order does not matter', () => {
    expect(decide(base, [TUN0])).toEqual({ state: 'connected', base, former: [], tunnels: [TUN0] });
    expect(decide(base, [TUN1, TUN0])).toEqual(decide(base, [TUN0, TUN1]));
    expect(tunnelsOf(decide(base, [TUN1, TUN0]))).toEqual([TUN0, TUN1]);
  });

  test('is portal with one that is open, and never beside a tunnel', () => {
    const { portal } = POLICIES['portal, LAN off'];
    expect(decide(base, [], portal)).toEqual({ state: 'portal', base, former: [], portal });
    expect(decide(base, [TUN0], portal)).toEqual(decide(base, [TUN0]));
  });
});

group('the policy in one line', () => {
  test.each([
    [decide(baseOf(settingsOf({}), { endpoints: [], uids: [] }), []), 'blocked, 0 endpoints'],
    [decide(baseOf(settingsOf({ KILLSWITCH_IPV6: 'block' }), known), []), 'blocked, 1 endpoint'],
    [
      decide(baseOf(settingsOf({}), known), [TUN0]),
      'connected, 2 endpoints; tun0 to 203.0.113.10:1194/udp, resolvers 10.8.0.1 fd00:8::1',
    ],
    [
      decide(baseOf(settingsOf({ KILLSWITCH_DNS: '9.9.9.9' }), known), [TUN0]),
      'connected, 2 endpoints; tun0 to 203.0.113.10:1194/udp, resolvers 9.9.9.9',
    ],
    [
      decide(baseOf(settingsOf({}), known), [{ ...TUN0, endpoints: [], resolvers: [] }, TUN1]),
      'connected, 2 endpoints; tun0, no resolver; tun1 to 203.0.113.20:443/tcp, resolvers 10.9.0.1',
    ],
  ])('%# is as expected', (policy, line) => {
    expect(describe(policy)).toBe(line);
  });
});

import { describe, expect, test } from 'vitest';
import { demandsOf } from '../../../src/dns/demand.ts';
import { resolvConfText } from '../../../src/dns/resolv-conf-text.ts';
import { parseHostName } from '../../../src/net/host-name.ts';
import type { LiveTunnel } from '../../../src/record/live-tunnels.ts';
import { settingsOf, type TunnelFacts, tunnelOf } from '../../support/policies.ts';

const live = (facts: TunnelFacts, since = 1): LiveTunnel => ({
  tunnel: tunnelOf(facts),
  since,
  daemon: undefined,
  deviceSeen: true,
});
const TUN0 = {
  device: 'tun0',
  addresses: ['10.8.0.6', 'fd00:8::6'],
  resolvers: ['10.8.0.1', 'fd00:8::1'],
};
const TUN1 = { device: 'tun1', addresses: ['10.9.0.6'], resolvers: ['10.9.0.1', 'fd00:9::1'] };
const shown = (settings: Parameters<typeof settingsOf>[0], ...tunnels: readonly LiveTunnel[]) =>
  demandsOf(settingsOf(settings), tunnels).map(({ device, resolvers }) => [
    device,
    ...resolvers.map(({ text }) => text),
  ]);

describe('what live tunnels demand of the system’s DNS', () => {
  test('is nothing without a tunnel, and nothing of one without resolvers', () => {
    expect(shown({})).toEqual([]);
    expect(shown({}, live({ device: 'tun0', addresses: ['10.8.0.6'] }))).toEqual([]);
  });

  test('names the newest tunnel first', () => {
    expect(shown({}, live(TUN0, 1), live(TUN1, 2))).toEqual([
      ['tun1', '10.9.0.1'],
      ['tun0', '10.8.0.1', 'fd00:8::1'],
    ]);
    expect(shown({}, live(TUN0, 2), live(TUN1, 1)).map(([device]) => device)).toEqual([
      'tun0',
      'tun1',
    ]);
  });

  test('leaves out what the rules keep from being asked: IPv6 in a tunnel without it, or when it is blocked', () => {
    expect(shown({}, live(TUN1))).toEqual([['tun1', '10.9.0.1']]);
    expect(shown({ KILLSWITCH_IPV6: 'block' }, live(TUN0))).toEqual([['tun0', '10.8.0.1']]);
  });

  test('is what KILLSWITCH_DNS says instead of what was pushed', () => {
    expect(
      shown({ KILLSWITCH_DNS: '9.9.9.9' }, live(TUN0), live({ ...TUN1, resolvers: [] })),
    ).toEqual([
      ['tun0', '9.9.9.9'],
      ['tun1', '9.9.9.9'],
    ]);
  });
});

describe('a resolv.conf of ours', () => {
  const lines = (text: string) => text.split('\n').slice(1);

  test('names at most three servers, each once, those over TLS last, and the search domains', () => {
    const [overTls, ...plain] = tunnelOf({
      device: 'tun0',
      resolvers: ['10.8.0.9', '10.8.0.1', '10.8.0.1', 'fd00:8::1', '10.8.0.3'],
    }).resolvers;
    const domain = parseHostName('corp.example');
    if (overTls === undefined || domain === undefined) throw new Error('these parse');
    const demand = { device: tunnelOf(TUN0).device, searchDomains: [domain] };
    const first = { ...overTls, transport: 'tls' as const };
    expect(lines(resolvConfText([{ ...demand, resolvers: [first, ...plain] }]))).toEqual([
      'nameserver 10.8.0.1',
      'nameserver fd00:8::1',
      'nameserver 10.8.0.3',
      'search corp.example',
      '',
    ]);
    expect(lines(resolvConfText([{ ...demand, resolvers: [first] }]))).toEqual([
      'nameserver 10.8.0.9',
      'search corp.example',
      '',
    ]);
  });
});

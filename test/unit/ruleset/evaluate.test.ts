import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../../src/net/endpoint.ts';
import { parseInterfaceName } from '../../../src/net/interface-name.ts';
import { parseNetwork } from '../../../src/net/network.ts';
import { parseService } from '../../../src/net/port.ts';
import { evaluate, matches } from '../../../src/ruleset/evaluate.ts';
import type { Packet } from '../../../src/ruleset/packet.ts';
import type { Match, Rule, Ruleset } from '../../../src/ruleset/ruleset.ts';
import { address } from '../../support/places.ts';

const PACKET: Packet = {
  hook: 'output',
  in: undefined,
  out: 'eth0',
  from: address('192.168.77.2'),
  to: address('203.0.113.10'),
  payload: { transport: 'udp', fromPort: 40000, toPort: 1194 },
  conntrack: 'new',
  uid: 0,
  mark: 7,
};
const some = <Value>(value: Value | undefined): readonly Value[] =>
  value === undefined ? [] : [value];
const [eth0] = some(parseInterfaceName('eth0'));
const [tun0] = some(parseInterfaceName('tun0'));
const net = (text: string) => some(parseNetwork(text));
const ports = (text: string) => some(parseService(`${text}/udp`)?.ports);

describe('a match', () => {
  const rows: readonly (readonly [string, Match, boolean])[] = [
    ['without fields holds', {}, true],
    ['asks for the family', { family: 'ipv4' }, true],
    ['asks for the family', { family: 'ipv6' }, false],
    ['asks for the interface out', { ...(eth0 && { out: eth0 }) }, true],
    ['asks for the interface out', { ...(tun0 && { out: tun0 }) }, false],
    ['asks for the interface in', { ...(eth0 && { in: eth0 }) }, false],
    ['asks for another interface in', { ...(eth0 && { notIn: eth0 }) }, true],
    ['asks for the source', { from: net('192.168.77.0/24') }, true],
    ['asks for the source', { from: net('192.168.78.0/24') }, false],
    ['asks for the destination', { to: [...net('10.0.0.0/8'), ...net('203.0.113.0/24')] }, true],
    ['asks for the destination', { to: net('2001:db8::/32') }, false],
    ['asks for an endpoint', { endpoints: some(parseEndpoint('203.0.113.10:1194/udp')) }, true],
    [
      'asks for an endpoint’s address',
      { endpoints: some(parseEndpoint('203.0.113.11:1194/udp')) },
      false,
    ],
    [
      'asks for an endpoint’s port',
      { endpoints: some(parseEndpoint('203.0.113.10:1195/udp')) },
      false,
    ],
    [
      'asks for an endpoint’s transport',
      { endpoints: some(parseEndpoint('203.0.113.10:1194/tcp')) },
      false,
    ],
    ['asks for the transport', { transports: ['tcp', 'udp'] }, true],
    ['asks for the transport', { transports: ['tcp'] }, false],
    ['asks for the port', { toPorts: ports('1000-1194') }, true],
    ['asks for the port', { toPorts: ports('1195-2000') }, false],
    ['asks for the port it comes from', { fromPorts: ports('40000') }, true],
    ['asks for the port it comes from', { fromPorts: ports('40001') }, false],
    ['asks for a type of ICMP', { icmp: [8] }, false],
    ['asks for the state of the connection', { conntrack: ['established'] }, false],
    ['asks for the user', { owner: { kind: 'uid', uid: 0 } }, true],
    ['asks for the user', { owner: { kind: 'uid', uid: 1000 } }, false],
    ['asks for the mark', { owner: { kind: 'mark', mark: 7 } }, true],
    ['asks for the mark', { owner: { kind: 'mark', mark: 8 } }, false],
    ['asks for all of its fields', { family: 'ipv4', transports: ['tcp'] }, false],
  ];

  test.each(rows)('%s: %j is %s', (_, match, expected) => {
    expect(matches(match, PACKET)).toBe(expected);
  });

  test('for ports holds for no packet without any', () => {
    const icmp: Packet = { ...PACKET, payload: { icmp: 8 } };
    const gre: Packet = { ...PACKET, payload: { protocol: 47 } };
    for (const packet of [icmp, gre]) {
      expect(matches({ toPorts: ports('1-65535') }, packet)).toBe(false);
      expect(matches({ transports: ['tcp', 'udp'] }, packet)).toBe(false);
      expect(matches({ endpoints: some(parseEndpoint('203.0.113.10:1194/udp')) }, packet)).toBe(
        false,
      );
    }
    expect(matches({ icmp: [8] }, icmp)).toBe(true);
    expect(matches({ icmp: [8] }, gre)).toBe(false);
  });
});

describe('a packet', () => {
  const accept: Rule = { id: 'lan', match: {}, verdict: 'accept' };
  const drop: Rule = { id: 'rest', match: {}, verdict: 'drop' };
  const ask = (...chains: Ruleset) => evaluate(chains, PACKET);

  test('that no rule decides about is dropped by the chain policy', () => {
    expect(ask()).toEqual({ verdict: 'drop', rule: undefined, chain: 'output' });
    expect(ask({ name: 'output', rules: [] })).toEqual({
      verdict: 'drop',
      rule: undefined,
      chain: 'output',
    });
    expect(ask({ name: 'input', rules: [accept] }).verdict).toBe('drop');
  });

  test('is decided about by the first rule that matches', () => {
    expect(ask({ name: 'output', rules: [accept, drop] })).toEqual({
      verdict: 'accept',
      rule: accept,
      chain: 'output',
    });
    expect(
      ask({ name: 'output', rules: [{ ...accept, match: { family: 'ipv6' } }, drop] }),
    ).toEqual({
      verdict: 'drop',
      rule: drop,
      chain: 'output',
    });
  });

  test('goes on after a log', () => {
    expect(
      ask({
        name: 'output',
        rules: [{ ...drop, verdict: { log: { count: 1, unit: 'second' } } }, accept],
      }).verdict,
    ).toBe('accept');
  });

  test('goes through a chain that is jumped to, and on behind it when nothing there decides', () => {
    const jump: Rule = { id: 'tunnel', match: {}, verdict: { jump: 'tunnel-output' } };
    const decided = ask(
      { name: 'tunnel-output', rules: [accept] },
      { name: 'output', rules: [jump, drop] },
    );
    expect(decided).toEqual({ verdict: 'accept', rule: accept, chain: 'tunnel-output' });
    expect(
      ask({ name: 'tunnel-output', rules: [] }, { name: 'output', rules: [jump, drop] }).verdict,
    ).toBe('drop');
    expect(
      ask(
        { name: 'tunnel-output', rules: [{ ...accept, match: { family: 'ipv6' } }] },
        { name: 'output', rules: [jump, drop] },
      ).rule,
    ).toBe(drop);
    expect(ask({ name: 'output', rules: [jump, drop] }).rule).toBe(drop);
  });
});

import { describe, expect, test } from 'vitest';
import { differencesOf } from '../../src/backend/image.ts';
import { nftables } from '../../src/backend/nftables.ts';
import { readNftJson, TABLE } from '../../src/backend/nftables-survey.ts';
import { decide } from '../../src/policy/policy.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { baseWith } from '../support/policies.ts';

/**
 * The chain `postrouting` of a ruleset as nft lists it, its rule for the LAN with the right side
 * that is given.
 */
function listed(right: unknown) {
  const image = nftables.image(
    compile(decide(baseWith({ KILLSWITCH_LAN: '192.168.76.0/24,192.168.77.0/24' }), [])),
  );
  const chain = image.find(({ name }) => name === 'postrouting');
  const rule = {
    family: 'inet',
    table: TABLE,
    chain: 'postrouting',
    comment: 'lan',
    expr: [
      { match: { op: '==', left: { payload: { protocol: 'ip', field: 'daddr' } }, right } },
      { counter: { packets: 0, bytes: 0 } },
      { accept: null },
    ],
  };
  const head = {
    family: 'inet',
    table: TABLE,
    name: 'postrouting',
    type: 'filter',
    hook: 'postrouting',
    prio: 200,
    policy: 'drop',
  };
  const [found] = readNftJson(JSON.stringify({ nftables: [{ chain: head }, { rule }] }));
  const expected =
    chain === undefined ? [] : [{ ...chain, rules: chain.rules.filter(({ id }) => id === 'lan') }];
  return differencesOf(expected, found === undefined ? [] : [found]);
}

const prefix = (addr: string, len: number) => ({ prefix: { addr, len } });

describe('nft lists neighbouring prefixes of a set one by one or as a range, by its version and the kernel’s', () => {
  test.each<readonly [string, unknown]>([
    ['one by one', { set: [prefix('192.168.76.0', 24), prefix('192.168.77.0', 24)] }],
    ['in another order', { set: [prefix('192.168.77.0', 24), prefix('192.168.76.0', 24)] }],
    ['as the one prefix they make', { set: [prefix('192.168.76.0', 23)] }],
    ['as a range', { set: [{ range: ['192.168.76.0', '192.168.77.255'] }] }],
    [
      'as two ranges',
      {
        set: [
          { range: ['192.168.76.0', '192.168.76.255'] },
          { range: ['192.168.77.0', '192.168.77.255'] },
        ],
      },
    ],
  ])('and %s it is what was loaded', (_, right) => {
    expect(listed(right)).toEqual([]);
  });

  test.each<readonly [string, unknown]>([
    [
      'a network too many',
      { set: [prefix('192.168.76.0', 24), prefix('192.168.77.0', 24), prefix('10.0.0.0', 8)] },
    ],
    ['a network too few', { set: [prefix('192.168.76.0', 24), prefix('192.168.78.0', 24)] }],
    [
      'an address more at the end',
      { set: [prefix('192.168.76.0', 24), { range: ['192.168.77.0', '192.168.78.0'] }] },
    ],
  ])('but %s is seen', (_, right) => {
    expect(listed(right).length).toBeGreaterThan(0);
  });
});

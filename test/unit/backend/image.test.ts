import { describe, expect, test } from 'vitest';
import {
  differencesOf,
  type Image,
  type ImageChain,
  ruleId,
  sameReasons,
} from '../../../src/backend/image.ts';
import { RULE_IDS } from '../../../src/ruleset/ruleset.ts';

const accept = { id: 'lan', text: 'accept' } as const;
const drop = { id: 'rest', text: 'drop' } as const;
const chain = (change: Partial<ImageChain> = {}): ImageChain => ({
  family: 'ipv4',
  name: 'OUT',
  policy: 'DROP',
  ordered: true,
  rules: [accept, drop],
  ...change,
});
const what = (expected: Image, found: Image) =>
  differencesOf(expected, found).map(
    (each) => `${each.family ?? ''} ${each.chain} ${each.id ?? ''}: ${each.what}`,
  );

describe('the differences between what should be there and what was found', () => {
  test.each<readonly [string, Image, Image, readonly string[]]>([
    ['are none when both are the same', [chain()], [chain()], []],
    [
      'are none when only packets were counted',
      [chain()],
      [
        chain({
          rules: [
            { ...accept, packets: 9 },
            { ...drop, packets: 1 },
          ],
        }),
      ],
      [],
    ],
    [
      'are none when chains stand in another order',
      [chain(), chain({ name: 'IN' })],
      [chain({ name: 'IN' }), chain()],
      [],
    ],
    ['name a chain that is missing', [chain()], [], ['ipv4 OUT : the chain is missing']],
    ['name a chain too many', [], [chain()], ['ipv4 OUT : the chain should not be there']],
    [
      'keep families apart',
      [chain()],
      [chain({ family: 'ipv6' })],
      ['ipv4 OUT : the chain is missing', 'ipv6 OUT : the chain should not be there'],
    ],
    [
      'name a policy',
      [chain()],
      [chain({ policy: 'ACCEPT' })],
      ['ipv4 OUT : its policy is ACCEPT and should be DROP'],
    ],
    [
      'name a rule that is missing',
      [chain()],
      [chain({ rules: [drop] })],
      ['ipv4 OUT lan: missing: accept'],
    ],
    [
      'name a rule of somebody else',
      [chain()],
      [chain({ rules: [{ id: undefined, text: 'evil' }, accept, drop] })],
      ['ipv4 OUT : not ours: evil'],
    ],
    [
      'count the same rule twice',
      [chain()],
      [chain({ rules: [accept, accept, drop] })],
      ['ipv4 OUT lan: not ours: accept'],
    ],
    [
      'count the same rule once',
      [chain({ rules: [accept, accept] })],
      [chain({ rules: [accept] })],
      ['ipv4 OUT lan: missing: accept'],
    ],
    [
      'see the order',
      [chain()],
      [chain({ rules: [drop, accept] })],
      ['ipv4 OUT lan: out of order from rule 1 on'],
    ],
    [
      'do not see an order that says nothing',
      [chain({ ordered: false })],
      [chain({ rules: [drop, accept] })],
      [],
    ],
    [
      'are all named',
      [chain({ rules: [accept] })],
      [chain({ policy: undefined, rules: [drop] })],
      [
        'ipv4 OUT : its policy is missing and should be DROP',
        'ipv4 OUT lan: missing: accept',
        'ipv4 OUT rest: not ours: drop',
      ],
    ],
  ])('%s', (_, expected, found, differences) => {
    expect(what(expected, found)).toEqual(differences);
  });
});

describe('the same reasons in other words', () => {
  const spelled = (change: Partial<ImageChain>) => sameReasons([chain()], [chain(change)]);

  test('are seen when only the text differs', () => {
    expect(
      spelled({
        rules: [
          { id: 'lan', text: 'x' },
          { id: 'rest', text: 'y' },
        ],
      }),
    ).toBe(true);
  });

  test.each<readonly [string, Partial<ImageChain>]>([
    ['the order', { rules: [drop, accept] }],
    ['a rule', { rules: [drop] }],
    ['a reason', { rules: [{ id: undefined, text: 'accept' }, drop] }],
    ['the policy', { policy: 'ACCEPT' }],
    ['the family', { family: 'ipv6' }],
    ['the name', { name: 'IN' }],
  ])('are not the same with another: %s', (_, change) => {
    expect(spelled(change)).toBe(false);
  });
});

describe('the reason in a comment', () => {
  test('is one of ours or none', () => {
    for (const id of RULE_IDS) expect(ruleId(id)).toBe(id);
    for (const text of [undefined, '', 'LAN', 'lan ', 'constructor'])
      expect(ruleId(text)).toBeUndefined();
  });
});

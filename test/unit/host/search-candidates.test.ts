import { describe, expect, test } from 'vitest';
import {
  completedAddresses,
  completionOf,
  searchCandidates,
} from '../../../src/host/search-candidates.ts';

const asked = (name: string, resolvConf: string, hostname = 'host') =>
  searchCandidates(name, completionOf(resolvConf, hostname));

describe('the names that are asked for in place of one', () => {
  test.each([
    ['vpn', '', ['vpn']],
    ['vpn', 'search a.test b.test', ['vpn.a.test', 'vpn.b.test', 'vpn']],
    ['vpn.x', 'search a.test', ['vpn.x', 'vpn.x.a.test']],
    ['vpn.x', 'search a.test\noptions rotate ndots:2', ['vpn.x.a.test', 'vpn.x']],
    ['vpn', 'search a.test\ndomain C.test.', ['vpn.c.test', 'vpn']],
    ['vpn', 'search . a..test $(id) -', ['vpn.-', 'vpn']],
    [`${'a'.repeat(60)}.x`, `search ${'b.'.repeat(100)}test`, [`${'a'.repeat(60)}.x`]],
  ])('%s with "%s"', (name, resolvConf, expected) => {
    expect(asked(name, resolvConf)).toEqual(expected);
  });

  test('are of the domain of the machine, where resolv.conf names none', () => {
    expect(asked('vpn', 'nameserver 192.0.2.1', 'host.corp.test')).toEqual([
      'vpn.corp.test',
      'vpn',
    ]);
  });
});

describe('the addresses of a name', () => {
  const COMPLETION = { search: ['a.test', 'b.test'], ndots: 1 };
  const addresses = (name: string, known: Readonly<Record<string, string>>) =>
    completedAddresses(name, COMPLETION, async (each) => ({
      addresses: known[each] === undefined || known[each] === 'fails' ? [] : [known[each]],
      isUnknown: known[each] === undefined,
    }));

  test('are those of the first completed name that has any', async () => {
    expect(await addresses('vpn', { 'vpn.a.test': 'fails', 'vpn.b.test': '1' })).toEqual(['1']);
    expect(await addresses('vpn.x', { 'vpn.x.a.test': '1' })).toEqual(['1']);
    expect(await addresses('vpn.x', { 'vpn.x': '2', 'vpn.x.a.test': '1' })).toEqual(['2']);
  });

  test("are not another domain's while its own resolver fails", async () => {
    expect(await addresses('vpn.x', { 'vpn.x': 'fails', 'vpn.x.a.test': '1' })).toEqual([]);
  });
});

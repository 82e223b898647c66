import { describe, expect, test } from 'vitest';
import { type BackendFacts, chooseBackend } from '../../../src/backend/choose-backend.ts';
import { KillswitchError } from '../../../src/errors.ts';

const FACTS: BackendFacts = {
  setting: 'auto',
  locked: undefined,
  has: { nft: true, iptables: true, ip6tables: true },
  ipv6: true,
  flushed: () => false,
  wall: () => true,
  frames: () => true,
  iptablesFails: () => undefined,
  nftablesFails: () => undefined,
};
const IPTABLES: BackendFacts = { ...FACTS, setting: 'iptables' };
const only = (...programs: readonly (keyof BackendFacts['has'])[]): BackendFacts['has'] => ({
  nft: programs.includes('nft'),
  iptables: programs.includes('iptables'),
  ip6tables: programs.includes('ip6tables'),
});
const OWN = 'nftables: nft is installed';
const FLUSHED =
  'KILLSWITCH_BACKEND says iptables, but firewalld with FirewallBackend=iptables would flush all of it, and open this machine';
const NO_IPV6 = 'this kernel has no IPv6: only IPv4 is locked, and nothing else can leave';

describe('the backend', () => {
  test.each<readonly [string, Partial<BackendFacts>, string, readonly string[]]>([
    ['all is there and nothing is in the way', {}, 'nftables', [OWN]],
    [
      'iptables is missing',
      { has: only('nft') },
      'nftables',
      ['nftables: iptables is not installed'],
    ],
    [
      'nft is missing',
      { has: only('iptables', 'ip6tables') },
      'iptables',
      ['iptables: nft is not installed'],
    ],
    [
      'nft is missing, and iptables does not work here',
      { has: only('iptables', 'ip6tables'), iptablesFails: () => 'iptables-restore fails a trial' },
      'iptables',
      ['iptables: nft is not installed'],
    ],
    [
      'nftables does not work here',
      { nftablesFails: () => 'nft fails a trial' },
      'iptables',
      ['iptables: nft fails a trial'],
    ],
    [
      'neither works here',
      {
        nftablesFails: () => 'nft fails a trial',
        iptablesFails: () => 'iptables-restore fails a trial',
      },
      'nftables',
      ['nftables: nft fails a trial, and iptables-restore fails a trial'],
    ],
    [
      'the settings say iptables',
      { setting: 'iptables' },
      'iptables',
      ['iptables: KILLSWITCH_BACKEND says iptables'],
    ],
    [
      'the settings say iptables, which firewalld flushes',
      { setting: 'iptables', flushed: () => true },
      'nftables',
      [`nftables: ${FLUSHED}`],
    ],
    [
      'the settings say iptables, which firewalld flushes, and nft is missing',
      { setting: 'iptables', flushed: () => true, has: only('iptables', 'ip6tables') },
      'iptables',
      ['iptables: KILLSWITCH_BACKEND says iptables'],
    ],
    [
      'firewalld flushes iptables since it was locked with that',
      { setting: 'iptables', flushed: () => true, locked: 'iptables' },
      'iptables',
      ['iptables: the machine is locked with it'],
    ],
    [
      'it is locked with nftables although the settings say iptables',
      { setting: 'iptables', flushed: () => true, locked: 'nftables' },
      'nftables',
      [`nftables: the machine is locked with it: ${FLUSHED}`],
    ],
    [
      'the settings say nftables',
      { setting: 'nftables' },
      'nftables',
      ['nftables: KILLSWITCH_BACKEND says nftables'],
    ],
    [
      'it is locked with iptables',
      { locked: 'iptables', setting: 'nftables' },
      'iptables',
      ['iptables: the machine is locked with it'],
    ],
    [
      'it is locked with nftables',
      { locked: 'nftables', setting: 'iptables' },
      'nftables',
      ['nftables: the machine is locked with it'],
    ],
    [
      'the kernel has no IPv6',
      { ipv6: false, has: only('iptables') },
      'iptables',
      ['iptables: nft is not installed', NO_IPV6],
    ],
    [
      'the kernel has no IPv6 and iptables is missing',
      { ipv6: false, has: only('nft') },
      'nftables',
      ['nftables: iptables is not installed', NO_IPV6],
    ],
  ])('when %s', (_, change, name, trace) => {
    const choice = chooseBackend({ ...FACTS, ...change });
    expect(choice.backend.name).toBe(name);
    expect(choice.trace).toEqual(trace);
  });

  test.each<Partial<BackendFacts>>([
    { setting: 'auto' },
    { setting: 'nftables' },
    { setting: 'iptables', locked: 'iptables' },
  ])('is found without a look at firewalld where that decides nothing (%j)', (change) => {
    const flushed = () => {
      throw new Error('looked');
    };
    expect(() => chooseBackend({ ...FACTS, ...change, flushed })).not.toThrow();
  });

  test('of iptables has a second wall, and says so when the kernel has no table for it', () => {
    expect(chooseBackend(IPTABLES)).toMatchObject({ wall: true });
    const { wall, trace, backend } = chooseBackend({ ...IPTABLES, wall: () => false });
    expect(wall).toBe(false);
    expect(trace.at(-1)).toContain('no table "mangle"');
    expect(backend.image([]).filter(({ name }) => name.startsWith('mangle '))).toEqual([]);
  });

  test('of iptables reads and writes IPv6 only where the kernel has it', () => {
    expect(chooseBackend(IPTABLES).backend.look.map(({ program }) => program)).toEqual([
      'iptables-save',
      'ip6tables-save',
    ]);
    expect(
      chooseBackend({ ...IPTABLES, ipv6: false }).backend.look.map(({ program }) => program),
    ).toEqual(['iptables-save']);
  });

  test.each<readonly [string, Partial<BackendFacts>, string, string]>([
    ['nothing is installed', { has: only() }, 'NO_BACKEND', 'nft is not installed'],
    [
      'the settings name what is not installed',
      { setting: 'iptables', has: only('nft') },
      'NO_BACKEND',
      'iptables is not installed',
    ],
    [
      'it is locked with what is gone',
      { locked: 'nftables', has: only('iptables', 'ip6tables') },
      'NO_BACKEND',
      'nft is not installed',
    ],
    [
      'IPv6 could leave unseen',
      { setting: 'iptables', has: only('nft', 'iptables') },
      'NO_IPV6_BACKEND',
      'ip6tables is not installed',
    ],
    [
      'IPv6 could leave unseen by default',
      { has: only('iptables') },
      'NO_IPV6_BACKEND',
      'ip6tables is not installed',
    ],
  ])('is an error that says what to install when %s', (_, change, code, what) => {
    try {
      chooseBackend({ ...FACTS, ...change });
      expect.fail('no error');
    } catch (error) {
      if (!(error instanceof KillswitchError)) throw error;
      expect(error.code).toBe(code);
      expect(error.message).toContain(what);
      expect(error.next).toMatch(/[Ii]nstall/);
      expect(error.detail[0]).toMatch(/^(iptables|nftables): /);
    }
  });
});

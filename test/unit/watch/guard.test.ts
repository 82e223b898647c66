import { describe, expect, test } from 'vitest';
import { iptables } from '../../../src/backend/iptables.ts';
import type { Command } from '../../../src/host/command.ts';
import { baseOf, decide } from '../../../src/policy/policy.ts';
import { defaultSettings } from '../../../src/policy/settings.ts';
import { compile } from '../../../src/ruleset/compile.ts';
import { guard } from '../../../src/watch/guard.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';

const RECORD = JSON.stringify({
  locked: true,
  since: 1,
  backend: 'iptables',
  wall: true,
  before: [],
  made: [],
});
const KNOWN = JSON.stringify({ version: 1, endpoints: [], uids: [0], named: [], pins: [] });

/** The output of iptables-save when the base is loaded. */
function wholeListing(): string {
  const base = decide(baseOf(defaultSettings(), { endpoints: [], uids: [0] }), []);
  const script = iptables(['ipv4']).bootText(compile(base))['base.v4'] ?? '';
  return script
    .replace(
      '*mangle\n',
      '*mangle\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n',
    )
    .replace(/^-I (\S+) 1 /gm, '-A $1 ')
    .replace(/^-A /gm, '[0:0] -A ');
}
const OPEN = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n';

/** A machine without IPv6 whose listings are these, one after the other; the last one stays. */
function machine(
  listings: readonly string[],
  files: Readonly<Record<string, string>> = {},
): FakeHost {
  let reads = 0;
  return fakeHost({
    files: {
      '/var/lib/ovpn-killswitch/lock.json': RECORD,
      '/var/lib/ovpn-killswitch/endpoints.json': KNOWN,
      ...files,
    },
    programs: ['iptables-save', 'iptables-restore'],
    answer: ({ program }) =>
      program === 'iptables-save'
        ? { stdout: listings[Math.min(reads++, listings.length - 1)] ?? '' }
        : {},
  });
}
const commits = ({ commands }: FakeHost) =>
  commands.filter(
    ({ program, args }: Command) => program === 'iptables-restore' && !args.includes('--test'),
  ).length;

describe('a look at the machine', () => {
  test('that holds what it should changes nothing', () => {
    const host = machine([wholeListing()]);
    expect(guard(host, { patient: true, spelling: [] })).toEqual({ kind: 'exact' });
    expect(commits(host)).toBe(0);
  });

  test('whose rules somebody has flushed puts them back', () => {
    const host = machine([OPEN, OPEN, wholeListing()]);
    expect(guard(host, { patient: true, spelling: [] })).toMatchObject({
      kind: 'restored',
      spelling: [],
      gone: [],
    });
    expect(commits(host)).toBe(1);
  });

  test('never takes a flush that follows at once for a way of listing', () => {
    const host = machine([OPEN, OPEN, wholeListing(), OPEN]);
    const first = guard(host, { patient: true, spelling: [] });
    if (first.kind !== 'restored') throw new Error(`it was ${first.kind}`);
    expect(first.spelling).toEqual([]);
    const next = machine([OPEN, OPEN, wholeListing()]);
    expect(guard(next, { patient: true, spelling: first.spelling }).kind).toBe('restored');
  });

  test('knows the words of a newer tool after the first time, and does not load the rules again and again', () => {
    const newer = wholeListing().replaceAll('--ctstate ESTABLISHED', '--ctstate  ESTABLISHED');
    const first = guard(machine([newer]), { patient: true, spelling: [] });
    if (first.kind !== 'restored') throw new Error(`it was ${first.kind}`);
    expect(first.spelling.length).toBeGreaterThan(0);
    const host = machine([newer]);
    expect(guard(host, { patient: true, spelling: first.spelling })).toEqual({ kind: 'exact' });
    expect(commits(host)).toBe(0);
  });

  test('lets a hook finish that has written its tunnel and not yet loaded its rules, but not for ever', () => {
    const last = JSON.stringify({
      version: 1,
      backend: 'iptables',
      tunnels: ['a tunnel that is gone'],
      former: [],
      fingerprint: '',
    });
    const files = { '/run/ovpn-killswitch/last-transaction': last };
    const host = machine([OPEN, OPEN, wholeListing()], files);
    expect(guard(host, { patient: true, spelling: [] })).toEqual({ kind: 'busy' });
    expect(commits(host)).toBe(0);
    expect(
      guard(machine([OPEN, OPEN, wholeListing()], files), { patient: false, spelling: [] }).kind,
    ).toBe('restored');
  });

  test('that is unlocked is left alone, whatever is loaded', () => {
    const host = machine([OPEN], {
      '/var/lib/ovpn-killswitch/lock.json': RECORD.replace('true', 'false'),
    });
    expect(guard(host, { patient: true, spelling: [] })).toEqual({ kind: 'unlocked' });
    expect(host.commands).toEqual([]);
  });
});

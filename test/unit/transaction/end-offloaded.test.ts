import { describe, expect, test } from 'vitest';
import type { Output } from '../../../src/host/command.ts';
import { unendableFlowtables } from '../../../src/machine/flowtables.ts';
import { endOffloaded } from '../../../src/transaction/end-offloaded.ts';
import { fakeHost } from '../../support/fake-host.ts';

/** As nft 1.1.3 prints it. */
const LISTED =
  '{"nftables": [{"metainfo": {"version": "1.1.3", "json_schema_version": 1}}, {"flowtable": {"family": "inet", "name": "ft", "table": "fw", "handle": 2, "hook": "ingress", "prio": 0, "dev": ["c0", "cg"]}}]}';
const NONE = '{"nftables": [{"metainfo": {"version": "1.1.3", "json_schema_version": 1}}]}';

function machine({
  listed = LISTED,
  programs = ['nft', 'conntrack'],
  conntrack = {} as Partial<Output>,
} = {}) {
  return fakeHost({
    programs,
    answer: ({ program }) => (program === 'nft' ? { stdout: listed } : conntrack),
  });
}
const said = (count: number) =>
  `conntrack v1.4.8 (conntrack-tools): ${count} flow entries have been deleted.\n`;

describe('connections that a flowtable has taken over', () => {
  test('are ended where conntrack is there', () => {
    expect(endOffloaded(machine({ conntrack: { stderr: said(3) } }))).toEqual({
      kind: 'ended',
      count: 3,
    });
  });

  test('are none where conntrack ends with 1 and says that there was nothing', () => {
    expect(endOffloaded(machine({ conntrack: { status: 1, stderr: said(0) } }))).toEqual({
      kind: 'none',
    });
  });

  test('are not asked for without a flowtable', () => {
    const host = machine({ listed: NONE });
    expect(endOffloaded(host)).toEqual({ kind: 'none' });
    expect(host.commands.map(({ program }) => program)).toEqual(['nft']);
  });

  test('are ended unseen where nft cannot say whether there is a flowtable', () => {
    expect(
      endOffloaded(machine({ programs: ['conntrack'], conntrack: { stderr: said(1) } })),
    ).toEqual({ kind: 'ended', count: 1 });
  });

  test.each([
    ['without conntrack', { programs: ['nft'] }, 'conntrack is not installed'],
    [
      'where conntrack fails',
      { conntrack: { status: 1, stderr: 'Operation not permitted\n' } },
      'Operation not permitted',
    ],
  ])('are told of, and logged, %s', (_, plan, why) => {
    const host = machine(plan);
    expect(endOffloaded(host)).toEqual({ kind: 'may-go-on', flowtables: ['inet fw ft'], why });
    expect(host.logged.map(({ level, event }) => [level, event])).toEqual([['warn', 'offloaded']]);
  });
});

test('a flowtable is a difference only where nothing can end its connections', () => {
  expect(unendableFlowtables(machine())).toEqual([]);
  expect(unendableFlowtables(machine({ programs: ['nft'] }))).toEqual(['inet fw ft']);
});

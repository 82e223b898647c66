import { describe, expect, test } from 'vitest';
import type { Survey } from '../../src/backend/backend.ts';
import { iptables } from '../../src/backend/iptables.ts';
import { nftables } from '../../src/backend/nftables.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { lookOutputs } from '../../src/transaction/apply.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { type Machine, must, useMachine } from '../hooks/installed-machine.ts';
import { overlayPrograms, undoAll } from '../hooks/obstacles.ts';
import { POLICIES } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * Each look at iptables read every rule of everybody, by iptables-save, and `unlock` did so six
 * times. A script in which nft lists one table before it changes it reads all tables.
 */

const SETTINGS = [
  'KILLSWITCH_BACKEND=iptables',
  'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
  'KILLSWITCH_LOG_DROPS=10/minute',
] as const;
/** The rules of others: in a chain of their own, in a builtin chain with odd words, and in nat. */
const THEIRS = `iptables -N THEIRS; iptables -A THEIRS -s 198.51.100.1 -j DROP
  iptables -A INPUT -m comment --comment 'a -c 1 2 b' -p tcp --dport 80 -j THEIRS
  iptables -A OUTPUT -p tcp --dport 81; ip6tables -A FORWARD -g KILLSWITCH-FORWARD
  iptables -t nat -A OUTPUT -p tcp --dport 82 -j ACCEPT`;

/** Chains in one order: nft lists them in another. */
function inOrder({ image, ...rest }: Survey) {
  const key = ({ family, name }: Survey['image'][number]) => `${family} ${name}`;
  return { ...rest, image: [...image].sort((a, b) => (key(a) < key(b) ? -1 : 1)) };
}

describe('with iptables', () => {
  const machine = useMachine((it) => it.settings(...SETTINGS));
  const rules = (it: Machine) => must(it.run('nft', '-s', '-a', 'list', 'ruleset')).stdout;

  test.each([
    ['on a machine without rules', '', []],
    ['beside rules of others', THEIRS, []],
    ['locked', '', ['lock']],
    ['locked beside rules of others', THEIRS, ['lock']],
  ])('the short look sees what iptables-save shows, %s, and changes nothing', (_, theirs, call) => {
    const it = machine();
    must(it.sh(`nft flush ruleset; ${theirs}`));
    if (call.length > 0) {
      must(it.command(...call));
      must(it.hook('up', tunnelCall('tun0')));
    }
    const before = rules(it);
    const host = sandboxHost(it.sandbox);
    const backend = iptables();
    const short = backend.survey(lookOutputs(host, backend));
    const full = backend.survey(backend.look.map((command) => host.run(command)));
    expect(inOrder(short)).toEqual(inOrder(full));
    expect(full.present).toBe(call.length > 0);
    expect(rules(it)).toBe(before);
    must(it.command('unlock'));
  });

  test('lock, status, hooks and unlock of a locked machine read no rule but ours and the builtin', () => {
    const it = machine();
    must(it.command('lock'));
    overlayPrograms(it, ['/usr/sbin']);
    must(
      it.sh(
        'for each in iptables-save ip6tables-save; do path=$(command -v $each); rm -f $path; printf "#!/bin/sh\\nexit 1\\n" >$path; chmod 755 $path; done',
      ),
    );
    for (const call of [['lock'], ['status'], ['unlock']]) must(it.command(...call));
    undoAll(it);
    expect(rules(it)).not.toContain('KILLSWITCH-');
  });
});

test('a script that amends our table lists it last: before other commands nft reads all tables', () => {
  for (const to of Object.values(POLICIES).map(compile)) {
    const [chain] = to;
    if (chain === undefined) continue;
    const added = [{ ...chain, created: false }];
    for (const { stdin = '' } of nftables.amend({ added, removed: [] }, '', to))
      expect(
        stdin
          .trim()
          .split('\n')
          .findIndex((line) => line.startsWith('list ')),
      ).toBe(stdin.trim().split('\n').length - 1);
  }
});

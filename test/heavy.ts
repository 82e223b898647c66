/**
 * Tests of the other tiers that need ten seconds of processor or more, or wait for a minute. The
 * lab runs them, so that `npm test` stays under five minutes; each can be run alone by its path.
 */
export const HEAVY: readonly string[] = [
  'test/e2e/leaks-tcp.test.ts',
  'test/hooks/answers-are-whole.test.ts',
  'test/hooks/bad-input.test.ts',
  'test/hooks/captures.test.ts',
  'test/hooks/code-cache.test.ts',
  'test/hooks/convergence.test.ts',
  'test/hooks/hostile.test.ts',
  'test/hooks/install.test.ts',
  'test/hooks/kill.test.ts',
  'test/hooks/repetition.test.ts',
  'test/hooks/short-way.test.ts',
  'test/kernel/decisions-iptables-nft.test.ts',
  'test/kernel/rules-of-others.test.ts',
  'test/kernel/switching.test.ts',
  'test/kernel/tampering.test.ts',
  'test/regressions/a-bridge-passes-its-own-frames.test.ts',
  'test/regressions/a-forged-packet-gets-no-answer.test.ts',
  'test/regressions/a-multicast-join-carries-little.test.ts',
  'test/regressions/a-reconnect-hands-the-tunnels-networks-to-the-lan.test.ts',
  'test/regressions/a-silent-server-is-not-called-connected.test.ts',
  'test/regressions/a-slow-or-stopped-hook-still-takes-its-rules-away.test.ts',
  'test/regressions/before-the-first-connect-the-lan-gets-what-the-vpn-had.test.ts',
  'test/regressions/recover-takes-no-failing-tool-for-nothing-of-ours.test.ts',
  'test/regressions/status-answers-whatever-is-broken.test.ts',
  'test/regressions/the-lan-answers-a-question-to-many.test.ts',
  'test/regressions/the-plain-scripts-believe-root-alone.test.ts',
  'test/unit/record/state-fuzz.test.ts',
  'test/unit/ruleset/mutation.test.ts',
];

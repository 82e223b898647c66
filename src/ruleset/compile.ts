import { isPattern, means } from '../net/interface-pattern.ts';
import { type Base, type Policy, tunnelsOf } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import type { Chain, ChainName, Rule, Ruleset, SharedChain, Verdict } from './ruleset.ts';
import {
  bridged,
  dhcp,
  endpoint,
  endpointList,
  endpointOthers,
  established,
  formerAddress,
  formerNetworks,
  formerSource,
  forward,
  fragments,
  fromTunnel,
  lan,
  lanAnswers,
  lanDns,
  lanInbound,
  lanQuestions,
  liveEndpoint,
  loopback,
  neighbours,
  noIpv6,
  offloadedEndpoint,
  otherDns,
  outOfTunnel,
  portal,
  rest,
  sshSession,
  throughEgress,
  throughForward,
  throughTunnel,
  tunnel,
  tunnelAddress,
  tunnelDns,
  tunnelInbound,
  tunnelNetworks,
  tunnelSource,
} from './sections.ts';

function to(chain: SharedChain, id: Rule['id']): Rule {
  const verdict: Verdict = { jump: chain };
  return { id, match: {}, verdict };
}

/**
 * Makes a chain whose rules are computed at their first use: a hook that amends its own tunnel's
 * chains uses no others.
 */
function lazy(name: ChainName, make: () => readonly Rule[]): Chain {
  let made: readonly Rule[] | undefined;
  return {
    name,
    get rules() {
      made ??= make();
      return made;
    },
  };
}

/**
 * Returns the rules for outgoing packets, in order. `tunnels` leads to the chains of live tunnels,
 * `networks` to the rules for their networks. `questions` remembers which answers the LAN may send.
 */
function leaving(
  base: Base,
  open: Portal | undefined,
  {
    tunnels,
    networks,
    questions,
  }: { readonly [part in 'tunnels' | 'questions']: readonly Rule[] } & { readonly networks: Rule },
): readonly Rule[] {
  return [
    ...loopback('out'),
    ...endpoint(base),
    ...dhcp(base, 'out'),
    ...neighbours(base, 'out'),
    ...tunnels,
    ...lanDns(base),
    ...(open === undefined ? [] : portal(base, open)),
    ...otherDns(base),
    ...sshSession(base, 'out'),
    ...endpointOthers(base, base.endpoints),
    networks,
    ...questions,
    ...lan(base),
    ...rest(base),
  ];
}

/**
 * Returns the base chains. Their order is the security argument: docs/reference/rules.md follows
 * it.
 */
function baseChains(base: Base, first: Base, open: Portal | undefined): readonly Chain[] {
  return [
    lazy('input', () => [
      ...loopback('in'),
      to('tunnel-input', 'tunnel-inbound'),
      to('tunnel-address', 'tunnel-address'),
      ...established(base),
      ...dhcp(base, 'in'),
      ...neighbours(base, 'in'),
      ...sshSession(base, 'in'),
      ...lanAnswers(base),
      ...lanInbound(base),
      ...rest(base),
    ]),
    lazy('forward', () => [...bridged('forward'), to('tunnel-forward', 'forward'), ...rest(base)]),
    lazy('output', () =>
      leaving(first, open, {
        tunnels: [to('tunnel-output', 'tunnel'), to('first-offloaded', 'endpoint')],
        networks: to('first-networks', 'tunnel-networks'),
        questions: [],
      }),
    ),
    lazy('postrouting', () =>
      leaving(base, open, {
        tunnels: [
          ...bridged('postrouting'),
          to('tunnel-source', 'tunnel-source'),
          ...fragments(base),
          to('tunnel-egress', 'tunnel'),
          to('from-tunnel', 'forward'),
        ],
        networks: to('tunnel-networks', 'tunnel-networks'),
        questions: lanQuestions(base),
      }),
    ),
  ];
}

/** Returns the chains that tunnels add to, and those that no tunnel changes. */
function sharedChains(
  base: Base,
  first: Base,
  fixed: Chain,
  tunnels: readonly Tunnel[],
  former: readonly FormerTunnel[],
): readonly Chain[] {
  const each = (rules: (live: Tunnel) => readonly Rule[]) => tunnels.flatMap(rules);
  const eachFormer = (rules: (gone: FormerTunnel) => readonly Rule[]) => former.flatMap(rules);
  const networks = (by: Base) => [
    ...each((live) => [...endpointOthers(by, live.endpoints), ...tunnelNetworks(by, live)]),
    ...eachFormer((gone) => formerNetworks(by, gone)),
  ];
  return [
    { name: 'live-endpoint', rules: each((live) => liveEndpoint(base, live)) },
    fixed,
    { name: 'tunnel-input', rules: each(fromTunnel) },
    { name: 'tunnel-forward', rules: each((live) => forward(base, live)) },
    { name: 'tunnel-output', rules: each(tunnel) },
    { name: 'first-offloaded', rules: each((live) => offloadedEndpoint(first, live)) },
    { name: 'first-networks', rules: networks(first) },
    {
      name: 'tunnel-source',
      rules: [
        ...each((live) => tunnelSource(base, live)),
        ...eachFormer((gone) => formerSource(base, gone, tunnels)),
      ],
    },
    { name: 'tunnel-egress', rules: each(throughEgress) },
    { name: 'from-tunnel', rules: each((live) => outOfTunnel(base, live)) },
    { name: 'tunnel-networks', rules: networks(base) },
  ];
}

/**
 * Returns the chain of all tunnels' addresses. It checks packets that come in by another way, and
 * packets of an unknown tunnel.
 */
function addressChain(
  base: Base,
  tunnels: readonly Tunnel[],
  former: readonly FormerTunnel[],
): Chain {
  return {
    name: 'tunnel-address',
    rules: [
      ...tunnels.flatMap((live) => tunnelAddress(base, live)),
      ...former.flatMap((gone) => formerAddress(base, gone, tunnels)),
    ],
  };
}

/**
 * Returns a live tunnel's own chains. Each ends in a rule that decides: no other chain judges
 * packets that leave by a tunnel.
 */
function deviceChains(base: Base, first: Base, live: Tunnel): readonly Chain[] {
  const { device } = live;
  const into = (by: Base) => [
    ...noIpv6(by, live),
    ...tunnelDns(by, live),
    ...otherDns(by),
    ...throughTunnel(by),
  ];
  return [
    { name: `input-${device}`, rules: tunnelInbound(base, live) },
    ...(base.forward.length > 0
      ? [{ name: `forward-${device}` as const, rules: throughForward(base, live) }]
      : []),
    { name: `output-${device}`, rules: into(first) },
    { name: `postrouting-${device}`, rules: into(base) },
  ];
}

/**
 * Leaves out patterns that match a live tunnel's device: no tunnel is forwarded into another by
 * accident.
 */
function withoutPatternsOf(base: Base, tunnels: readonly Tunnel[]): Base {
  const isUsable = (each: Base['forward'][number]) =>
    !isPattern(each) || !tunnels.some(({ device }) => means(each, device));
  return base.forward.every(isUsable) ? base : { ...base, forward: base.forward.filter(isUsable) };
}

/** Makes the ruleset of live and former tunnels over one base. */
export type RulesetOf = (tunnels: readonly Tunnel[], former?: readonly FormerTunnel[]) => Ruleset;

/**
 * Returns the function that makes the rules of a base with any tunnels. Chains that no tunnel
 * changes are the same value in each ruleset. Only the first look can tell a program of a refusal:
 * REJECT is valid only at input, forward and output (nft(8), REJECT STATEMENT).
 */
export function rulesetsOf(first: Base, open?: Portal): RulesetOf {
  const base: Base = { ...first, refuse: 'drop' };
  const answers = lazy('answers', () => established(base));
  const endpoints = lazy('endpoint', () => endpointList(base));
  const last = baseChains(base, first, open);
  return (tunnels, former = []) => {
    const own = withoutPatternsOf(base, tunnels);
    return [
      answers,
      addressChain(base, tunnels, former),
      ...tunnels.flatMap((live) => deviceChains(own, first, live)),
      ...sharedChains(own, first, endpoints, tunnels, former),
      ...last,
    ];
  };
}

/** Returns a policy's rules. Pure: the same policy always gives the same ruleset. */
export function compile(policy: Policy): Ruleset {
  const open = policy.state === 'portal' ? policy.portal : undefined;
  return rulesetsOf(policy.base, open)(tunnelsOf(policy), policy.former);
}

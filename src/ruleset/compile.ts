import { type Base, type Policy, tunnelsOf } from '../policy/policy.ts';
import type { Portal } from '../policy/portal.ts';
import type { FormerTunnel } from '../tunnel/former-tunnel.ts';
import type { Tunnel } from '../tunnel/tunnel.ts';
import type { Chain, ChainName, Rule, Ruleset, SharedChain, Verdict } from './ruleset.ts';
import {
  dhcp,
  endpoint,
  endpointList,
  endpointOthers,
  established,
  formerAddress,
  formerNetworks,
  forward,
  fromTunnel,
  lan,
  lanDns,
  lanInbound,
  liveEndpoint,
  loopback,
  neighbours,
  noIpv6,
  otherDns,
  portal,
  rest,
  sshSession,
  throughForward,
  throughTunnel,
  tunnel,
  tunnelAddress,
  tunnelDns,
  tunnelInbound,
  tunnelNetworks,
} from './sections.ts';

function to(chain: SharedChain, id: Rule['id']): Rule {
  const verdict: Verdict = { jump: chain };
  return { id, match: {}, verdict };
}

/** A chain whose rules are made when they are first asked for: a hook that amends its own tunnel's asks for no others. */
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

/** The base chains. Their order is the security argument: docs/security.md reads along it. */
function baseChains(base: Base, open: Portal | undefined): readonly Chain[] {
  return [
    lazy('input', () => [
      ...loopback('in'),
      to('tunnel-address', 'tunnel-address'),
      ...established(base),
      ...dhcp(base, 'in'),
      ...neighbours(base, 'in'),
      to('tunnel-input', 'tunnel-inbound'),
      ...sshSession(base, 'in'),
      ...lanInbound(base),
      ...rest(base, 'input'),
    ]),
    lazy('forward', () => [to('tunnel-forward', 'forward'), ...rest(base, 'forward')]),
    lazy('output', () => [
      ...loopback('out'),
      ...endpoint(base),
      ...dhcp(base, 'out'),
      ...neighbours(base, 'out'),
      to('tunnel-output', 'tunnel'),
      ...lanDns(base),
      ...(open === undefined ? [] : portal(base, open)),
      ...otherDns(base),
      ...sshSession(base, 'out'),
      ...endpointOthers(base, base.endpoints),
      to('tunnel-networks', 'tunnel-networks'),
      ...lan(base),
      ...rest(base, 'output'),
    ]),
  ];
}

/** The chains that live tunnels add to, and `endpoint`, which no tunnel changes. */
function sharedChains(base: Base, endpoints: Chain, tunnels: readonly Tunnel[], former: readonly FormerTunnel[]): readonly Chain[] {
  const each = (rules: (live: Tunnel) => readonly Rule[]) => tunnels.flatMap(rules);
  const eachFormer = (rules: (former: FormerTunnel) => readonly Rule[]) => former.flatMap(rules);
  return [
    { name: 'live-endpoint', rules: each((live) => liveEndpoint(base, live)) },
    endpoints,
    {
      name: 'tunnel-address',
      rules: [...each((live) => tunnelAddress(base, live)), ...eachFormer((gone) => formerAddress(base, gone, tunnels))],
    },
    {
      name: 'tunnel-networks',
      rules: [
        ...each((live) => [...endpointOthers(base, live.endpoints), ...tunnelNetworks(base, live)]),
        ...eachFormer((gone) => formerNetworks(base, gone)),
      ],
    },
    { name: 'tunnel-input', rules: each(fromTunnel) },
    { name: 'tunnel-forward', rules: each((live) => forward(base, live)) },
    { name: 'tunnel-output', rules: each(tunnel) },
  ];
}

/** A live tunnel's own chains. Each ends in a rule that decides: what leaves by a tunnel is judged nowhere else. */
function deviceChains(base: Base, live: Tunnel): readonly Chain[] {
  const { device } = live;
  const output = [...noIpv6(base, live), ...tunnelDns(base, live), ...otherDns(base), ...throughTunnel(base)];
  return [
    { name: `input-${device}`, rules: tunnelInbound(base, live) },
    ...(base.forward.length > 0 ? [{ name: `forward-${device}` as const, rules: throughForward(base, live) }] : []),
    { name: `output-${device}`, rules: output },
  ];
}

/** Makes the ruleset of live and former tunnels over one base. */
export type RulesetOf = (tunnels: readonly Tunnel[], former?: readonly FormerTunnel[]) => Ruleset;

/** The rules of a base with any tunnels. Chains that no tunnel changes are the same value in each ruleset. */
export function rulesetsOf(base: Base, open?: Portal): RulesetOf {
  const endpoints = lazy('endpoint', () => endpointList(base));
  const last = baseChains(base, open);
  return (tunnels, former = []) => [
    ...tunnels.flatMap((live) => deviceChains(base, live)),
    ...sharedChains(base, endpoints, tunnels, former),
    ...last,
  ];
}

/** The rules that a policy stands for. Pure: the same policy always gives the same ruleset. */
export function compile(policy: Policy): Ruleset {
  const open = policy.state === 'portal' ? policy.portal : undefined;
  return rulesetsOf(policy.base, open)(tunnelsOf(policy), policy.former);
}

import type { Match } from './ruleset.ts';

/**
 * A refusal's match, split into packets that a TCP reset can answer, and packets that need an ICMP
 * error.
 */
export interface Refusal {
  readonly tcp: readonly Match[];
  readonly others: readonly Match[];
}

/**
 * Splits a refusal's match. TCP stops at once on a reset (RFC 9293 3.5.2), everything else on an
 * ICMP error (RFC 1122 3.2.2.1).
 */
export function splitReject(match: Match): Refusal {
  if (match.icmp !== undefined) return { tcp: [], others: [match] };
  if (match.endpoints !== undefined) {
    const { endpoints, ...where } = match;
    const part = (list: typeof endpoints): readonly Match[] =>
      list.length === 0 ? [] : [{ ...where, endpoints: list }];
    return {
      tcp: part(endpoints.filter(({ transport }) => transport === 'tcp')),
      others: part(endpoints.filter(({ transport }) => transport !== 'tcp')),
    };
  }
  const { transports, ...where } = match;
  const others = transports?.filter((transport) => transport !== 'tcp');
  return {
    tcp:
      transports === undefined || transports.includes('tcp')
        ? [{ ...where, transports: ['tcp'] }]
        : [],
    others:
      others === undefined
        ? [match]
        : others.length === 0
          ? []
          : [{ ...where, transports: others }],
  };
}

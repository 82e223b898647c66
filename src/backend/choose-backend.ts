import { KillswitchError } from '../errors.ts';
import { FAMILIES, type Family } from '../net/address.ts';
import type { BackendName } from '../policy/settings.ts';
import type { Backend } from './backend.ts';
import { iptables } from './iptables.ts';
import { nftables } from './nftables.ts';

/** Every fact that the choice may use. */
export interface BackendFacts {
  readonly setting: 'auto' | BackendName;
  /** The last `lock`'s backend, while the machine is locked. */
  readonly locked: BackendName | undefined;
  /** The installed programs. */
  readonly has: Readonly<Record<'nft' | 'iptables' | 'ip6tables', boolean>>;
  /** Whether the kernel has IPv6. */
  readonly ipv6: boolean;
  /** Whether iptables' second wall can work here; called only for iptables. */
  readonly wall: () => boolean;
  /**
   * Whether iptables' rules should tell bridged frames from routed packets here; called only for
   * iptables.
   */
  readonly frames: () => boolean;
  /**
   * Whether firewalld flushes every table of iptables here, so that iptables cannot stay shut.
   * Called only when the settings name iptables.
   */
  readonly flushed: () => boolean;
  /**
   * Says why iptables cannot hold our rules here; undefined when it can. Called only for `auto`,
   * where nftables cannot.
   */
  readonly iptablesFails: () => string | undefined;
  /** Says the same of nftables; called only for `auto`, where both are installed. */
  readonly nftablesFails: () => string | undefined;
}

/** The chosen backend, and each step of the choice. */
export interface BackendChoice {
  readonly backend: Backend;
  /** Whether it has a second wall; nftables needs none. */
  readonly wall: boolean;
  /** Whether it tells bridged frames from routed packets; nftables always does. */
  readonly frames: boolean;
  readonly trace: readonly string[];
}

const NO_WALL =
  'the kernel has no table "mangle", or an older version has locked: what is routed anew after our rules, or accepted above them, leaves';

const FLUSHED =
  'KILLSWITCH_BACKEND says iptables, but firewalld with FirewallBackend=iptables would flush all of it, and open this machine';

function auto({ has, iptablesFails, nftablesFails }: BackendFacts): {
  readonly name: BackendName;
  readonly why: string;
} {
  if (!has.iptables) return { name: 'nftables', why: 'iptables is not installed' };
  if (!has.nft) return { name: 'iptables', why: 'nft is not installed' };
  const unfit = nftablesFails();
  if (unfit === undefined) return { name: 'nftables', why: 'nft is installed' };
  const also = iptablesFails();
  return also === undefined
    ? { name: 'iptables', why: unfit }
    : { name: 'nftables', why: `${unfit}, and ${also}` };
}

/**
 * Chooses the backend, and records why. The setting decides, unless iptables cannot stay shut and
 * nft is installed. A locked machine keeps its backend, so that a hook never leaves two sets of
 * rules.
 * @throws KillswitchError NO_BACKEND, or NO_IPV6_BACKEND when IPv6 could leak.
 */
export function chooseBackend(facts: BackendFacts): BackendChoice {
  const { has, ipv6, setting, locked, flushed } = facts;
  const overruled = setting === 'iptables' && locked !== 'iptables' && has.nft && flushed();
  const chosen =
    locked !== undefined
      ? { name: locked, why: `the machine is locked with it${overruled ? `: ${FLUSHED}` : ''}` }
      : overruled
        ? ({ name: 'nftables', why: FLUSHED } as const)
        : setting !== 'auto'
          ? { name: setting, why: `KILLSWITCH_BACKEND says ${setting}` }
          : auto(facts);
  const families: readonly Family[] = ipv6 ? FAMILIES : ['ipv4'];
  const trace = [
    `${chosen.name}: ${chosen.why}`,
    ...(ipv6 ? [] : ['this kernel has no IPv6: only IPv4 is locked, and nothing else can leave']),
  ];
  if (chosen.name === 'nftables') {
    if (!has.nft)
      throw new KillswitchError(
        'NO_BACKEND',
        'nft is not installed',
        'Install it: apt install nftables, dnf install nftables, apk add nftables',
        trace,
      );
    return { backend: nftables, wall: false, frames: true, trace };
  }
  if (!has.iptables)
    throw new KillswitchError(
      'NO_BACKEND',
      'iptables is not installed',
      'Install it: apt install iptables, dnf install iptables-nft, apk add iptables. Or set KILLSWITCH_BACKEND=nftables',
      trace,
    );
  if (ipv6 && !has.ip6tables)
    throw new KillswitchError(
      'NO_IPV6_BACKEND',
      'this kernel has IPv6 but ip6tables is not installed, so IPv6 could not be locked',
      'Install ip6tables (Debian: apt install iptables; Alpine: apk add ip6tables), or set KILLSWITCH_BACKEND=nftables',
      trace,
    );
  const [wall, frames] = [facts.wall(), facts.frames()];
  return {
    backend: iptables(families, '', wall, frames),
    wall,
    frames,
    trace: wall ? trace : [...trace, NO_WALL],
  };
}

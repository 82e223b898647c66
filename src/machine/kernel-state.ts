import { iptables } from '../backend/iptables.ts';
import { CHAIN_PREFIX } from '../backend/iptables-tables.ts';
import { TABLE } from '../backend/nftables-survey.ts';
import { KillswitchError, orElse } from '../errors.ts';
import type { Output } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { FAMILIES } from '../net/address.ts';
import { firstPrintableLine, printable } from '../net/printable.ts';
import { field, type Json, parseJson } from './json.ts';
import { hasLegacyTables } from './world.ts';

/**
 * What the kernel holds of this product, whichever tool loaded it and whatever the record says.
 * Every sentence about the state after a command comes from here.
 */
export interface KernelState {
  /** Tables that hold chains of ours, as nft or iptables-legacy names them. */
  readonly ours: readonly string[];
  /** Chains of others whose policy drops: family, table and chain. */
  readonly drops: readonly string[];
  /** Why a tool did not say, escaped. */
  readonly unread: readonly string[];
}

/** A hook that has failed keeps OpenVPN waiting. */
const LOOK_MILLISECONDS = 2_000;

const NOTHING: KernelState = { ours: [], drops: [], unread: [] };

/** What nft says where the kernel has no nf_tables, and so no rule of it (errno(3)). */
const NO_NF_TABLES = /(Protocol|Operation) not supported|Invalid argument/;

/** Chains of ours in a table of iptables-nft that a builtin chain jumps to. */
const ENTRY = new RegExp(`^${CHAIN_PREFIX}(INPUT|FORWARD|OUTPUT|POSTROUTING)$`);

/** Where a chain is, in nft's words: family and table. */
export function placeOf(chain: Json): string {
  return ['family', 'table'].map((key) => printable(String(field(chain, key)))).join(' ');
}

function runNft(host: Host, ...args: readonly string[]): Output {
  return host.run({ program: 'nft', args, milliseconds: LOOK_MILLISECONDS });
}

/** A chain in nft's words: `ip filter OUTPUT`. */
export function fullName(chain: Json): string {
  return `${placeOf(chain)} ${nameOf(chain)}`;
}

/** Whether a chain has rules. Only that chain is read. */
export function hasRules(host: Host, chain: Json): boolean {
  const { stdout } = runNft(host, 'list', 'chain', ...fullName(chain).split(' '));
  // The first line of a base chain says its hook.
  return /^\t\t(?!type )\S/m.test(stdout);
}

export function nameOf(chain: Json): string {
  return printable(String(field(chain, 'name')));
}

/**
 * The chains of everybody, as objects of nft, without their rules; what nft said where it did not
 * list them. It takes no longer beside many rules of others, and shows those of iptables-nft, also
 * where a native rule keeps iptables from reading them.
 */
export function listChains(host: Host): readonly Json[] | string {
  const { status, stdout, stderr } = runNft(host, '-j', 'list', 'chains');
  const list = status === 0 ? field(parseJson(stdout), 'nftables') : undefined;
  return Array.isArray(list) ? list.flatMap((each: Json) => field(each, 'chain') ?? []) : stderr;
}

function readNft(host: Host): KernelState {
  const chains = listChains(host);
  if (typeof chains === 'string')
    return NO_NF_TABLES.test(chains)
      ? NOTHING
      : { ...NOTHING, unread: [`nft: ${firstPrintableLine(chains)}`] };
  const own = chains.filter((chain) => field(chain, 'table') === TABLE);
  const ofIptables = chains.filter((chain) => ENTRY.test(nameOf(chain)) && hasRules(host, chain));
  return {
    ours: [...new Set([...own, ...ofIptables].map(placeOf))],
    drops: chains
      .filter((chain) => !own.includes(chain) && field(chain, 'policy') === 'drop')
      .map(fullName),
    unread: [],
  };
}

/** What iptables lists, which may be of either kind, or its legacy kind. */
function readIptables(host: Host, kind: '' | '-legacy'): KernelState {
  const families = host.has(`ip6tables${kind}-save`) ? FAMILIES : (['ipv4'] as const);
  const { look, survey } = iptables(families, kind);
  try {
    const { image, policies } = survey(
      look.map((command) => host.run({ ...command, milliseconds: LOOK_MILLISECONDS })),
    );
    return {
      ours: image
        .filter(({ name, rules }) => name.includes(CHAIN_PREFIX) && rules.length > 0)
        .map(({ family, name }) => `${family} ${name}`),
      drops: policies
        .filter(({ policy }) => policy === 'DROP')
        .map(({ family, chain }) => `${family} filter ${chain}`),
      unread: [],
    };
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
    return { ...NOTHING, unread: [thrown.message] };
  }
}

/** Reads the kernel by every tool that may show something of ours. Never throws for a tool. */
export function readKernelState(host: Host): KernelState {
  const nft = host.has('nft') ? readNft(host) : undefined;
  const kinds = (['', '-legacy'] as const).filter((kind) => host.has(`iptables${kind}-save`));
  const legacy = hasLegacyTables(host);
  // What nft shows need not be read again.
  const isShown = nft?.unread.length === 0 && (!legacy || kinds.length > 1);
  const states = [
    nft ?? { ...NOTHING, unread: kinds.length > 0 ? [] : ['no tool looks'] },
    ...kinds
      .filter((kind) => (kind === '' ? !isShown : legacy))
      .map((kind) => readIptables(host, kind)),
  ];
  return {
    ours: states.flatMap(({ ours }) => ours),
    drops: states.flatMap(({ drops }) => drops),
    unread: states.flatMap(({ unread }) => unread),
  };
}

/** The state in one line. */
export function kernelStateText({ ours, drops, unread }: KernelState): string {
  if (ours.length > 0)
    return 'rules of ovpn-killswitch are loaded. "ovpn-killswitch status" says whether they are exact.';
  if (unread.length > 0) return `unknown. ${unread.join(', ')}.`;
  const [drop] = drops;
  if (drop !== undefined)
    return `no rule of ovpn-killswitch is loaded, but the policy of the chain "${drop}" drops.`;
  return 'OPEN. No rule of ovpn-killswitch is loaded.';
}

/** A line for each chain of others that drops: after `unlock` it says why nothing passes. */
export function otherDropLines({ drops }: KernelState): readonly string[] {
  return drops.map((chain) => `the policy of the chain "${chain}", which is not ours, drops`);
}

/** Codes after which nothing was tried. */
const NOTHING_TRIED: readonly string[] = ['USAGE', 'NOT_ROOT'];

/**
 * What the kernel holds after a command that failed, in one line; undefined where nothing was
 * tried. Read anew: what an error stands for in general says nothing of this machine.
 */
export function stateNow(host: Host, { code }: KillswitchError): string | undefined {
  if (NOTHING_TRIED.includes(code)) return undefined;
  const text = orElse(
    () => kernelStateText(readKernelState(host)),
    ({ message }) => `unknown. ${printable(message)}.`,
  );
  return `State now: ${text}`;
}

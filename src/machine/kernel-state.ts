import { iptables } from '../backend/iptables.ts';
import { CHAIN_PREFIX } from '../backend/iptables-tables.ts';
import { TABLE } from '../backend/nftables-survey.ts';
import { KillswitchError, orElse } from '../errors.ts';
import type { Output } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import type { Processes } from '../host/processes.ts';
import { FAMILIES } from '../net/address.ts';
import { firstPrintableLine, printable } from '../net/printable.ts';
import { hasLegacyTables } from './backend-facts.ts';
import { field, type Json, parseJson } from './json.ts';

/**
 * The kernel's rules as far as they concern this product, whichever tool loaded them and whatever
 * the record says. Every sentence about the state after a command comes from here.
 */
export interface KernelState {
  /** Tables that hold chains of ours, as nft or iptables-legacy names them. */
  readonly ours: readonly string[];
  /** Other programs' chains whose policy drops: family, table and chain. */
  readonly drops: readonly string[];
  /** Why a tool could not list, escaped. */
  readonly unread: readonly string[];
}

/** Limit of one look: a failed hook keeps OpenVPN waiting. */
const LOOK_MILLISECONDS = 2_000;

const NOTHING: KernelState = { ours: [], drops: [], unread: [] };

/** nft's message where the kernel has no nf_tables, and so no rule of it (errno(3)). */
const NO_NF_TABLES = /(Protocol|Operation) not supported|Invalid argument/;

/** Our chains in a table of iptables-nft that a builtin chain jumps to. */
const ENTRY = new RegExp(`^${CHAIN_PREFIX}(INPUT|FORWARD|OUTPUT|POSTROUTING)$`);

/** Returns a chain's place in nft's words: family and table. */
export function placeOf(chain: Json): string {
  return ['family', 'table'].map((key) => printable(String(field(chain, key)))).join(' ');
}

function runNft(processes: Processes, ...args: readonly string[]): Output {
  return processes.run({ program: 'nft', args, milliseconds: LOOK_MILLISECONDS });
}

/** Returns a chain in nft's words: `ip filter OUTPUT`. */
export function fullName(chain: Json): string {
  return `${placeOf(chain)} ${nameOf(chain)}`;
}

/** Whether a chain has rules. Reads only that chain. */
export function hasRules(processes: Processes, chain: Json): boolean {
  const { stdout } = runNft(processes, 'list', 'chain', ...fullName(chain).split(' '));
  // A base chain's first line names its hook.
  return /^\t\t(?!type )\S/m.test(stdout);
}

export function nameOf(chain: Json): string {
  return printable(String(field(chain, 'name')));
}

/**
 * Lists every program's chains as nft's objects, without their rules, or returns nft's message when
 * it fails. Its time does not grow with others' rules. It also shows iptables-nft's chains that
 * iptables cannot read because of a native rule.
 */
export function listChains(processes: Processes): readonly Json[] | string {
  const { status, stdout, stderr } = runNft(processes, '-j', 'list', 'chains');
  const list = status === 0 ? field(parseJson(stdout), 'nftables') : undefined;
  return Array.isArray(list) ? list.flatMap((each: Json) => field(each, 'chain') ?? []) : stderr;
}

function readNft(processes: Processes): KernelState {
  const chains = listChains(processes);
  if (typeof chains === 'string')
    return NO_NF_TABLES.test(chains)
      ? NOTHING
      : { ...NOTHING, unread: [`nft: ${firstPrintableLine(chains)}`] };
  const own = chains.filter((chain) => field(chain, 'table') === TABLE);
  const ofIptables = chains.filter(
    (chain) => ENTRY.test(nameOf(chain)) && hasRules(processes, chain),
  );
  return {
    ours: [...new Set([...own, ...ofIptables].map(placeOf))],
    drops: chains
      .filter((chain) => !own.includes(chain) && field(chain, 'policy') === 'drop')
      .map(fullName),
    unread: [],
  };
}

/** Reads the listing of iptables, of either kind, or of its legacy kind. */
function readIptables(processes: Processes, kind: '' | '-legacy'): KernelState {
  const families = processes.has(`ip6tables${kind}-save`) ? FAMILIES : (['ipv4'] as const);
  const { look, survey } = iptables(families, kind);
  try {
    const { image, policies } = survey(
      look.map((command) => processes.run({ ...command, milliseconds: LOOK_MILLISECONDS })),
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

/**
 * Reads the kernel by every tool that may show something of ours. Never throws for a tool's
 * failure.
 */
export function readKernelState(host: Host): KernelState {
  const nft = host.has('nft') ? readNft(host) : undefined;
  const kinds = (['', '-legacy'] as const).filter((kind) => host.has(`iptables${kind}-save`));
  const legacy = hasLegacyTables(host);
  // nft's listing need not be read again.
  const isShown = nft?.unread.length === 0 && (!legacy || kinds.length > 1);
  const states = [
    nft ?? {
      ...NOTHING,
      unread: kinds.length > 0 ? [] : ['neither nft nor iptables is installed'],
    },
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

/** Returns the state in one line. */
export function kernelStateText({ ours, drops, unread }: KernelState): string {
  if (ours.length > 0)
    return 'rules of ovpn-killswitch are loaded. "ovpn-killswitch status" says whether they are exact.';
  if (unread.length > 0) return `unknown: ${unread.join(', ')}.`;
  const [drop] = drops;
  if (drop !== undefined)
    return `no rule of ovpn-killswitch is loaded, but the policy of the chain "${drop}" drops.`;
  return 'OPEN. No rule of ovpn-killswitch is loaded.';
}

/**
 * Returns a line for each dropping chain of another program: after `unlock` it says why nothing
 * passes.
 */
export function otherDropLines({ drops }: KernelState): readonly string[] {
  return drops.map((chain) => `the policy of the chain "${chain}", which is not ours, drops`);
}

/** Codes of errors that come before any change. */
const NOTHING_TRIED: readonly string[] = ['USAGE', 'NOT_ROOT'];

/**
 * Returns the kernel's state after a failed command in one line; undefined where nothing was tried.
 * Reads it again, since an error's general meaning says nothing of this machine.
 */
export function stateNow(host: Host, { code }: KillswitchError): string | undefined {
  if (NOTHING_TRIED.includes(code)) return undefined;
  const text = orElse(
    () => kernelStateText(readKernelState(host)),
    ({ message }) => `unknown: ${printable(message)}.`,
  );
  return `State now: ${text}`;
}

import type { Output } from '../backend/backend.ts';
import { unreadable } from '../backend/iptables-survey.ts';
import { CHAIN_PREFIX } from '../backend/iptables-tables.ts';
import { TABLE } from '../backend/nftables-survey.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
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
const NO_NF_TABLES = /Protocol not supported|Invalid argument|Operation not supported/;

/** Chains of ours in a table of iptables-nft that a builtin chain jumps to. */
const ENTRY = new RegExp(`^${CHAIN_PREFIX}(INPUT|FORWARD|OUTPUT|POSTROUTING)$`);

/** Where a chain is, in nft's words: family and table. */
function placeOf(chain: Json): string {
  return ['family', 'table'].map((key) => printable(String(field(chain, key)))).join(' ');
}

function runNft(host: Host, ...args: readonly string[]): Output {
  return host.run({ program: 'nft', args, milliseconds: LOOK_MILLISECONDS });
}

/** Whether a chain of ours has rules: a rule of somebody else may keep an empty one. */
function hasRules(host: Host, chain: Json): boolean {
  const { stdout } = runNft(host, 'list', 'chain', ...placeOf(chain).split(' '), nameOf(chain));
  return /^\t\t\S/m.test(stdout);
}

function nameOf(chain: Json): string {
  return printable(String(field(chain, 'name')));
}

/**
 * Lists chains alone, so that it takes no longer beside many rules of others. It shows those of
 * iptables-nft too, also where a native rule keeps iptables from reading them.
 */
function readNft(host: Host): KernelState {
  const { status, stdout, stderr } = runNft(host, '-j', 'list', 'chains');
  if (status !== 0 && NO_NF_TABLES.test(stderr)) return NOTHING;
  const list = status === 0 ? field(parseJson(stdout), 'nftables') : undefined;
  if (!Array.isArray(list))
    return { ...NOTHING, unread: [`nft cannot list chains: ${firstPrintableLine(stderr)}`] };
  const chains = list.flatMap((each: Json) => field(each, 'chain') ?? []);
  const own = chains.filter((chain) => field(chain, 'table') === TABLE);
  const ofIptables = chains.filter((chain) => ENTRY.test(nameOf(chain)) && hasRules(host, chain));
  return {
    ours: [...new Set([...own, ...ofIptables].map(placeOf))],
    drops: chains
      .filter((chain) => !own.includes(chain) && field(chain, 'policy') === 'drop')
      .map((chain) => `${placeOf(chain)} ${nameOf(chain)}`),
    unread: [],
  };
}

/** One tool of iptables, which may be of either kind. */
function readSave(host: Host, tool: 'iptables' | 'ip6tables', kind: '' | '-legacy'): KernelState {
  const program = `${tool}${kind}-save` as const;
  if (!host.has(program)) return NOTHING;
  const output = host.run({ program, args: [], milliseconds: LOOK_MILLISECONDS });
  const why = unreadable(output);
  if (why !== undefined)
    return { ...NOTHING, unread: [`${program} cannot read its rules: ${firstPrintableLine(why)}`] };
  let table = '';
  const [ours, drops] = [new Set<string>(), new Set<string>()];
  const LINE = /^(?:\*(\S+)|:(\S+) (\S+)|-A (\S+))/gm;
  for (const [, heading, chain, policy, filled] of output.stdout.matchAll(LINE)) {
    if (heading !== undefined) table = heading;
    if (filled?.startsWith(CHAIN_PREFIX) === true) ours.add(`${tool} ${table}`);
    if (policy === 'DROP') drops.add(`${tool} ${table} ${chain}`);
  }
  return { ours: [...ours], drops: [...drops], unread: [] };
}

const TOOLS = ['iptables', 'ip6tables'] as const;

/** Reads the kernel by every tool that may show something of ours. Never throws for a tool. */
export function readKernelState(host: Host): KernelState {
  const nft = host.has('nft') ? readNft(host) : undefined;
  const knowsNft = nft !== undefined && nft.unread.length === 0;
  const legacy = hasLegacyTables(host);
  const hasLegacyTool = host.has('iptables-legacy-save');
  const states = [
    nft ?? NOTHING,
    // What nft shows need not be read again.
    ...(knowsNft && !(legacy && !hasLegacyTool)
      ? []
      : TOOLS.map((tool) => readSave(host, tool, ''))),
    ...(legacy ? TOOLS.map((tool) => readSave(host, tool, '-legacy')) : []),
  ];
  const noTool =
    nft === undefined && !host.has('iptables-save') && !hasLegacyTool
      ? ['neither nft nor iptables is installed']
      : [];
  return {
    ours: [...new Set(states.flatMap(({ ours }) => ours))],
    drops: [...new Set(states.flatMap(({ drops }) => drops))],
    unread: [...states.flatMap(({ unread }) => unread), ...noTool],
  };
}

/** Where the script `boot` notes that it has set every interface down. */
const NO_NETWORK = `${PATHS.runtime}/no-network`;

/** The state in one line. */
export function kernelStateText(host: Host, { ours, drops, unread }: KernelState): string {
  if (ours.length > 0)
    return 'rules of ovpn-killswitch are loaded. "ovpn-killswitch status" says whether they are exact.';
  if (unread.length > 0) return `unknown. ${unread.join('; ')}.`;
  if (host.exists(NO_NETWORK))
    return 'no rule of ovpn-killswitch is loaded, but its boot script has shut the network. "ovpn-killswitch status" says why.';
  const [drop] = drops;
  if (drop !== undefined)
    return `no rule of ovpn-killswitch is loaded, but the policy of the chain "${drop}" drops.`;
  return 'OPEN. No rule of ovpn-killswitch is loaded.';
}

/** A line for each chain of others that drops: who opens a machine may wonder why nothing passes. */
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
  try {
    return `State now: ${kernelStateText(host, readKernelState(host))}`;
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
    return `State now: unknown. ${printable(thrown.message)}.`;
  }
}

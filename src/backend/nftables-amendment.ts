import type { Command, Output } from '../host/command.ts';
import type { Addition } from '../ruleset/additions.ts';
import { type Amendment, isEmpty } from '../ruleset/amendment.ts';
import type { Chain, Ruleset } from '../ruleset/ruleset.ts';
import { withIcmpNumbers } from './icmp-number.ts';
import { ruleTexts } from './nftables-rule.ts';
import { TABLE } from './nftables-survey.ts';

/**
 * Lists our table without counters and without the elements of named sets: the fingerprint of its
 * rules.
 */
export const LIST: Command = { program: 'nft', args: ['-s', '-t', 'list', 'table', 'inet', TABLE] };

interface ChainOfRules {
  readonly chain: string;
  readonly rules: readonly string[];
}

function names(changes: readonly Addition[], created: boolean): readonly string[] {
  return changes.filter((each) => each.created === created).map(({ name }) => name);
}

/**
 * Returns the rules that an amendment adds. It includes all rules of chains that are refilled,
 * because only a flush needs no handles.
 */
function addedRules(to: Ruleset, { added, removed }: Amendment): readonly ChainOfRules[] {
  const isRefilled = ({ name }: Chain) => names(removed, false).includes(name);
  return [...to.filter(isRefilled), ...added.filter((each) => !isRefilled(each))].map(
    ({ name, rules }) => ({
      chain: name,
      rules: rules.flatMap((rule) => ruleTexts(rule)),
    }),
  );
}

function ruleLines(added: readonly ChainOfRules[]): readonly string[] {
  return added.flatMap(({ chain, rules }) =>
    rules.map((rule) => `add rule inet ${TABLE} ${chain} ${rule}`),
  );
}

/** Returns lines that only add. */
export function additionLines(added: readonly Addition[]): readonly string[] {
  return [
    ...names(added, true).map((name) => `create chain inet ${TABLE} ${name}`),
    ...ruleLines(addedRules([], { added, removed: [] })),
  ];
}

/** Returns one run that lists the table as it was, and amends it. */
export function amendCommand(to: Ruleset, change: Amendment): Command {
  const { added, removed } = change;
  if (isEmpty(change)) return LIST;
  const lines = [
    ...names(removed, false).map((name) => `flush chain inet ${TABLE} ${name}`),
    ...names(removed, true).flatMap((name) => [
      `flush chain inet ${TABLE} ${name}`,
      `delete chain inet ${TABLE} ${name}`,
    ]),
    ...names(added, true).map((name) => `create chain inet ${TABLE} ${name}`),
    ...ruleLines(addedRules(to, change)),
    // Last: before any other command nft would read every program's tables (src/cache.c).
    `list table inet ${TABLE}`,
  ];
  return { program: 'nft', args: ['-s', '-t', '-f', '-'], stdin: `${lines.join('\n')}\n` };
}

/** Finds a chain in a listing: its first line, its first rule or its end, and the rest. */
function chainPlace(
  listing: string,
  chain: string,
): { readonly start: number; readonly end: number } | undefined {
  const start = listing.indexOf(`\tchain ${chain} {\n`);
  const end = listing.indexOf('\t}\n', start);
  return start < 0 || end < 0 ? undefined : { start, end };
}

function withoutChain(listing: string, chain: string): string {
  const place = chainPlace(listing, chain);
  // A blank line separates two chains.
  return place === undefined
    ? listing
    : listing.slice(0, place.start - 1) + listing.slice(place.end + '\t}\n'.length);
}

function withEmptyChain(listing: string, chain: string): string {
  return `${listing.slice(0, -'}\n'.length)}\n\tchain ${chain} {\n\t}\n}\n`;
}

function emptied(listing: string, chain: string): string {
  const place = chainPlace(listing, chain);
  return place === undefined
    ? listing
    : `${listing.slice(0, place.start)}\tchain ${chain} {\n${listing.slice(place.end)}`;
}

function withRules(listing: string, { chain, rules }: ChainOfRules): string {
  const place = chainPlace(listing, chain);
  if (place === undefined) return listing;
  return `${listing.slice(0, place.end)}${spelled(rules.map((rule) => `\t\t${rule}\n`).join(''))}${listing.slice(place.end)}`;
}

/**
 * Returns a listing, or a part of one, in our spelling: sorted sets, and ICMP types and codes as
 * numbers. Leaves out the default burst, and writes `reject` in full.
 */
export function spelled(listing: string): string {
  return withIcmpNumbers(listing)
    .replace(
      /\{ ([^{}\n]+) \}/g,
      (_, elements: string) => `{ ${elements.split(', ').sort().join(', ')} }`,
    )
    .replaceAll(' burst 5 packets', '')
    .replace(
      / reject(?: with icmpx port-unreachable)? comment /g,
      ' reject with icmpx type port-unreachable comment ',
    );
}

/**
 * Returns the table's listing after an amendment, in our spelling as `listing` is. Undefined when
 * the table did not match `listing` before, or was not amended. `list` in a script answers from
 * nft's cache from before its commit, without the chains that the script deletes and with those it
 * creates. A kernel whose rules changed in between refuses the commit (NFNL_BATCH_GENID), and nft
 * starts over. `--echo` would tell more, but nft 1.0.6 aborts when it echoes anonymous sets.
 */
export function amendedListing(
  listing: string,
  to: Ruleset,
  change: Amendment,
  { status, stdout }: Output,
): string | undefined {
  const { added, removed } = change;
  const kept = names(removed, true).reduce(withoutChain, listing);
  const before = names(added, true).reduce(withEmptyChain, kept);
  if (status !== 0 || spelled(stdout) !== before) return undefined;
  const flushed = names(removed, false).reduce(emptied, before);
  return addedRules(to, change).reduce(withRules, flushed);
}

import { CHAIN_PREFIX } from '../backend/iptables-tables.ts';

/**
 * Which lines of a file of iptables-save(8) are ours: a chain, a rule in one, a rule that leads to
 * one. As text, because the script `recover` is built with the same: RegExp and the extended
 * expressions of POSIX (sed -E) read it alike.
 */
export const OUR_LINE: string = `^:${CHAIN_PREFIX}|^([[][0-9:]+[]] )?-[AI] ${CHAIN_PREFIX}| -[jg] ${CHAIN_PREFIX}`;

/** A policy that was ours in such a file, and what takes its place. */
export const OUR_POLICY = '^:(INPUT|FORWARD|OUTPUT) DROP';
const OPEN_POLICY = ':$1 ACCEPT';

/**
 * The text of such a file without lines of ours; the policies that were ours become ACCEPT. Without
 * such a line it stays as it is.
 */
export function withoutRules(saved: string): string {
  // In a set of RegExp alone "]" needs a backslash.
  const line = new RegExp(OUR_LINE.replace('[]]', '\\]'));
  const lines = saved.split('\n');
  if (!lines.some((each) => line.test(each))) return saved;
  return lines
    .filter((each) => !line.test(each))
    .map((each) => each.replace(new RegExp(OUR_POLICY), OPEN_POLICY))
    .join('\n');
}

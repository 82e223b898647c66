import { CHAIN_PREFIX } from '../backend/iptables-tables.ts';

/**
 * Matches this product's lines in a file of iptables-save(8): a chain, a rule in one, a rule that
 * leads to one. A text, because the build puts it into the script `recover` too. RegExp and the
 * extended expressions of POSIX (sed -E) read it alike.
 */
export const OUR_LINE: string = `^:${CHAIN_PREFIX}|^([[][0-9:]+[]] )?-[AI] ${CHAIN_PREFIX}| -[jg] ${CHAIN_PREFIX}`;

/** Matches a policy that this product set in such a file; OPEN_POLICY replaces it. */
export const OUR_POLICY = '^:(INPUT|FORWARD|OUTPUT) DROP';
const OPEN_POLICY = ':$1 ACCEPT';

/**
 * Removes this product's lines from such a file, and sets its policies to ACCEPT. Returns a text
 * without such a line unchanged.
 */
export function withoutRules(saved: string): string {
  // Only RegExp needs a backslash before "]" in a set.
  const line = new RegExp(OUR_LINE.replace('[]]', '\\]'));
  const lines = saved.split('\n');
  if (!lines.some((each) => line.test(each))) return saved;
  return lines
    .filter((each) => !line.test(each))
    .map((each) => each.replace(new RegExp(OUR_POLICY), OPEN_POLICY))
    .join('\n');
}

import { printable } from '../net/printable.ts';

/** The author of a change to packet filters: the process that committed it, and its name then. */
export interface Author {
  readonly pid: number;
  readonly name: string;
}

/**
 * Reads the author from the line of "nft monitor" that ends a change; undefined for every other
 * line.
 */
export function readAuthor(line: string): Author | undefined {
  const [, pid, name] = /^# new generation \d+ by process (\d+) \((.*)\)$/.exec(line) ?? [];
  return pid === undefined || name === undefined ? undefined : { pid: Number(pid), name };
}

/**
 * Tells whether it may be a program that restores this product's rules: the kernel keeps 15
 * characters of a name.
 */
export function mayBeOurs({ name }: Author): boolean {
  return name === 'nft' || /^ip6?tables-resto/.test(name);
}

/** Tells whether a line of "nft monitor" ends a change, or says that lines were lost. */
export function endsChange(line: string): boolean {
  return line.startsWith('# ');
}

/** The most authors that one line names: a storm has thousands. */
const MOST_NAMED = 4;

export function authorsText(authors: readonly Author[]): string {
  if (authors.length === 0) return 'an unknown program';
  const shown = authors
    .slice(-MOST_NAMED)
    .map(({ pid, name }) => `${printable(name)} (process ${pid})`);
  return authors.length > shown.length
    ? `${shown.join(', ')}, and ${authors.length - shown.length} more`
    : shown.join(', ');
}

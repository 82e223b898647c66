import type { ChangeKind, Command } from './command.ts';

export const CHANGE_HOWS = ['added', 'changed', 'removed'] as const;

/** One thing that a command changed. */
export interface Change {
  readonly kind: ChangeKind;
  /** Its path; for effects of a program the program and its first arguments. */
  readonly what: string;
  readonly how: (typeof CHANGE_HOWS)[number];
}

/** Describes the effect of a program that has a look behind it; undefined for one without. */
export function changeBy({ changes, program, args }: Command): Change | undefined {
  if (changes === undefined) return undefined;
  const words = changes === 'rules' ? [] : args.slice(0, 4);
  return { kind: changes, what: [program, ...words].join(' '), how: 'changed' };
}

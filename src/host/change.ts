import type { ChangeKind } from './command.ts';

export const CHANGE_HOWS = ['added', 'changed', 'removed'] as const;

/** One thing that a command changed. */
export interface Change {
  readonly kind: ChangeKind;
  /** Its path; for effects of a program the program and its first arguments. */
  readonly what: string;
  readonly how: (typeof CHANGE_HOWS)[number];
}

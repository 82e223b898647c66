import type { CliCommand, Flag } from './command.ts';

/** The flag of every command that changes something: one object on stdout, and nothing else. */
export const JSON_FLAG = {
  type: 'boolean',
  what: 'print one JSON object: what changed, and the state now',
} as const satisfies Flag;

/** Whether the command changes something, and so can answer as JSON. */
export function answersAsJson({ flags }: Pick<CliCommand, 'flags'>): boolean {
  return flags['json'] === JSON_FLAG;
}

/** Whether a call asks for JSON. After `--` the words are another program's. */
export function asksForJson(command: CliCommand, args: readonly string[]): boolean {
  const cut = args.indexOf('--');
  return answersAsJson(command) && args.slice(0, cut < 0 ? undefined : cut).includes('--json');
}

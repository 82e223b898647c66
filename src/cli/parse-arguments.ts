import { type ParseArgsConfig, parseArgs } from 'node:util';
import { KillswitchError } from '../errors.ts';
import type { CliCommand } from './command.ts';
import { didYouMean } from './nearest.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Returns the error of a wrong call, with the command's usage. */
export function misused(
  { usage }: Pick<CliCommand, 'usage'>,
  message: string,
  cause?: unknown,
): KillswitchError {
  return new KillswitchError('USAGE', message, `Call it as: ovpn-killswitch ${usage}`, [], {
    cause,
  });
}

/**
 * Parses a command's arguments strictly: an unknown flag or an extra word is an error, never a
 * guess.
 */
export function parseArguments<const Flags extends Options>(
  command: Pick<CliCommand, 'name' | 'usage'>,
  args: readonly string[],
  options: Flags,
  words: { readonly least: number; readonly most: number } = { least: 0, most: 0 },
) {
  const read = () => {
    try {
      return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
    } catch (cause) {
      const unknown =
        cause instanceof Error
          ? /^Unknown option '(--?[\w-]+)/.exec(cause.message)?.[1]
          : undefined;
      const flags = [...Object.keys(options), 'help'].map((flag) => `--${flag}`);
      if (unknown !== undefined)
        throw misused(
          command,
          `${command.name} has no flag "${unknown}"${didYouMean(unknown, flags)}`,
          cause,
        );
      throw misused(
        command,
        cause instanceof Error ? (cause.message.split('. ')[0] ?? cause.message) : String(cause),
        cause,
      );
    }
  };
  const parsed = read();
  if (parsed.positionals.length > words.most)
    throw misused(command, `${command.name} does not take "${parsed.positionals[words.most]}"`);
  if (parsed.positionals.length < words.least)
    throw misused(
      command,
      `missing argument: ${command.usage.split(' ')[1 + parsed.positionals.length]}`,
    );
  return parsed;
}

/** Returns the error for a first word that a command does not know, with the words it knows. */
export function wrongWord(
  command: Pick<CliCommand, 'name' | 'usage'>,
  word: string,
  known: readonly string[],
): KillswitchError {
  return misused(command, `${command.name} does not know "${word}"${didYouMean(word, known)}`);
}

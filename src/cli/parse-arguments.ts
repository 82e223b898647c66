import { type ParseArgsConfig, parseArgs } from 'node:util';
import { KillswitchError } from '../errors.ts';
import type { CliCommand } from './command.ts';
import { didYouMean } from './nearest.ts';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * A command's arguments, strictly: an unknown flag or one word too many is an error, never a guess.
 * @throws KillswitchError USAGE
 */
export function parseArguments<const Flags extends Options>(
  command: Pick<CliCommand, 'name' | 'usage'>,
  args: readonly string[],
  options: Flags,
  words: { readonly least: number; readonly most: number } = { least: 0, most: 0 },
) {
  const wrong = (message: string, cause?: unknown) =>
    new KillswitchError('USAGE', message, `Call it as: ovpn-killswitch ${command.usage}`, [], { cause });
  const read = () => {
    try {
      return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
    } catch (cause) {
      const unknown = cause instanceof Error ? /^Unknown option '(--?[\w-]+)/.exec(cause.message)?.[1] : undefined;
      const flags = [...Object.keys(options), 'help'].map((flag) => `--${flag}`);
      if (unknown !== undefined) throw wrong(`${command.name} has no flag "${unknown}"${didYouMean(unknown, flags)}`, cause);
      throw wrong(cause instanceof Error ? (cause.message.split('. ')[0] ?? cause.message) : String(cause), cause);
    }
  };
  const parsed = read();
  if (parsed.positionals.length > words.most) throw wrong(`${command.name} does not take "${parsed.positionals[words.most]}"`);
  if (parsed.positionals.length < words.least) throw wrong(`${command.name} needs more than that`);
  return parsed;
}

/** For a first word that a command does not know: what it is called with instead. */
export function wrongWord(command: Pick<CliCommand, 'name' | 'usage'>, word: string, known: readonly string[]): KillswitchError {
  const next = `Call it as: ovpn-killswitch ${command.usage}`;
  return new KillswitchError('USAGE', `${command.name} does not know "${word}"${didYouMean(word, known)}`, next);
}

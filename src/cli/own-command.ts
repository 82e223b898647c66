import { PATHS } from '../host/paths.ts';
import { firstFile, ownProgram, runningInterpreter } from '../host/program-files.ts';
import { shellWord } from '../net/shell-word.ts';

/** Returns the shell command of this very program, with the Node that runs it. */
export function runningCommand(): string {
  return [runningInterpreter(), ownProgram()].map(shellWord).join(' ');
}

let own: string | undefined;

/**
 * Returns the command of this product: its name once that is installed, else the running program.
 * Computed once: `uninstall` removes both.
 */
export function ownCommand(): string {
  own ??= firstFile([PATHS.command]) === undefined ? runningCommand() : 'ovpn-killswitch';
  return own;
}

/**
 * Rewrites the commands in a text so that they work here.
 * @param names The names of all commands: other sentences name the product too.
 */
export function withOwnCommand(text: string, names: readonly string[]): string {
  const called = ownCommand();
  return called === 'ovpn-killswitch'
    ? text
    : text.replace(
        new RegExp(`(?<![\\w/.-])ovpn-killswitch(?= (${names.join('|')})(?![\\w-]))`, 'g'),
        () => called,
      );
}

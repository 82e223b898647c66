import { PATHS } from '../host/paths.ts';
import { firstFile, ownProgram, runningInterpreter } from '../host/program-files.ts';
import { shellWord } from '../net/shell-word.ts';

/** This very program, as a shell calls it: by the Node that runs it. */
export function runningCommand(): string {
  return [runningInterpreter(), ownProgram()].map(shellWord).join(' ');
}

let own: string | undefined;

/**
 * How this product is called here: by its name once that is installed, else as it runs now. Found
 * out once: `uninstall` removes both.
 */
export function ownCommand(): string {
  own ??= firstFile([PATHS.command]) === undefined ? runningCommand() : 'ovpn-killswitch';
  return own;
}

/**
 * A text whose commands can be called here.
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

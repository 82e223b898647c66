import { EXIT } from '../errors.ts';
import { PREFIX } from '../host/paths.ts';
import type { CliCommand } from './command.ts';
import { completionText, SHELLS } from './completions.ts';
import { misused, parseArguments } from './parse-arguments.ts';

export const completion: CliCommand = {
  name: 'completion',
  usage: `completion ${SHELLS.join('|')}`,
  group: 'internal',
  brief: 'print the completion script for a shell',
  summary: 'Print the completion script for a shell. "install" has put it in its place.',
  flags: {},
  words: [{ name: 'SHELL', what: 'the shell', choices: SHELLS }],
  examples: [['completion bash', `for a shell that does not look in ${PREFIX}/share`]],
  needsRoot: false,
  run: ({ args, printExactly, commands }) => {
    const { positionals } = parseArguments(completion, args, {}, { least: 1, most: 1 });
    const shell = SHELLS.find((each) => each === positionals[0]);
    if (shell === undefined)
      throw misused(completion, `"${positionals[0]}" is none of ${SHELLS.join(', ')}`);
    printExactly(completionText(shell, commands).trimEnd());
    return EXIT.ok;
  },
};

import { EXIT, KillswitchError } from '../errors.ts';
import { PATHS } from '../host/paths.ts';
import type { CliCommand, Flags } from './command.ts';
import { JSON_FLAG } from './json-flag.ts';
import { parseArguments } from './parse-arguments.ts';

/** The script itself sets a timeout for each tool. */
const SCRIPT_MILLISECONDS = 85_000;

/**
 * The script's exit statuses: nothing is left, rules are left, unknown, files are left, no
 * permission.
 */
const ENDS = [EXIT.ok, EXIT.failed, EXIT.kernel, EXIT.files, EXIT.permission] as const;

const FLAGS = { json: JSON_FLAG } as const satisfies Flags;

export const recover: CliCommand = {
  name: 'recover',
  usage: 'recover [--json]',
  group: 'trouble',
  brief: 'open the machine, whatever happened',
  summary: `Open the machine whatever happened. The same as the plain script ${PATHS.library}/recover, which needs no Node.`,
  flags: FLAGS,
  words: [],
  exits: [[EXIT.failed, 'rules are left']],
  examples: [['recover', 'removes every rule of ours, in every backend']],
  needsRoot: true,
  run: ({ host, args, print, progress }) => {
    parseArguments(recover, args, FLAGS);
    progress('taking the rules away');
    const path = `${PATHS.library}/recover`;
    if (!host.exists(path))
      throw new KillswitchError(
        'FILES',
        `${path} is not installed`,
        'Run "ovpn-killswitch unlock".',
      );
    const { status, stdout, stderr } = host.run({
      program: 'sh',
      args: [path],
      milliseconds: SCRIPT_MILLISECONDS,
      changes: 'rules',
    });
    for (const line of `${stdout}${stderr}`.split('\n')) if (line !== '') print(line);
    if (status === null)
      throw new KillswitchError(
        'DEADLINE',
        'the script was stopped before its end: a step without a line above was not done',
        'Run it again.',
      );
    return ENDS.find((each) => each === status) ?? EXIT.kernel;
  },
};

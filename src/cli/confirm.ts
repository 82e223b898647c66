import { followBoot } from '../boot/enable.ts';
import { EXIT } from '../errors.ts';
import { confirmLock } from '../transaction/due.ts';
import type { CliCommand, Flags } from './command.ts';
import { JSON_FLAG } from './json-flag.ts';
import { parseArguments } from './parse-arguments.ts';

const FLAGS = { json: JSON_FLAG } as const satisfies Flags;

export const confirm: CliCommand = {
  name: 'confirm',
  usage: 'confirm [--json]',
  group: 'daily',
  brief: 'keep what "lock --confirm" has locked',
  summary:
    'Keep what "lock --confirm" has locked: it is no longer taken back by itself. Exit 1 when nothing waits to be confirmed.',
  flags: FLAGS,
  words: [],
  exits: [[EXIT.failed, 'nothing waits to be confirmed']],
  examples: [['confirm', 'from a new login, which shows that you still get in']],
  needsRoot: true,
  run: ({ host, args, print }) => {
    parseArguments(confirm, args, FLAGS);
    const confirmed = confirmLock(host);
    if (confirmed) followBoot(host);
    print(confirmed ? 'Confirmed: it stays locked.' : 'Nothing waits to be confirmed.');
    return confirmed ? EXIT.ok : EXIT.failed;
  },
};

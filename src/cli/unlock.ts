import { followBoot } from '../boot/enable.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { otherDropLines } from '../machine/kernel-state.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { unlockMachine } from '../transaction/lock.ts';
import { ago } from '../view/picture.ts';
import type { CliCommand, Flags } from './command.ts';
import { parseDuration } from './duration.ts';
import { JSON_FLAG } from './json-flag.ts';
import { misused, parseArguments } from './parse-arguments.ts';

/**
 * Parses a time. @throws KillswitchError USAGE when it is none, or when there is no lock to
 * restore.
 */
function openSeconds(host: Host, text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined) throw misused(unlock, `"${text}" is not a time from 1 s to 24 h`);
  if (readLockRecord(host)?.locked !== true)
    throw new KillswitchError(
      'USAGE',
      'this machine is not locked, so it cannot be locked again',
      'Run "ovpn-killswitch lock" first.',
    );
  return seconds;
}

const FLAGS = {
  for: { type: 'string', value: 'TIME', what: 'lock again after this time: 90s, 5m, 2h' },
  json: JSON_FLAG,
} as const satisfies Flags;

export const unlock: CliCommand = {
  name: 'unlock',
  usage: 'unlock [--for TIME] [--json]',
  group: 'daily',
  brief: 'open the machine',
  summary: 'Open the machine: remove the rules and restore the chain policies.',
  flags: FLAGS,
  words: [],
  examples: [
    ['unlock', 'opens; hooks then leave the firewall alone until the next lock'],
    [
      'unlock --for 5m',
      'opens for five minutes, then locks again by itself: also after a crash or a reboot (90s, 5m, 2h)',
    ],
  ],
  needsRoot: true,
  run: ({ host, args, print, progress, report }) => {
    const { values } = parseArguments(unlock, args, FLAGS);
    progress('taking the rules away');
    const seconds = values.for === undefined ? undefined : openSeconds(host, values.for);
    const { removed, now } = unlockMachine(host, seconds);
    followBoot(host);
    const until =
      seconds === undefined
        ? 'until the next lock'
        : `for ${ago(seconds)}, then it locks again by itself`;
    host.log({
      level: 'info',
      event: 'unlocked',
      message: `unlocked: nothing is guarded ${until}`,
    });
    if (now.unread.length > 0) {
      followResolversOrSay(host);
      throw new KillswitchError(
        'COMMAND',
        'the record says unlocked now, but the rules in the kernel could not be read',
        `Fix the tool that the line above names, then run: sudo ${PATHS.library}/recover`,
      );
    }
    print(
      removed
        ? `Unlocked: nothing is guarded ${until}.`
        : 'Nothing of ours was loaded: nothing is guarded.',
    );
    for (const line of otherDropLines(now)) print(`  ${line}`);
    const resolvers = followResolversOrSay(host);
    return resolvers instanceof KillswitchError ? report.fail(resolvers) : EXIT.ok;
  },
};

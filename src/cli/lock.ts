import { followBoot } from '../boot/enable.ts';
import { describeResolvers } from '../dns/describe-resolvers.ts';
import { followResolversOrSay } from '../dns/follow-resolvers.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import { refuseChroot } from '../machine/chroot.ts';
import { ownSshSession } from '../machine/own-ssh-session.ts';
import { endpointText } from '../net/endpoint.ts';
import { describe } from '../policy/policy.ts';
import { gaps } from '../record/gaps.ts';
import { GET_CONNTRACK } from '../transaction/end-offloaded.ts';
import { lockMachine } from '../transaction/lock.ts';
import { readNeighbours } from '../view/neighbours.ts';
import { pinLines } from '../view/pin-lines.ts';
import { agreeToShutLogin } from './agree-to-shut-login.ts';
import type { CliCommand, Flags } from './command.ts';
import { parseDuration } from './duration.ts';
import { JSON_FLAG } from './json-flag.ts';
import { misused, parseArguments } from './parse-arguments.ts';

/** Parses a time. @throws KillswitchError USAGE when it is none. */
function confirmSeconds(text: string): number {
  const seconds = parseDuration(text);
  if (seconds === undefined) throw misused(lock, `"${text}" is not a time from 1 s to 24 h`);
  return seconds;
}

const FLAGS = {
  force: { type: 'boolean', what: 'lock even when no VPN server can be found' },
  confirm: {
    type: 'string',
    value: 'SECONDS',
    what: 'restore the previous state after this time unless you run "confirm"',
  },
  yes: { type: 'boolean', what: 'do not ask, even if no new SSH login would pass' },
  'no-ssh': { type: 'boolean', what: 'cut also the SSH session that runs it' },
  json: JSON_FLAG,
} as const satisfies Flags;

export const lock: CliCommand = {
  name: 'lock',
  usage: 'lock [--force] [--confirm SECONDS] [--yes] [--no-ssh] [--json]',
  group: 'daily',
  brief: 'let nothing leave but the VPN',
  summary:
    'Let nothing leave but the VPN client, what the settings allow on the LAN, and what goes through the tunnel.',
  flags: FLAGS,
  words: [],
  examples: [
    ['lock', 'locks, or applies changed settings and profiles to a locked machine'],
    [
      'lock --confirm 60',
      'opens again after a minute, or restores the previous lock, unless you run "confirm": for a machine that you are not sitting at',
    ],
    ['lock --yes', 'locks over SSH even if no new login would pass'],
    ['lock --no-ssh', 'cuts also the SSH session that runs it'],
    ['lock --json', 'prints as JSON whether that changed anything'],
    ['lock --force', 'locks even when no VPN server is known'],
  ],
  needsRoot: true,
  run: async ({ host, args, print, progress, ask, report }) => {
    const { values } = parseArguments(lock, args, FLAGS);
    refuseChroot(host);
    const given = values.confirm === undefined ? undefined : confirmSeconds(values.confirm);
    const agreed = values.yes === true || given !== undefined;
    const seconds = (await agreeToShutLogin({ host, print, ask }, agreed)) ?? given;
    progress('asking for names and loading rules');
    const own = ownSshSession(host);
    const session = own?.session;
    const keeps = own?.served === true && values['no-ssh'] !== true;
    const { policy, choice, base, known, onTrial, offloaded } = lockMachine(host, {
      asks: true,
      needsEndpoint: values.force !== true,
      seconds,
      forgetsSessions: values['no-ssh'] === true,
      forgetsFormers: true,
      ...(keeps && session && { sessions: [session] }),
    });
    followBoot(host);
    host.log({ level: 'info', event: 'locked', message: describe(policy) });
    print(`Locked: ${describe(policy)}.`);
    for (const line of choice.trace) print(`  ${line}`);
    for (const { name, does } of readNeighbours(host, choice.backend.name))
      print(`  neighbour: ${name} ${does}`);
    if (offloaded.kind === 'ended')
      print(`  ended ${offloaded.count} offloaded connections, which pass no rule`);
    if (offloaded.kind === 'may-go-on')
      print(
        `  WARNING: connections in the flowtable ${offloaded.flowtables.join(', ')} may go on in clear (${offloaded.why}): ${GET_CONNTRACK}`,
      );
    if (session !== undefined)
      print(
        keeps
          ? `  You are connected by SSH from ${session.there.text}: this one session goes on, no other. Without it: --no-ssh`
          : own?.served === true
            ? `  You are connected by SSH from ${session.there.text}: --no-ssh lets that session freeze, unless the LAN or a tunnel has it`
            : `  You are connected by SSH from ${session.there.text}, but no sshd of root's has started this command, as in tmux: that session freezes, unless the LAN or a tunnel has it. Lock from outside of it to keep the session.`,
      );
    for (const endpoint of base.endpoints.slice(0, 5))
      print(`  endpoint ${endpointText(endpoint)}`);
    if (base.endpoints.length > 5) print(`  and ${base.endpoints.length - 5} more endpoints`);
    for (const line of pinLines(known.pins)) print(`  name ${line}`);
    for (const line of gaps(known)) print(`  ${line}`);
    if (base.endpoints.length === 0)
      print(
        '  No endpoint is known, so no VPN can connect: name one in KILLSWITCH_ENDPOINTS, or an address in the remote line of a profile.',
      );
    if (seconds !== undefined)
      print(
        `  ${onTrial ? 'It restores the previous lock' : 'It opens again'} in ${seconds} s, unless you run: ovpn-killswitch confirm`,
      );
    const resolvers = followResolversOrSay(host, true);
    if (resolvers instanceof KillswitchError) return report.fail(resolvers);
    if (resolvers.kind !== 'unchanged') print(`  ${describeResolvers(resolvers)}`);
    return offloaded.kind === 'may-go-on' ? EXIT.degraded : EXIT.ok;
  },
};

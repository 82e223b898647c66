import {
  BLOCK_CLOSES,
  BLOCK_OPENS,
  bareLine,
  markerDamage,
  markerOf,
} from '../net/marked-block.ts';
import type { HookName } from './hook-event.ts';
import { type ProfileFacts, readProfileFacts } from './profile-facts.ts';
import { endsInside, quoted, words } from './profile-options.ts';

/** The hooks a profile names, in the order OpenVPN calls them. */
const HOOK_LINES: readonly HookName[] = ['up', 'route-up', 'down'];

/**
 * What a server may push and a client need not take, because it hides something or ends the client
 * for good; openvpn(8), "--pull-filter".
 */
export const PULL_FILTERS: readonly string[] = [
  'setenv-safe',
  'route-delay',
  'persist-tun',
  'verb',
  'mute',
  'ifconfig-noexec',
  'inactive',
  'session-timeout',
  'ping-exit',
  'bind-dev',
];

/**
 * `up` is told the resolvers only when OpenVPN 2.7 sets them by no program of its own; clients
 * before it do not know the option (options.c).
 */
const NO_DNS_UPDOWN = 'setenv opt dns-updown disable';

/** Between the path of a hook and the command that it calls in turn. */
export const THEN = '--then';

const OPENS = `${BLOCK_OPENS}: "ovpn-killswitch detach" takes these lines out`;
/** The profile's last line had no line break: `detach` takes away the one that we gave it. */
const OPENS_JOINED = `${OPENS}, and the line break before them`;

/** OpenVPN refuses a line of 256 bytes, its line break included (options.h, OPTION_LINE_SIZE). */
const LONGEST_LINE = 254;
/** OpenVPN takes so many words of a command, and leaves out what follows (options.h, MAX_PARMS). */
const MOST_WORDS = 16;

export interface AttachOptions {
  /** Where the hooks lie. */
  readonly folder: string;
  /** Whether what `PULL_FILTERS` names is refused. */
  readonly harden: boolean;
}

/** A profile with our lines, or why it can have none: one line for each reason. */
export type Attached = { readonly text: string } | { readonly problems: readonly string[] };

/** The lines of a text, each with its line break. */
function linesOf(text: string): readonly string[] {
  return text.split(/(?<=\n)/);
}

/** Whether `attach` may have written a line: what somebody put between our markers is theirs. */
function isOurs(line: string): boolean {
  const text = bareLine(line);
  return (
    markerOf(line) === 'opens' ||
    markerOf(line) === 'closes' ||
    text === 'script-security 2' ||
    text === 'up-restart' ||
    text === NO_DNS_UPDOWN ||
    PULL_FILTERS.some((start) => text === `pull-filter ignore "${start}"`) ||
    /^(up|route-up|down) "?\/.*\/hooks\/\1( --then .*)?"?$/.test(text)
  );
}

/**
 * A profile without our lines: every byte that was there before `attach`, and what was added since.
 */
export function detach(text: string): string {
  if (markerDamage(text) !== undefined) return text;
  const kept: string[] = [];
  let opening: string | undefined;
  let before = 0;
  const lines = linesOf(text);
  for (const [index, line] of lines.entries()) {
    if (markerOf(line) === 'opens') {
      opening = line;
      before = kept.length;
    }
    if (opening === undefined || !isOurs(line)) kept.push(line);
    if (markerOf(line) !== 'closes' || opening === undefined) continue;
    const joined = bareLine(opening) === OPENS_JOINED;
    const end = opening.endsWith('\r\n') ? /\r\n$/ : /\n$/;
    opening = undefined;
    // Where something was added, the line break separates it from what stood above.
    const nothingAdded = kept.length === before && index === lines.length - 1;
    if (joined && nothingAdded) kept.push((kept.pop() ?? '').replace(end, ''));
  }
  return kept.join('');
}

/** What a hook's line calls besides our hook; undefined when that is nothing. */
function others(hook: HookName, command: string | undefined, folder: string): string | undefined {
  if (command === undefined) return undefined;
  const [program, then, ...rest] = words(command);
  if (program !== `${folder}/${hook}`) return command;
  return then === THEN && rest.length > 0 ? rest.map(quoted).join(' ') : undefined;
}

/** Our line for a hook, which calls in turn what the profile's own line calls. */
function hookLine(
  hook: HookName,
  folder: string,
  command: string | undefined,
): { readonly line: string } | { readonly problem: string } {
  const other = others(hook, command, folder);
  if (other === undefined) return { line: `${hook} ${folder}/${hook}` };
  const called = words(other);
  const byHand = `write a script that calls ${folder}/${hook} "$@" and then your command, and name it in the ${hook} line by hand`;
  if (called.length === 0)
    return { problem: `the command of ${hook} cannot be cut into words (${other}): ${byHand}` };
  if (called.length + 2 > MOST_WORDS)
    return {
      problem: `the command of ${hook} has ${called.length} words, and OpenVPN takes ${MOST_WORDS - 2} beside ours: ${byHand}`,
    };
  const call = [`${folder}/${hook}`, THEN, ...called].map(quoted).join(' ');
  const line = `${hook} "${call.replace(/["\\]/g, '\\$&')}"`;
  if (Buffer.byteLength(line) > LONGEST_LINE)
    return {
      problem: `the command of ${hook} is too long: with ours the line exceeds ${LONGEST_LINE} bytes, and OpenVPN refuses it: ${byHand}`,
    };
  return { line };
}

/**
 * `down` at each restart is only worth it where nothing else tells of one, and where it still runs
 * with root and finds its files.
 */
function wantsUpRestart({ persistTun, upRestart, user, group, chroot }: ProfileFacts): boolean {
  return (
    persistTun && !upRestart && user === undefined && group === undefined && chroot === undefined
  );
}

/**
 * A profile with our lines at its end, where they win over earlier ones; what the profile's own up,
 * down or route-up calls is called in turn. Attaching twice changes nothing. Without `down` in a
 * profile with `chroot`: OpenVPN would look for it in that folder and not start.
 */
export function attach(text: string, { folder, harden }: AttachOptions): Attached {
  const damage = markerDamage(text);
  if (damage !== undefined) return { problems: [`${damage}: take that line out by hand`] };
  const before = detach(text);
  // It would swallow what follows it.
  if (endsInside(before))
    return {
      problems: ['it ends inside an inline file or a <connection> block, and OpenVPN refuses it'],
    };
  const facts = readProfileFacts(before);
  const hooks = HOOK_LINES.filter((hook) => hook !== 'down' || facts.chroot === undefined).map(
    (hook) => hookLine(hook, folder, facts.commands[hook]),
  );
  const problems = hooks.flatMap((each) => ('problem' in each ? [each.problem] : []));
  if (problems.length > 0) return { problems };
  const joined = before !== '' && !before.endsWith('\n');
  const end = before.includes('\r\n') ? '\r\n' : '\n';
  const block = [
    joined ? OPENS_JOINED : OPENS,
    ...(facts.scriptSecurity < 2 ? ['script-security 2'] : []),
    ...hooks.flatMap((each) => ('line' in each ? [each.line] : [])),
    ...(wantsUpRestart(facts) ? ['up-restart'] : []),
    ...(facts.dnsUpdown === undefined || facts.dnsUpdown === 'disable' ? [] : [NO_DNS_UPDOWN]),
    ...(harden
      ? PULL_FILTERS.filter((start) => !facts.filtered.includes(start)).map(
          (start) => `pull-filter ignore "${start}"`,
        )
      : []),
    BLOCK_CLOSES,
  ];
  return { text: `${before}${joined ? end : ''}${block.map((line) => `${line}${end}`).join('')}` };
}

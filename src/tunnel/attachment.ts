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
 * Options that a server may push and a client need not accept, because they hide something or end
 * the client for good; openvpn(8), "--pull-filter".
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
 * OpenVPN 2.7 tells `up` the resolvers only when no program of its own sets them. Earlier clients
 * do not know the option (options.c).
 */
const NO_DNS_UPDOWN = 'setenv opt dns-updown disable';

/** Stands between the path of a hook and the command that it calls in turn. */
export const THEN = '--then';

const OPENS = `${BLOCK_OPENS}: "ovpn-killswitch detach" takes these lines out`;
/**
 * Marks a profile whose last line had no line break: `detach` removes the one that `attach` added.
 */
const OPENS_JOINED = `${OPENS}, and the line break before them`;

/** OpenVPN refuses a line of 256 bytes, its line break included (options.h, OPTION_LINE_SIZE). */
const LONGEST_LINE = 254;
/** OpenVPN takes this many words of a command, and drops the rest (options.h, MAX_PARMS). */
const MOST_WORDS = 16;

export interface AttachOptions {
  /** The folder of the hooks. */
  readonly folder: string;
  /** Whether to refuse the options in `PULL_FILTERS`. */
  readonly harden: boolean;
}

/** A profile with this product's lines, or why it can have none: one line for each reason. */
export type Attached = { readonly text: string } | { readonly problems: readonly string[] };

/** Splits a text into lines, each with its line break. */
function linesOf(text: string): readonly string[] {
  return text.split(/(?<=\n)/);
}

/**
 * Tells whether `attach` may have written a line: other lines between the markers belong to the
 * person who put them there.
 */
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
 * Removes this product's lines from a profile. Keeps every byte that was there before `attach`, and
 * every line added since.
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
    // After an added line, the line break stays: it separates that line from the text above.
    const nothingAdded = kept.length === before && index === lines.length - 1;
    if (joined && nothingAdded) kept.push((kept.pop() ?? '').replace(end, ''));
  }
  return kept.join('');
}

/** Names the hooks of another folder in a profile's lines, also in those written by hand. */
export function moveHooks(text: string, from: string, to: string): string {
  return linesOf(text)
    .map((line) => {
      const [, start, hook] = /^(\s*(up|route-up|down)\s+["']?)/.exec(line) ?? [];
      const own = `${start}${from}/${hook}`;
      return start !== undefined && line.startsWith(own)
        ? `${start}${to}/${hook}${line.slice(own.length)}`
        : line;
    })
    .join('');
}

/**
 * Returns the command that a hook's line calls besides this product's hook; undefined when there is
 * none.
 */
function others(hook: HookName, command: string | undefined, folder: string): string | undefined {
  if (command === undefined) return undefined;
  const [program, then, ...rest] = words(command);
  if (program !== `${folder}/${hook}`) return command;
  return then === THEN && rest.length > 0 ? rest.map(quoted).join(' ') : undefined;
}

/**
 * Writes this product's line for a hook; the hook calls in turn the command of the profile's own
 * line.
 */
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
 * Tells whether to run `down` at each restart: only where nothing else reports a restart, and where
 * the hook still runs as root and finds its files.
 */
function wantsUpRestart({ persistTun, upRestart, user, group, chroot }: ProfileFacts): boolean {
  return (
    persistTun && !upRestart && user === undefined && group === undefined && chroot === undefined
  );
}

/**
 * Adds this product's lines at the end of a profile, where they win over earlier ones. The hooks
 * call in turn the commands of the profile's own up, down or route-up. Attaching twice changes
 * nothing. Writes no `down` into a profile with `chroot`: OpenVPN would look for it in that folder
 * and not start.
 */
export function attach(text: string, { folder, harden }: AttachOptions): Attached {
  const damage = markerDamage(text);
  if (damage !== undefined) return { problems: [`${damage}: remove that line by hand`] };
  const before = detach(text);
  // An open block would swallow the lines after it.
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

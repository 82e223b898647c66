import { expect } from 'vitest';
import type { Answer } from '../../src/cli/answer-schema.ts';
import type { Change } from '../../src/host/change.ts';
import type { Ran } from '../../src/host/sandbox.ts';

/** Parses what a command with --json prints. @throws Error unless that is one object alone. */
export function parsedAnswer({ status, stdout, stderr }: Ran): Answer {
  let answer: Answer;
  try {
    answer = JSON.parse(stdout) as Answer;
  } catch (cause) {
    throw new Error(`status ${status}\n${stdout}${stderr}`, { cause });
  }
  expect(answer).toMatchObject({ version: 1, exit: status });
  expect(answer.changed).toBe(answer.changes.length > 0);
  return answer;
}

export const whats = (changes: readonly Change[], kind: Change['kind']): readonly string[] =>
  changes.filter((each) => each.kind === kind).map(({ what }) => what);

/** Folders and files that this product writes. */
const PLACES = [
  '/etc',
  '/usr/lib/ovpn-killswitch',
  '/usr/local/lib/ovpn-killswitch',
  '/usr/local/sbin',
  '/usr/local/share',
  '/var/lib/ovpn-killswitch',
  '/run/ovpn-killswitch',
  '/run/systemd/system',
];
/** Notes of what was seen or done last, code caches, and what NetworkManager writes itself. */
const UNCOUNTED = [
  ...['last-transaction', 'told', 'lock', 'watch', 'refresh.lock', 'traffic'].map(
    (name) => `/run/ovpn-killswitch/${name}`,
  ),
  '*/ovpn-killswitch/hooks-*.cache',
  '/etc/NetworkManager/system-connections/*',
];
/** Their times are renewed without any other change. */
const TIMED = ['lock.json', 'endpoints.json', 'trial/endpoints.json'];

const NO_TIMES = `sed -E 's/"(seen|used|since)": *[0-9.]+//g'`;
const FOUND = `find ${PLACES.join(' ')} ${UNCOUNTED.map((each) => `! -path '${each}'`).join(' ')}`;

/**
 * Prints what a command could change: first the rules with the handles that a load renews, then a
 * line for each file and link. A folder that is not there is no failure, also for a shell with -e.
 */
export const HELD = `set +e
{ nft -s -a list ruleset; iptables-save; ip6tables-save; } | sed '/^#/d; s/\\[[0-9]*:[0-9]*\\]//'
echo ====
{
  ${FOUND} -type l -printf '%p\\tlink %l\\n'
  ${FOUND} -type f -printf '%p\\t%U %m\\n'
  ${FOUND} -type f ${TIMED.map((each) => `! -path '*/ovpn-killswitch/${each}'`).join(' ')} -print0 |
    xargs -0 sha256sum | sed -E 's/^([0-9a-f]+)  (.*)$/\\2\\t\\1/'
  for each in ${TIMED.flatMap((each) => [`/var/lib/ovpn-killswitch/${each}`, `/run/ovpn-killswitch/${each}`]).join(' ')}; do
    [ ! -e "$each" ] || printf '%s\\t%s\\n' "$each" "$(${NO_TIMES} "$each" | sha256sum)"
  done
} 2>/dev/null
:`;

/** The rules and files of a machine, as `HELD` prints them. */
export interface Held {
  readonly rules: string;
  readonly files: ReadonlyMap<string, string>;
}

export function heldIn(text: string): Held {
  const [rules = '', list = ''] = text.split('====\n');
  const files = new Map<string, string>();
  for (const line of list.split('\n').filter((each) => each !== '')) {
    const [path = '', fact = ''] = line.split('\t');
    files.set(path, `${files.get(path) ?? ''}${fact}\n`);
  }
  return { rules, files };
}

const howOf = (before: string | undefined, after: string | undefined): Change['how'] =>
  before === undefined ? 'added' : after === undefined ? 'removed' : 'changed';

const inOrder = (changes: readonly Change[]) =>
  [...changes].sort((a, b) => (a.what < b.what ? -1 : 1));

/** Holds an answer's changes of files and rules against what really differs. */
export function expectWhole({ changes }: Answer, before: Held, after: Held): void {
  const paths = new Set([...before.files.keys(), ...after.files.keys()]);
  const differ = [...paths].flatMap((what): Change[] => {
    const [old, now] = [before.files.get(what), after.files.get(what)];
    return old === now ? [] : [{ kind: 'file', what, how: howOf(old, now) }];
  });
  expect(inOrder(changes.filter(({ kind }) => kind === 'file'))).toEqual(inOrder(differ));
  expect(whats(changes, 'rules').length > 0).toBe(before.rules !== after.rules);
}

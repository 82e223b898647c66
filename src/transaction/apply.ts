import type { Backend, ChainPolicy, Survey, Transaction } from '../backend/backend.ts';
import { type Difference, differencesOf, sameReasons } from '../backend/image.ts';
import { shortLook } from '../backend/iptables-short-look.ts';
import { KillswitchError, orElse } from '../errors.ts';
import type { Command, Output } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { fullName, listChains } from '../machine/kernel-state.ts';
import { hasLegacyTables } from '../machine/world.ts';
import { printable } from '../net/printable.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';

/** How a ruleset came into the kernel. */
export type Applied = 'unchanged' | 'added' | 'removed' | 'amended' | 'replaced';

/**
 * A transaction that is refused although nothing else changed the rules meanwhile is tried once
 * more, one that others outran as often.
 */
const MOST_TRIES = 20;

/** A run as lines for an error: the command, then what it said. */
function transcript({ program, args }: Command, { status, stderr }: Output): readonly string[] {
  const said = stderr.trim().split('\n').slice(0, 8).map(printable);
  return [
    `${[program, ...args].join(' ')}: ${status === null ? 'did not end by itself' : `exit status ${status}`}`,
    ...said,
  ];
}

/** Whether the first restore program that was asked about is of the nft kind, by host. */
const nftKinds = new WeakMap<Host, boolean>();

function isNftKind(host: Host, [restore]: Backend['restores']): boolean {
  if (restore === undefined) return false;
  const [, program] = restore;
  const isNft =
    nftKinds.get(host) ?? host.run({ program, args: ['--version'] }).stdout.includes('nf_tables');
  nftKinds.set(host, isNft);
  return isNft;
}

/** What the look of a backend says, by the short way where there is one. */
export function lookOutputs(host: Host, { look, restores }: Backend): readonly Output[] {
  const run = (command: Command) => host.run(command);
  if (host.has('nft') && !hasLegacyTables(host) && isNftKind(host, restores)) {
    const chains = listChains(host);
    const outputs =
      typeof chains === 'string' ? undefined : shortLook(run, restores, chains.map(fullName));
    if (outputs !== undefined) return outputs;
  }
  const outputs: Output[] = [];
  for (const command of look) {
    const output = run(command);
    outputs.push(output);
    // The next one would hang as long.
    if (output.status === null) break;
  }
  return outputs;
}

/** What of ours is in the kernel now. */
export function look(host: Host, backend: Backend): Survey {
  return backend.survey(lookOutputs(host, backend));
}

/** The same; undefined where the backend does not work, so that it can hold nothing of ours. */
export function lookIfItWorks(host: Host, backend: Backend): Survey | undefined {
  return orElse(
    () => look(host, backend),
    () => undefined,
    'COMMAND',
  );
}

interface Failure {
  readonly stage: 'check' | 'commit';
  readonly committed: number;
  readonly detail: readonly string[];
}

/**
 * A commit that cannot even start, as when the time is over, is one that failed: what was committed
 * before it must be told.
 */
function runOrSay(host: Host, command: Command): Output {
  return orElse(
    () => host.run(command),
    ({ message }) => ({ status: null, stdout: '', stderr: message }),
  );
}

/**
 * Checks all, then commits all. A commit that fails does not keep the next family from being
 * locked.
 */
function attempt(host: Host, { check, commit }: Transaction): Failure | undefined {
  for (const command of check) {
    const output = host.run(command);
    if (output.status !== 0)
      return { stage: 'check', committed: 0, detail: transcript(command, output) };
  }
  // Before the first commit nothing has changed: then what was thrown says all.
  const outputs = commit.map((command, index) => ({
    command,
    output: index === 0 ? host.run(command) : runOrSay(host, command),
  }));
  const failed = outputs.filter(({ output }) => output.status !== 0);
  if (failed.length === 0) return undefined;
  return {
    stage: 'commit',
    committed: commit.length - failed.length,
    detail: failed.flatMap(({ command, output }) => transcript(command, output)),
  };
}

function refused({ stage, committed, detail }: Failure): KillswitchError {
  const next =
    'Read the lines above; "ovpn-killswitch status" says what is loaded, "ovpn-killswitch render" what should be.';
  return committed > 0
    ? new KillswitchError(
        'PARTLY',
        'the kernel took the rules of one family and refused those of the other',
        next,
        detail,
      )
    : new KillswitchError('REFUSED', `the kernel refused the rules (${stage})`, next, detail);
}

/**
 * What is there after half a commit; when even that cannot be read, the half commit is what has to
 * be told.
 */
function lookAfter(host: Host, backend: Backend, failure: Failure): Survey {
  try {
    return look(host, backend);
  } catch {
    throw refused(failure);
  }
}

function sameRules(a: Survey, b: Survey): boolean {
  return differencesOf(a.image, b.image).length === 0;
}

/** The first differences as lines. */
export function differenceLines(differences: readonly Difference[], most = 8): readonly string[] {
  const lines = differences
    .slice(0, most)
    .map(
      ({ family, chain, id, what }) =>
        `${family === undefined ? '' : `${family} `}${chain}${id === undefined ? '' : ` (${id})`}: ${what}`,
    );
  return differences.length > most ? [...lines, `and ${differences.length - most} more`] : lines;
}

/**
 * Brings the kernel to a ruleset: look, check, commit, verify. With `grown` it first tries to add
 * only what `target` has over it.
 * @throws KillswitchError REFUSED or PARTLY when the kernel will not take it, VERIFY when something
 * else is there afterwards.
 */
export function apply(host: Host, backend: Backend, target: Ruleset, grown?: Ruleset): Applied {
  const expected = backend.image(target);
  let found = look(host, backend);
  let unexplained = 0;
  let applied: Applied = 'unchanged';
  for (let tries = 0; differencesOf(expected, found.image).length > 0; tries++) {
    const canGrow =
      grown !== undefined &&
      tries === 0 &&
      differencesOf(backend.image(grown), found.image).length === 0;
    const growth = canGrow ? backend.add(grown, target) : undefined;
    const failure = attempt(host, growth ?? backend.replace(target, found));
    const after =
      failure !== undefined && failure.committed > 0
        ? lookAfter(host, backend, failure)
        : look(host, backend);
    if (failure !== undefined) {
      // Refused because somebody else was faster: the survey it was made for no longer holds.
      // Otherwise one more try, then it is final.
      if (sameRules(found, after) && ++unexplained > 1) throw refused(failure);
    } else if (
      tries >= 1 &&
      differencesOf(expected, after.image).length > 0 &&
      sameRules(found, after)
    ) {
      break;
    }
    if (failure === undefined) applied = growth === undefined ? 'replaced' : 'added';
    found = after;
    if (tries >= MOST_TRIES) break;
  }
  const differences = differencesOf(expected, found.image);
  if (differences.length > 0 && applied !== 'unchanged' && sameReasons(expected, found.image)) {
    // The kernel took our text whole and lists every rule in its place, in words we do not expect:
    // a newer tool, not another ruleset.
    host.log({
      level: 'warn',
      event: 'spelling',
      message: `the rules are loaded, but ${backend.name} lists them in words this version does not know`,
      fields: { differences },
    });
    return applied;
  }
  if (differences.length > 0)
    throw new KillswitchError(
      'VERIFY',
      'the kernel took the rules but lists others',
      'Another program changes the firewall at the same time: see "ovpn-killswitch status".',
      differenceLines(differences),
    );
  return applied;
}

/** Takes everything of ours out of the kernel, and puts the builtin chains' policies back. */
export function removeRules(
  host: Host,
  backend: Backend,
  before: readonly ChainPolicy[],
): 'unchanged' | 'removed' {
  let transaction = backend.remove(look(host, backend), before);
  if (transaction.commit.length === 0) return 'unchanged';
  for (let tries = 0; tries < 3; tries++) {
    const failure = attempt(host, transaction);
    transaction = backend.remove(look(host, backend), before);
    if (transaction.commit.length === 0) return 'removed';
    if (failure !== undefined && tries > 0) throw refused(failure);
  }
  throw new KillswitchError(
    'VERIFY',
    'the rules are still there',
    `Run the plain script: ${PATHS.library}/recover`,
  );
}

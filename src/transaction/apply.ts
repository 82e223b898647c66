import type { Backend, ChainPolicy, Survey, Transaction } from '../backend/backend.ts';
import { type Difference, differencesOf, sameReasons } from '../backend/image.ts';
import { shortLook } from '../backend/iptables-short-look.ts';
import { KillswitchError, orElse } from '../errors.ts';
import type { Command, Output } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import type { Processes } from '../host/processes.ts';
import { hasLegacyTables } from '../machine/backend-facts.ts';
import { fullName, listChains } from '../machine/kernel-state.ts';
import { printable } from '../net/printable.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';

/** How a ruleset got into the kernel. */
export type Applied = 'unchanged' | 'added' | 'removed' | 'amended' | 'replaced';

/**
 * Limit of tries when other programs change the rules first. A transaction refused without such a
 * change gets one more try.
 */
const MOST_TRIES = 20;

/** Returns a run as lines for an error: the command, then its output. */
function transcript({ program, args }: Command, { status, stderr }: Output): readonly string[] {
  const said = stderr.trim().split('\n').slice(0, 8).map(printable);
  return [
    `${[program, ...args].join(' ')}: ${status === null ? 'did not end by itself' : `exit status ${status}`}`,
    ...said,
  ];
}

/** Caches, by host, whether the first restore program found is of the nft kind. */
const nftKinds = new WeakMap<Host, boolean>();

function isNftKind(host: Host, [restore]: Backend['restores']): boolean {
  if (restore === undefined) return false;
  const [, program] = restore;
  const isNft =
    nftKinds.get(host) ?? host.run({ program, args: ['--version'] }).stdout.includes('nf_tables');
  nftKinds.set(host, isNft);
  return isNft;
}

/** Runs a backend's look, by the short way where there is one. */
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
    // The next program would hang as long.
    if (output.status === null) break;
  }
  return outputs;
}

/** Reads this product's rules from the kernel. */
export function look(host: Host, backend: Backend): Survey {
  return backend.survey(lookOutputs(host, backend));
}

/**
 * Reads this product's rules, or undefined where the backend does not work and so can hold none.
 */
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
 * Runs a commit. One that cannot start, as after the deadline, counts as failed: the error must
 * still report the earlier commits.
 */
function runOrSay(processes: Processes, command: Command): Output {
  return orElse(
    () => processes.run(command),
    ({ message }) => ({ status: null, stdout: '', stderr: message }),
  );
}

/** Runs every check, then every commit. A failed commit does not stop the next family's lock. */
function attempt(processes: Processes, { check, commit }: Transaction): Failure | undefined {
  for (const command of check) {
    const output = processes.run(command);
    if (output.status !== 0)
      return { stage: 'check', committed: 0, detail: transcript(command, output) };
  }
  // A throw at the first commit needs no report: nothing has changed yet.
  const outputs = commit.map((command, index) => {
    const change: Command = { ...command, changes: 'rules' };
    return { command, output: index === 0 ? processes.run(change) : runOrSay(processes, change) };
  });
  const failed = outputs.filter(({ output }) => output.status !== 0);
  if (failed.length === 0) return undefined;
  return {
    stage: 'commit',
    committed: commit.length - failed.length,
    detail: failed.flatMap(({ command, output }) => transcript(command, output)),
  };
}

function refused({ stage, committed, detail }: Failure): KillswitchError {
  const next = 'Fix the error in the lines above, then try again.';
  return committed > 0
    ? new KillswitchError(
        'PARTLY',
        'the kernel accepted the rules of one IP family and refused those of the other',
        next,
        detail,
      )
    : new KillswitchError('REFUSED', `the kernel refused the rules (${stage})`, next, detail);
}

/** Reads the rules after half a commit. If that fails too, throws the error for the half commit. */
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

/** Returns the first differences as lines. */
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
 * only the rules that `target` has beyond it.
 * @throws KillswitchError REFUSED or PARTLY when the kernel refuses it, VERIFY when the kernel
 * holds other rules afterwards.
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
      // Refused because another program was faster: the survey is out of date. Otherwise try once
      // more, then give up.
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
    // The kernel took the whole text and lists every rule in its place, in unexpected words: a
    // newer tool, not another ruleset.
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
      'the kernel accepted the rules but lists different ones',
      'Run "ovpn-killswitch doctor": it names programs that change the firewall.',
      differenceLines(differences),
    );
  return applied;
}

/** Removes this product's rules from the kernel, and restores the builtin chains' policies. */
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

import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Sandbox } from '../../src/host/sandbox.ts';
import type { Run, Timed } from './stopwatch.ts';

/** Runs programs inside one machine and tells how long each took. */
export type Stopwatch = (run: Run) => Promise<Timed>;

/**
 * `at` is a network namespace in the sandbox, without it the sandbox's own; `program` the path of
 * the built stopwatch.ts.
 */
export function startStopwatch(sandbox: Sandbox, program: string, at?: string): Stopwatch {
  // A program started in a sandbox has no stdin of ours. A pipe that its reader holds open for
  // writing too never ends.
  const pipe = `/run/stopwatch-${at ?? 'own'}`;
  const { status, stderr } = sandbox.run(['mkfifo', pipe]);
  if (status !== 0) throw new Error(stderr);
  const { stdout } = sandbox.start(
    ['sh', '-c', 'exec "$@" <>"$0"', pipe, process.execPath, program],
    {
      ...(at === undefined ? {} : { at }),
    },
  );
  if (stdout === null) throw new Error('the stopwatch has no output');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return async (run) => {
    appendFileSync(`/proc/${sandbox.pid}/root${pipe}`, `${JSON.stringify(run)}\n`);
    const { value } = await lines.next();
    if (typeof value !== 'string') throw new Error('the stopwatch has ended');
    return JSON.parse(value) as Timed;
  };
}

/** The measured work. `prepare` is run before each, untimed. */
export interface Subject {
  readonly name: string;
  readonly stopwatch: Stopwatch;
  readonly prepare?: readonly Run[];
  readonly run: Run;
}

/** Median, and the quarters beside it. */
export interface Spread {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

export interface Row {
  readonly name: string;
  /** In the group's unit. */
  readonly value: Spread;
  /**
   * To the first of the group, taken round by round: a machine that is slower for a while is so for
   * both.
   */
  readonly ratio: Spread;
}

export function spread(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { low: at(0.25), median: at(0.5), high: at(0.75) };
}

/** Rows from samples of the same rounds, the first being what the others are compared with. */
export function rowsOf(samples: ReadonlyMap<string, readonly number[]>): readonly Row[] {
  const [base = []] = samples.values();
  return [...samples].map(([name, each]) => ({
    name,
    value: spread(each),
    ratio: spread(each.map((value, round) => value / (base[round] ?? Number.NaN))),
  }));
}

function shuffled<Item>(items: readonly Item[]): readonly Item[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}

async function must(stopwatch: Stopwatch, run: Run): Promise<Timed> {
  const timed = await stopwatch(run);
  if (timed.status !== 0)
    throw new Error(
      `${run.argv.join(' ')} ended with ${timed.status}: ${timed.stderr}${timed.stdout}`,
    );
  return timed;
}

/**
 * Every round runs every subject once, in random order; the first round counts for nothing.
 * @throws Error of a run that fails.
 */
export async function interleaved(
  subjects: readonly Subject[],
  rounds: number,
): Promise<readonly Row[]> {
  const samples = new Map<string, number[]>(subjects.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round++)
    for (const { name, stopwatch, prepare = [], run } of shuffled(subjects)) {
      for (const each of prepare) await must(stopwatch, each);
      const { milliseconds } = await must(stopwatch, run);
      if (round >= 0) samples.get(name)?.push(milliseconds);
    }
  return rowsOf(samples);
}

import { spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

/** One start of a program: its whole environment, and what it reads. */
export interface Run {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export interface Timed {
  readonly milliseconds: number;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

// A program of its own, inside the machine that is measured: a line of JSON in is a Run, a line out
// is how long the process took.
const orders = createInterface({ input: process.stdin });
orders.on('line', (line) => {
  const { argv, env = {}, stdin = '' } = JSON.parse(line) as Run;
  const [program = '', ...args] = argv;
  const started = process.hrtime.bigint();
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    env,
    input: stdin,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const milliseconds = Number(process.hrtime.bigint() - started) / 1e6;
  const timed: Timed = {
    milliseconds,
    status,
    stdout: stdout ?? '',
    stderr: error?.message ?? stderr ?? '',
  };
  process.stdout.write(`${JSON.stringify(timed)}\n`);
});

import { closeSync } from 'node:fs';
import { execaSync } from 'execa';
import type { Command, Output } from './command.ts';
import { CHILD_MILLISECONDS, type Deadline } from './deadline.ts';
import { inputFile, outputFile, takeText } from './nameless-file.ts';
import { PROGRAM_FOLDERS } from './paths.ts';
import { programPath } from './program-path.ts';

/** Time limit of the recover script, which waits for a lock and runs many programs. */
const SCRIPT_MILLISECONDS = 60_000;

/** Where a program lies; undefined when it is not installed. */
export type Locate = (program: string) => string | undefined;
export type RunProgram = (command: Command) => Output;

/** Looks for each program once, until it is found. */
export function locator(): Locate {
  const found = new Map<string, string>();
  return (program) => {
    const path = found.get(program) ?? programPath(program);
    // Does not cache misses: the tool may be installed while "watch" runs.
    if (path !== undefined) found.set(program, path);
    return path;
  };
}

/** Runs programs to their end, each for at most its time and what is left until the deadline. */
export function programRunner(locate: Locate, { pace, timeLeft }: Deadline): RunProgram {
  return ({
    program,
    args,
    stdin: input,
    milliseconds = program === 'sh' ? SCRIPT_MILLISECONDS : CHILD_MILLISECONDS,
  }) => {
    const path = locate(program);
    if (path === undefined)
      return { status: null, stdout: '', stderr: `${program} is not installed` };
    const given = input === undefined ? undefined : inputFile(input);
    const [out, err] = [outputFile(), outputFile()];
    const result = execaSync(path, args, {
      cwd: '/',
      env: { PATH: PROGRAM_FOLDERS.join(':'), LC_ALL: 'C', TZ: 'UTC' },
      extendEnv: false,
      reject: false,
      stripFinalNewline: false,
      timeout: timeLeft(milliseconds * pace),
      killSignal: 'SIGKILL',
      stdin: given ?? (input === undefined ? 'ignore' : 'pipe'),
      stdout: out ?? 'pipe',
      stderr: err ?? 'pipe',
      ...(input === undefined || given !== undefined ? {} : { input }),
    });
    if (given !== undefined) closeSync(given);
    const stdout = out === undefined ? String(result.stdout ?? '') : takeText(out);
    const stderr = err === undefined ? String(result.stderr ?? '') : takeText(err);
    const stopped = result.timedOut
      ? `${program} was stopped after ${Math.round(result.durationMs / 1000)} s`
      : '';
    const failure =
      result.exitCode === undefined && !result.timedOut ? (result.originalMessage ?? '') : '';
    return {
      status: result.exitCode ?? null,
      stdout,
      stderr: [stderr, stopped, failure].filter((part) => part !== '').join('\n'),
    };
  };
}

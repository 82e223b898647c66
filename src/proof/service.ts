import type { Sandbox } from '../host/sandbox.ts';
import { FOLDER } from './addresses.ts';
import { waitUntil } from './wait-until.ts';

export type Signal = 'TERM' | 'KILL' | 'HUP' | 'USR1' | 'STOP' | 'CONT';

/** A program that runs in the sandbox until `end`. */
export interface Service {
  /** Returns its output so far on stdout (unless `onOutput` gets that) and stderr. */
  said(): string;
  /** Counts how often a phrase stands in its output. */
  times(phrase: string): number;
  /**
   * Waits until its output holds the phrase this many `times`.
   * @throws Error with its last output when it ends or the wait times out.
   */
  says(phrase: string, times?: number, milliseconds?: number): Promise<void>;
  running(): boolean;
  signal(signal: Signal): void;
  /** Ends it with a signal and waits for its end. */
  end(signal?: Signal): Promise<void>;
}

export interface ServiceOptions {
  readonly at?: string;
  /** Gets stdout as it comes, instead of `said`. */
  readonly onOutput?: (chunk: Buffer) => void;
}

/** Starts a program. `name` is unique among those that run at the same time. */
export function startService(
  sandbox: Sandbox,
  name: string,
  argv: readonly string[],
  { at, onOutput }: ServiceOptions = {},
): Service {
  const file = `${FOLDER}/${name}.pid`;
  // nsenter stands between this process and the program: only the shell inside knows the program's
  // pid.
  const child = sandbox.start(
    ['sh', '-c', `echo $$ >${file}; exec "$@"`, name, ...argv],
    at === undefined ? {} : { at },
  );
  let text = '';
  let running = true;
  const keep = (chunk: Buffer) => {
    text += chunk.toString('utf8');
  };
  child.stdout?.on('data', onOutput ?? keep);
  child.stderr?.on('data', keep);
  child.once('close', () => {
    running = false;
  });
  child.once('error', (error) => {
    text += error.message;
    running = false;
  });
  const times = (phrase: string) => text.split(phrase).length - 1;
  const lastWords = () => text.trim().split('\n').slice(-5).join('\n');
  const signal = (which: Signal) => {
    if (running) sandbox.run(['sh', '-c', `kill -${which} "$(cat ${file})"`]);
  };
  return {
    said: () => text,
    times,
    says: async (phrase, count = 1, milliseconds = 40_000) => {
      await waitUntil(
        () => `${name} to say "${phrase}"; it said last:\n${lastWords()}`,
        () => {
          if (times(phrase) >= count) return true;
          if (!running)
            throw new Error(`${name} ended before it said "${phrase}":\n${lastWords()}`);
          return false;
        },
        milliseconds,
      );
    },
    running: () => running,
    signal,
    end: async (which = 'TERM') => {
      signal(which);
      await waitUntil(`the end of ${name}`, () => !running);
    },
  };
}

import type { ExitStatus, KillswitchError } from '../errors.ts';
import type { Asker } from '../host/ask-terminal.ts';
import type { Change } from '../host/change.ts';
import type { Host } from '../host/host.ts';
import { type Recording, recordingHost } from '../host/recording-host.ts';
import { readKernelState, stateNow } from '../machine/kernel-state.ts';
import { countedPart } from '../record/counted-part.ts';
import { readMachineState } from '../view/machine-state.ts';
import type { Answer } from './answer-schema.ts';
import { scriptedPaths } from './scripted-paths.ts';

/** How a command tells what it changes past the host, and how it fails without throwing. */
export interface Report {
  /** Whether the caller asked for JSON. */
  readonly isJson: boolean;
  /** Does work that writes past the host, below these paths. */
  during<Result>(paths: readonly string[], work: () => Result): Result;
  /** Notes what a dry run would change. */
  plan(change: Change): void;
  /** Notes the error of a command that has done its work otherwise, and returns its exit status. */
  fail(error: KillswitchError): ExitStatus;
  /** Notes that another program, started by this one, has printed the answer. */
  handOn(): void;
}

/** The report of a call without `--json`. */
export const NO_REPORT: Report = {
  isJson: false,
  during: (_, work) => work(),
  plan: () => undefined,
  fail: ({ exit }) => exit,
  handOn: () => undefined,
};

/** Stands for the terminal: a program that reads JSON cannot answer a question. */
export const NOBODY: Asker = { isThere: () => false, question: async () => '' };

/** An answer as JSON while its command runs. */
export interface Answering {
  /** The host that records every change. */
  readonly host: Host;
  readonly report: Report;
  message(line: string): void;
  warning(line: string): void;
  /** Renders the answer; undefined when another program has printed it. */
  text(exit: ExitStatus, error?: KillswitchError): string | undefined;
}

const COUNTING = {
  counted: countedPart,
  scripted: scriptedPaths,
  rules: (host: Host) => JSON.stringify(readKernelState(host)),
};

function errorOf(
  error: KillswitchError,
  host: Host | undefined,
  callable: (text: string) => string,
): Answer['error'] {
  const { code, message, detail, safe, next } = error;
  return {
    code,
    message: callable(message),
    detail: detail.map(callable),
    state: callable((host && stateNow(host, error)) ?? safe),
    next: callable(next),
  };
}

/**
 * Begins the answer of a command. `callable` rewrites the commands in a text so that they work
 * here.
 */
export function beginAnswer(
  command: string,
  real: Host,
  callable: (text: string) => string,
): Answering {
  const recording: Recording = recordingHost(real, COUNTING);
  const planned: Change[] = [];
  const messages: string[] = [];
  const warnings: string[] = [];
  let noted: KillswitchError | undefined;
  let isHandedOn = false;
  return {
    host: recording.host,
    report: {
      isJson: true,
      during: recording.during,
      plan: (change) => {
        planned.push(change);
      },
      fail: (error) => {
        noted = error;
        return error.exit;
      },
      handOn: () => {
        isHandedOn = true;
      },
    },
    message: (line) => {
      messages.push(line);
    },
    warning: (line) => {
      warnings.push(line);
    },
    text: (exit, error = noted) => {
      if (isHandedOn) return undefined;
      const changes = recording.changes();
      const host = real.mayChangeRules() ? real : undefined;
      const answer: Answer = {
        version: 1,
        command,
        changed: changes.length > 0,
        changes,
        planned,
        state: host === undefined ? null : readMachineState(host),
        messages,
        warnings,
        error: error === undefined ? null : errorOf(error, host, callable),
        exit,
      };
      return JSON.stringify(answer, null, 2);
    },
  };
}

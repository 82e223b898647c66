import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Listen } from './listener.ts';
import { PROGRAM_FOLDERS } from './paths.ts';
import { programPath } from './program-path.ts';

/** Characters kept of the end of a program's stderr. */
const LAST_WORDS = 300;

export const listen: Listen = (program, args, line, ended) => {
  // execve(2) finds no program under a name without a folder, so a missing one ends like a failing
  // one.
  const child = spawn(programPath(program) ?? `./${program}`, args, {
    cwd: '/',
    env: { PATH: PROGRAM_FOLDERS.join(':'), LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let open = true;
  let said = '';
  const end = (why: string) => {
    if (!open) return;
    open = false;
    ended(why);
  };
  createInterface({ input: child.stdout }).on('line', (text) => {
    if (open) line(text);
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said = (said + chunk).slice(-LAST_WORDS);
  });
  child.once('error', ({ message }) => end(message));
  // Its last line may be a warning from long before its end.
  child.once('close', (status, signal) =>
    end(`${said.trim()}; it ended with ${signal ?? `status ${status}`}`.replace(/^; /, '')),
  );
  return {
    stop: () => {
      open = false;
      child.kill('SIGTERM');
    },
  };
};

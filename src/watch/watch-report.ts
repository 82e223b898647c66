import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { startOf } from '../machine/daemon.ts';
import { field, parseJson } from '../machine/json.ts';
import { SERVICE_FILES } from './service.ts';

/** Whether `watch` guards the rules. */
export interface WatchReport {
  /** Whether a service is set up for it. */
  readonly enabled: boolean;
  readonly running: boolean;
}

/** A process that watches. */
interface Watcher {
  readonly pid: number;
  /** The result of `installedProgram` when it started; earlier versions kept none. */
  readonly program: string | undefined;
}

/** Reads the process that watches now; undefined when there is none. */
export function readWatcher(files: Files): Watcher | undefined {
  const json = parseJson(files.read(PATHS.watch) ?? '');
  const [pid, start, program] = ['pid', 'start', 'program'].map((key) => field(json, key));
  if (typeof pid !== 'number' || typeof start !== 'string' || startOf(files, pid) !== start)
    return undefined;
  return { pid, program: typeof program === 'string' ? program : undefined };
}

export function readWatch(files: Files): WatchReport {
  return {
    enabled: SERVICE_FILES.some((path) => files.exists(path)),
    running: readWatcher(files) !== undefined,
  };
}

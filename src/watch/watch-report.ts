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

export function readWatch(files: Files): WatchReport {
  const json = parseJson(files.read(PATHS.watch) ?? '');
  const [pid, start] = [field(json, 'pid'), field(json, 'start')];
  return {
    enabled: SERVICE_FILES.some((path) => files.exists(path)),
    running: typeof pid === 'number' && typeof start === 'string' && startOf(files, pid) === start,
  };
}

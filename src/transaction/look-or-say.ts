import type { Backend, Survey } from '../backend/backend.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { printable } from '../net/printable.ts';
import { lookOutputs } from './apply.ts';

/**
 * Why a backend's tools did not list the rules, escaped. `stopped`: one hung, was killed or could
 * not start, and may well have rules.
 */
export interface Unread {
  readonly why: string;
  readonly stopped: boolean;
}

/** Reads the kernel, or says why not. */
export type Look = (backend: Backend) => Survey | Unread;

function unread(why: readonly string[], stopped: boolean): Unread {
  return { why: printable(why.filter((each) => each !== '').join('; ')), stopped };
}

function read(host: Host, backend: Backend): Survey | Unread {
  try {
    const outputs = lookOutputs(host, backend);
    const stopped = outputs.findIndex(({ status }) => status === null);
    if (stopped >= 0) {
      const { program, args } = backend.look[stopped] ?? { program: backend.name, args: [] };
      return unread(
        [
          `"${[program, ...args].join(' ')}" did not end by itself`,
          outputs[stopped]?.stderr.trim() ?? '',
        ],
        true,
      );
    }
    return backend.survey(outputs);
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
    return unread([thrown.message, ...thrown.detail], thrown.code !== 'COMMAND');
  }
}

/**
 * Returns a function that reads the kernel by a backend, or says why not. It does not retry a
 * failed read, which may have taken seconds.
 */
export function lookOrSay(host: Host): Look {
  const failed = new Map<string, Unread>();
  return (backend) => {
    const found = failed.get(backend.name) ?? read(host, backend);
    if ('why' in found) failed.set(backend.name, found);
    return found;
  };
}

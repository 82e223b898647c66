import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { errno } from './errno.ts';
import { NEW, settle } from './follow.ts';
import { removeEntry } from './remove-door.ts';
import { type Folder, within } from './walk.ts';

/** The prefix of a draft, before the writer's process id. Drafts lie beside their files. */
const draftPrefix = (name: string) => `.${name}.`;

/** Returns this process's own name beside a file. A later writer removes one that was left. */
export const draftName = (name: string) => `${draftPrefix(name)}${process.pid}`;

/** Removes this file's drafts, left by writers that were killed before the rename. */
function removeDrafts(folder: Folder, name: string): void {
  // Elsewhere any account may own a file of that name, and there may be any number of them.
  if (folder.distrust !== undefined || folder.sticky !== undefined) return;
  const prefix = draftPrefix(name);
  for (const each of readdirSync(`/proc/self/fd/${folder.descriptor}/`)) {
    const writer = each.startsWith(prefix) ? each.slice(prefix.length) : '';
    if (/^\d+$/.test(writer) && !isRunning(Number(writer))) removeEntry(folder, each);
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return errno(thrown) !== 'ESRCH';
  }
}

interface Content {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  /** Writes to the open draft. */
  readonly fill: (descriptor: number) => void;
}

/**
 * Puts a whole file into a folder: a reader sees the old one or the new one, and a power cut leaves
 * one of them.
 */
export function put(folder: Folder, name: string, { fill, ...owned }: Content): void {
  removeDrafts(folder, name);
  const draft = within(folder, draftName(name));
  const descriptor = openSync(draft, constants.O_WRONLY | NEW, 0o600);
  try {
    try {
      fill(descriptor);
      settle(descriptor, owned);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(draft, within(folder, name));
  } catch (thrown) {
    removeEntry(folder, draftName(name));
    throw thrown;
  }
}

export const fillWith = (content: string | Uint8Array) => (descriptor: number) =>
  writeFileSync(descriptor, content);

import { basename, dirname, join } from 'node:path';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { makeFolder, placeLink, placeText } from '../host/program-files.ts';

const FOLDER = dirname(PATHS.dispatcher);
const NAME = basename(PATHS.dispatcher);
/** Folders of scripts that NetworkManager waits for (NetworkManager-dispatcher(8)). */
const WAITED_FOR = ['pre-up.d', 'pre-down.d'].map((folder) => join(FOLDER, folder));

export const DISPATCHER_PATHS: readonly string[] = [
  PATHS.dispatcher,
  ...WAITED_FOR.map((folder) => join(folder, NAME)),
];

/**
 * Places the script where NetworkManager's dispatcher runs it. The file belongs to root and only
 * root may write it: the dispatcher accepts no other.
 * @throws KillswitchError FILES when there is no NetworkManager.
 */
export function placeDispatcher(host: Host, text: string): void {
  const settings = dirname(FOLDER);
  if (!host.exists(settings))
    throw new KillswitchError(
      'FILES',
      `there is no ${settings}: NetworkManager is not installed here`,
      'Install it, or leave --networkmanager out.',
    );
  for (const folder of [FOLDER, ...WAITED_FOR]) makeFolder(folder);
  placeText(PATHS.dispatcher, text, 0o755);
  for (const folder of WAITED_FOR) placeLink(join(folder, NAME), join('..', NAME));
}

import { dirname } from 'node:path';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PREFIX, type Prefix } from '../host/paths.ts';
import type { CliCommand } from './command.ts';
import { COMPLETION_PATHS, completionText, SHELLS } from './completions.ts';
import { manPage, settingsPage } from './man-page.ts';

const SHARE = `${PREFIX}/share`;
const MAN_PAGE = `${SHARE}/man/man8/ovpn-killswitch.8`;
const SETTINGS_PAGE = `${SHARE}/man/man5/killswitch.env.5`;

export const MANUAL_PATHS: readonly string[] = [
  MAN_PAGE,
  SETTINGS_PAGE,
  ...Object.values(COMPLETION_PATHS),
];

/** Folders that a machine has without this product (hier(7)). */
const SHARED = [SHARE, `${SHARE}/man`];

/**
 * Installs the manual page and the shells' completions. Returns why it could not; everything works
 * without them.
 */
export function placeManuals(host: Host, commands: readonly CliCommand[]): string | undefined {
  try {
    host.write(MAN_PAGE, manPage(commands));
    host.write(SETTINGS_PAGE, settingsPage());
    for (const shell of SHELLS)
      host.write(COMPLETION_PATHS[shell], completionText(shell, commands));
    return undefined;
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return [thrown.message, ...thrown.detail].join(': ');
    throw thrown;
  }
}

/** Removes them below a prefix, and the folders that are then empty. */
export function removeManuals(host: Host, prefix: Prefix = PREFIX): void {
  const below = (path: string) => path.replace(PREFIX, prefix);
  const shared = SHARED.map(below);
  for (const path of MANUAL_PATHS.map(below)) {
    host.remove(path);
    for (
      let folder = dirname(path);
      !shared.includes(folder) && host.list(folder).length === 0;
      folder = dirname(folder)
    )
      host.remove(folder);
  }
}

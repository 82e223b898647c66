import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS, PREFIX } from '../host/paths.ts';
import { replaceByLink } from '../host/program-files.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { defaultSettings, type Settings } from '../policy/settings.ts';
import { attachedProfiles } from '../record/attached-profiles.ts';
import { profilePaths } from '../record/profile-paths.ts';
import { moveHooks } from '../tunnel/attachment.ts';
import { removeManuals } from './manuals.ts';
import { hasSourceInstallation, libraryOf } from './other-installation.ts';
import { planProfiles, writeProfiles } from './rewrite-profiles.ts';

const SOURCE = '/usr/local';
const PACKAGE = '/usr';

function settingsOrDefaults(host: Host): Settings {
  try {
    return loadSettings(host);
  } catch (thrown) {
    if (thrown instanceof KillswitchError) return defaultSettings();
    throw thrown;
  }
}

/** Where `takeOver` writes past the host. */
export const TAKEN_OVER: readonly string[] = [libraryOf(SOURCE), `${SOURCE}/sbin/ovpn-killswitch`];

/**
 * Moves another installation to this one: the attached profiles of a package that was removed, or
 * the profiles and manuals of an installation from source. Changes no rule, and opens nothing. In the
 * places of the source, links stay: an OpenVPN that runs calls `down` by the path that it read when
 * it started, and a timer the command. Returns a line for each step that failed: what is not moved
 * goes on with what it had.
 */
export function takeOver(host: Host, print: (line: string) => void): readonly string[] {
  const isSource = PREFIX === SOURCE;
  if (!isSource && !hasSourceInstallation(host)) return [];
  const failed: string[] = [];
  const attempt = (what: string, work: () => void) => {
    try {
      work();
    } catch (thrown) {
      if (!(thrown instanceof KillswitchError)) throw thrown;
      failed.push(`${what}: ${[thrown.message, ...thrown.detail].join(': ')}`);
    }
  };
  const from = `${libraryOf(isSource ? PACKAGE : SOURCE)}/hooks`;
  const to = `${PATHS.library}/hooks`;
  // Where no package ever was, nobody is told of profiles that have nothing to do with us.
  const paths = isSource
    ? attachedProfiles(host).filter((path) => host.exists(path))
    : profilePaths(host, settingsOrDefaults(host));
  for (const path of paths)
    attempt(path, () => {
      const changes = planProfiles(host.readUntrusted, [path], (text) => ({
        text: moveHooks(text, from, to),
      })).filter(({ before, after }) => before !== after);
      writeProfiles(host, changes);
      if (changes.length > 0) print(`${path}: its hooks are those in ${PATHS.library} now`);
    });
  if (isSource) return failed;
  attempt('manual pages', () => removeManuals(host, SOURCE));
  try {
    replaceByLink(libraryOf(SOURCE), PATHS.library);
    replaceByLink(`${SOURCE}/sbin/ovpn-killswitch`, PATHS.command);
    print(
      `The installation from source is part of the package now: ${libraryOf(SOURCE)} leads to it.`,
    );
  } catch (thrown) {
    failed.push(`${libraryOf(SOURCE)}: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
  return failed;
}

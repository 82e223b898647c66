import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Prefix } from '../host/paths.ts';

/** Returns the folder of the programs under a prefix. */
export const libraryOf = (prefix: Prefix) => `${prefix}/lib/ovpn-killswitch`;

/** A package ships this file beside its programs: it names the kind of package. */
export const PACKAGE_MARKER = `${libraryOf('/usr')}/package`;

/** Keyed by the word in the marker. */
const REMOVAL: ReadonlyMap<string, string> = new Map([
  ['deb', 'sudo apt remove ovpn-killswitch'],
  ['rpm', 'sudo rpm -e ovpn-killswitch'],
  ['arch', 'sudo pacman -R ovpn-killswitch'],
]);

/** Returns the command that removes the installed package; undefined where none is installed. */
export function packageRemoval(host: Host): string | undefined {
  const kind = host.read(PACKAGE_MARKER)?.trim();
  if (kind === undefined) return undefined;
  return REMOVAL.get(kind) ?? 'remove ovpn-killswitch with your package manager';
}

/** Whether an installation from source is there; the link that a package left does not count. */
export function hasSourceInstallation(host: Host): boolean {
  const program = `${libraryOf('/usr/local')}/cli.js`;
  return host.exists(program) && host.place(program) === program;
}

/**
 * Refuses a second copy: each would have hooks, a boot script and a way back of its own.
 * @param prefix The prefix of the installing program.
 * @param from The folder of the installing program.
 * @throws KillswitchError FILES where another package is installed, or where an installation from
 * source is in the way of programs that no package has placed.
 */
export function refuseOtherInstallation(host: Host, prefix: Prefix, from: string): void {
  const removal = packageRemoval(host);
  if (removal !== undefined && from !== libraryOf('/usr'))
    throw new KillswitchError(
      'FILES',
      `a package of ovpn-killswitch is installed in ${libraryOf('/usr')}: nothing was changed`,
      `Keep it, and upgrade it as a package. Or remove it, then install again: ${removal}`,
    );
  if (prefix === '/usr' && from !== libraryOf('/usr') && hasSourceInstallation(host))
    throw new KillswitchError(
      'FILES',
      `ovpn-killswitch is installed from source in ${libraryOf('/usr/local')}: nothing was changed`,
      'Keep it. Or uninstall it first, which opens this machine: sudo /usr/local/sbin/ovpn-killswitch uninstall',
    );
}

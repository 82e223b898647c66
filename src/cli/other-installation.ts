import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Prefix } from '../host/paths.ts';

/** The folder of the programs under a prefix. */
export const libraryOf = (prefix: Prefix) => `${prefix}/lib/ovpn-killswitch`;

/** Shipped by a package beside its programs: the word for the kind of package it is. */
export const PACKAGE_MARKER = `${libraryOf('/usr')}/package`;

/** By the word in the marker. */
const REMOVAL: ReadonlyMap<string, string> = new Map([
  ['deb', 'sudo apt remove ovpn-killswitch'],
  ['rpm', 'sudo rpm -e ovpn-killswitch'],
  ['arch', 'sudo pacman -R ovpn-killswitch'],
]);

/** How the package that is installed here is removed; undefined where none is. */
export function packageRemoval(host: Host): string | undefined {
  const kind = host.read(PACKAGE_MARKER)?.trim();
  if (kind === undefined) return undefined;
  return REMOVAL.get(kind) ?? 'remove ovpn-killswitch with your package manager';
}

/**
 * Refuses a second copy: each would have hooks, a boot script and a way back of its own.
 * @param prefix Where the program that installs belongs.
 * @param from The folder that it lies in.
 * @throws KillswitchError FILES where a package is installed that this program is not of, or where
 * an installation from source is in the way of a package.
 */
export function refuseOtherInstallation(host: Host, prefix: Prefix, from: string): void {
  const removal = packageRemoval(host);
  if (removal !== undefined && from !== libraryOf('/usr'))
    throw new KillswitchError(
      'FILES',
      `a package of ovpn-killswitch is installed in ${libraryOf('/usr')}: nothing was changed`,
      `Keep it, and upgrade it as a package. Or remove it, then install again: ${removal}`,
    );
  if (prefix === '/usr' && host.exists(`${libraryOf('/usr/local')}/cli.js`))
    throw new KillswitchError(
      'FILES',
      `ovpn-killswitch is installed from source in ${libraryOf('/usr/local')}: nothing was changed`,
      'Keep it. Or uninstall it first, which opens this machine: sudo /usr/local/sbin/ovpn-killswitch uninstall',
    );
}

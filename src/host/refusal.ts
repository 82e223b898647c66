import { KillswitchError } from '../errors.ts';
import { printable } from '../net/printable.ts';
import { shellWord } from '../net/shell-word.ts';
import type { Distrust } from './distrust.ts';

/** Folders of the system, whose permissions are corrected in place. A home belongs to its owner. */
const SYSTEM = /^\/(etc|run|usr|var\/(lib|log))\//;
const STICKY = 0o1000;

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

function faultText(
  path: string,
  { at, uid, mode, kind }: Distrust,
  account: string | undefined,
): string {
  const [file, place] = [printable(path), printable(at)];
  const who = account === undefined ? `uid ${uid}` : `${printable(account)} (uid ${uid})`;
  switch (kind) {
    case 'owner':
      return at === path
        ? `${file} belongs to ${who}, who can change it`
        : `${place} belongs to ${who}, who can change what ${file} is`;
    case 'writable':
      return at === path
        ? `non-root users can write to ${file} (mode ${octal(mode)})`
        : `non-root users can write to ${place} (mode ${octal(mode)}), and so change what ${file} is`;
    case 'link':
      return `${place} is a symbolic link of ${who}, who can lead it anywhere`;
    case 'names':
      return `${place} of ${who} has a second name (a hard link), and non-root users can have given it one`;
    default:
      return kind satisfies never;
  }
}

function fixText({ at, mode, kind }: Distrust): string {
  const elsewhere =
    'Keep the file in a folder that only root can write to, such as /etc/openvpn/client.';
  if (!SYSTEM.test(`${at}/`) || (mode & STICKY) !== 0) return elsewhere;
  switch (kind) {
    case 'owner':
      return `Look at what is in it, then: sudo chown root:root ${shellWord(at)}`;
    case 'writable':
      return `Look at what is in it, then: sudo chmod go-w ${shellWord(at)}`;
    case 'link':
      return `See where it leads, then: sudo rm ${shellWord(at)}`;
    case 'names':
      return `Look at what is in it, then: sudo rm ${shellWord(at)}`;
    default:
      return kind satisfies never;
  }
}

/**
 * Returns the error for a path that others than root control. `account` names the owner of the
 * entry at fault.
 */
export function refusal(
  path: string,
  distrust: Distrust,
  account: string | undefined,
): KillswitchError {
  return new KillswitchError('OWNER', faultText(path, distrust, account), fixText(distrust));
}

import { KillswitchError } from '../errors.ts';
import type { Files } from '../host/files.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { forgetBefore, keepBefore, readBefore } from './resolv-conf-before.ts';
import { isOurs, resolvConfText } from './resolv-conf-text.ts';
import type { Strategy } from './strategy.ts';

/**
 * Returns the file that /etc/resolv.conf leads to.
 * @throws KillswitchError RESOLVERS when the link leads nowhere: only the link's owner may create
 * its target.
 */
function placeOf(files: Files): string {
  const place = files.place(PATHS.resolvConf) ?? PATHS.resolvConf;
  if (place === PATHS.resolvConf || files.exists(place)) return place;
  throw new KillswitchError(
    'RESOLVERS',
    `${PATHS.resolvConf} leads to ${place}, which is not there`,
    `Start the program that writes ${place}, or replace the link by a file.`,
  );
}

/**
 * Writes a file, new or not. Root is refused (EPERM) only by a flag of the file, or by a security
 * module.
 */
function put(files: Files, place: string, content: string | Uint8Array): void {
  try {
    files.rewrite(place, content);
  } catch (thrown) {
    if (
      !(thrown instanceof KillswitchError) ||
      !thrown.detail.some((line) => line.includes('EPERM'))
    )
      throw thrown;
    throw new KillswitchError(
      'RESOLVERS',
      `${place} is immutable: the system still asks the resolvers that it names`,
      `Remove the flag: chattr -i ${place}. To keep it, set KILLSWITCH_RESOLVER=off.`,
      thrown.detail,
      { cause: thrown },
    );
  }
}

/**
 * Restores the kept file, unless another program or person has written there since: then that text
 * stays.
 */
export function giveBack(files: Files): void {
  const before = readBefore(files);
  if (before === undefined) return;
  const text = readAnybodys(files, before.place);
  if (isOurs(text) || text === before.written) {
    if (before.bytes === undefined) files.remove(before.place);
    else put(files, before.place, before.bytes);
  }
  forgetBefore(files);
}

/**
 * Writes /etc/resolv.conf as a file that no program generates. Keeps the previous file before the
 * first change.
 */
export const resolvConfFile: Strategy = {
  title: PATHS.resolvConf,
  inUse: (host) => {
    const before = readBefore(host);
    return before !== undefined && before.written === undefined;
  },
  differences: (host, demands) =>
    readAnybodys(host, PATHS.resolvConf) === resolvConfText(demands)
      ? []
      : [`${PATHS.resolvConf} is not as it was written for the tunnel`],
  set: (host, demands) => {
    const place = placeOf(host);
    // The link leads elsewhere now: restore the file at the old place.
    if (readBefore(host)?.place !== place) giveBack(host);
    if (readBefore(host) === undefined || !isOurs(readAnybodys(host, place)))
      keepBefore(host, place);
    put(host, place, resolvConfText(demands));
  },
  restore: giveBack,
};

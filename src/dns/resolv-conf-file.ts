import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { readAnybodys } from '../machine/read-anybodys.ts';
import { forgetBefore, keepBefore, readBefore } from './resolv-conf-before.ts';
import { isOurs, resolvConfText } from './resolv-conf-text.ts';
import type { Strategy } from './strategy.ts';

/**
 * Where /etc/resolv.conf leads.
 * @throws KillswitchError RESOLVERS when that is nowhere: a link's target is its owner's to make.
 */
function placeOf(host: Host): string {
  const place = host.place(PATHS.resolvConf) ?? PATHS.resolvConf;
  if (place === PATHS.resolvConf || host.exists(place)) return place;
  throw new KillswitchError(
    'RESOLVERS',
    `${PATHS.resolvConf} leads to ${place}, which is not there`,
    `Start what makes ${place}, or put a file in place of the link.`,
  );
}

/**
 * Writes a file that is there or is not. Root is refused (EPERM) only by a flag of the file, or by
 * a security module.
 */
function put(host: Host, place: string, content: string | Uint8Array): void {
  try {
    host.rewrite(place, content);
  } catch (thrown) {
    if (
      !(thrown instanceof KillswitchError) ||
      !thrown.detail.some((line) => line.includes('EPERM'))
    )
      throw thrown;
    throw new KillswitchError(
      'RESOLVERS',
      `${place} is immutable: the system goes on asking whom it names`,
      `Take the flag away, if it is not yours: chattr -i ${place}. Or say KILLSWITCH_RESOLVER=off.`,
      thrown.detail,
      { cause: thrown },
    );
  }
}

/** Puts back what was kept, unless somebody else has written there since: then theirs stays. */
export function giveBack(host: Host): void {
  const before = readBefore(host);
  if (before === undefined) return;
  const text = readAnybodys(host, before.place);
  if (isOurs(text) || text === before.written) {
    if (before.bytes === undefined) host.remove(before.place);
    else put(host, before.place, before.bytes);
  }
  forgetBefore(host);
}

/**
 * /etc/resolv.conf as a file that nobody else generates. What was there is kept before the first
 * change.
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
    // Somebody has led it elsewhere since.
    if (readBefore(host)?.place !== place) giveBack(host);
    if (readBefore(host) === undefined || !isOurs(readAnybodys(host, place)))
      keepBefore(host, place);
    put(host, place, resolvConfText(demands));
  },
  restore: giveBack,
};

import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { installedBackends } from '../machine/world.ts';
import { printable } from '../net/printable.ts';

/** Where the state after an error is of no interest: nothing was tried. */
const NOTHING_TRIED: readonly string[] = ['USAGE', 'NOT_ROOT'];

function anyRules(host: Host): boolean {
  return installedBackends(host).some((backend) => backend.survey(backend.look.map((command) => host.run(command))).present);
}

/**
 * What the kernel holds after a command that failed, in one line; undefined where nothing was tried. Read anew: what an error stands for
 * in general says nothing of this machine.
 */
export function stateNow(host: Host, { code }: KillswitchError): string | undefined {
  if (NOTHING_TRIED.includes(code)) return undefined;
  try {
    return anyRules(host)
      ? 'State now: rules of ovpn-killswitch are loaded. "ovpn-killswitch status" says whether they are exact.'
      : 'State now: OPEN. No rule of ovpn-killswitch is loaded, and every packet leaves.';
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
    return `State now: unknown. ${printable(thrown.message)}.`;
  }
}

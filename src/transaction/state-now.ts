import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { installedBackends } from '../machine/world.ts';
import { printable } from '../net/printable.ts';

/** Where the state after an error is of no interest: nothing was tried. */
const NOTHING_TRIED: readonly string[] = ['USAGE', 'NOT_ROOT'];

/** A hook that has failed keeps OpenVPN waiting. */
const LOOK_MILLISECONDS = 2_000;

/**
 * What the packet filters say, without the backend that the settings name: a failed command may
 * have been about that.
 */
function found(host: Host): string {
  const surveys = installedBackends(host).map((backend) =>
    backend.survey(
      backend.look.map((command) => host.run({ ...command, milliseconds: LOOK_MILLISECONDS })),
    ),
  );
  if (surveys.some(({ present }) => present))
    return 'rules of ovpn-killswitch are loaded. "ovpn-killswitch status" says whether they are exact.';
  // Somebody else's, or what the script `boot` leaves when it can load no rules.
  if (surveys.some(({ policies }) => policies.some(({ policy }) => policy === 'DROP')))
    return 'no rule of ovpn-killswitch is loaded, but a chain policy of iptables is DROP. "iptables -S" shows it.';
  return 'OPEN. No rule of ovpn-killswitch is loaded.';
}

/**
 * What the kernel holds after a command that failed, in one line; undefined where nothing was
 * tried. Read anew: what an error stands for in general says nothing of this machine.
 */
export function stateNow(host: Host, { code }: KillswitchError): string | undefined {
  if (NOTHING_TRIED.includes(code)) return undefined;
  try {
    return `State now: ${found(host)}`;
  } catch (thrown) {
    if (!(thrown instanceof KillswitchError)) throw thrown;
    return `State now: unknown. ${printable(thrown.message)}.`;
  }
}

import { asKillswitchError, explainError, type KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { stateNow } from '../machine/kernel-state.ts';
import type { HookEvent } from '../tunnel/hook-event.ts';
/**
 * Limit of refused values in one log entry: a server can send thousands at each reconnect and must
 * not fill the disk.
 */
export const MOST_REFUSED = 20;

type TunnelUp = Extract<HookEvent, { kind: 'tunnel-up' }>;

/** Logs the values of a server or of OpenVPN that were refused. */
export function logRefused(
  host: Host,
  { refused, tunnel }: Pick<TunnelUp, 'refused' | 'tunnel'>,
): void {
  if (refused.length === 0) return;
  const shown = refused
    .slice(0, 4)
    .map(({ variable, value, why }) => `${variable} "${value}" is ${why}`);
  const more = refused.length > shown.length ? `, and ${refused.length - shown.length} more` : '';
  host.log({
    level: 'warn',
    event: 'value-refused',
    message: `${tunnel.device}: ignored a value from the server or OpenVPN: ${shown.join('; ')}${more}`,
    fields: {
      device: tunnel.device,
      refused: refused.slice(0, MOST_REFUSED),
      count: refused.length,
    },
  });
}

/** Runs `work`. Logs its error and returns it. */
export function logged(host: Host, work: () => void): KillswitchError | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    const error = asKillswitchError(thrown);
    const now = host.mayChangeRules() ? stateNow(host, error) : undefined;
    for (const line of explainError(error, now))
      host.log({ level: 'error', event: 'failed', message: line, fields: { code: error.code } });
    return error;
  }
}

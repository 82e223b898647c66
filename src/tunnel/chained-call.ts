import { THEN } from './attachment.ts';
import type { HookInput } from './from-openvpn.ts';
import type { HookName } from './hook-event.ts';

/**
 * What OpenVPN appends to the words of the profile's line: six arguments for up and down, none for
 * route-up (openvpn(8)).
 */
const APPENDED: Readonly<Record<HookName, number>> = { up: 6, down: 6, 'route-up': 0 };

/**
 * A hook's own input, and the command that it calls in turn: with OpenVPN's arguments, as OpenVPN
 * would have called it.
 */
export interface ChainedCall {
  readonly input: HookInput;
  readonly command: readonly string[] | undefined;
}

/**
 * Takes `--then COMMAND [ARGUMENT…]`, which `attach` writes into the profile, from what OpenVPN
 * appended.
 */
export function readChainedCall(hook: HookName, { argv, env }: HookInput): ChainedCall {
  const [then, ...command] = argv;
  if (then !== THEN) return { input: { argv, env }, command: undefined };
  // The down-root plugin appends nothing; what OpenVPN appends ends with the context.
  const appended = /^(init|restart)$/.test(command.at(-1) ?? '') ? APPENDED[hook] : 0;
  const own = appended === 0 ? [] : command.slice(-appended);
  return { input: { argv: own, env }, command: command.length > own.length ? command : undefined };
}

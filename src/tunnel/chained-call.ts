import { THEN } from './attachment.ts';
import type { HookInput } from './from-openvpn.ts';
import type { HookName } from './hook-event.ts';

/**
 * How many arguments OpenVPN appends to the words of the profile's line: six for up and down, none
 * for route-up (openvpn(8)).
 */
const APPENDED: Readonly<Record<HookName, number>> = { up: 6, down: 6, 'route-up': 0 };

/**
 * A hook's own input, and the command that it calls in turn, with the arguments that OpenVPN would
 * have given it.
 */
export interface ChainedCall {
  readonly input: HookInput;
  readonly command: readonly string[] | undefined;
}

/**
 * Separates `--then COMMAND [ARGUMENT…]`, which `attach` writes into the profile, from the
 * arguments that OpenVPN appended.
 */
export function readChainedCall(hook: HookName, { argv, env }: HookInput): ChainedCall {
  const [then, ...command] = argv;
  if (then !== THEN) return { input: { argv, env }, command: undefined };
  // The down-root plugin appends nothing; arguments that OpenVPN appends end with the context.
  const appended = /^(init|restart)$/.test(command.at(-1) ?? '') ? APPENDED[hook] : 0;
  const own = appended === 0 ? [] : command.slice(-appended);
  return { input: { argv: own, env }, command: command.length > own.length ? command : undefined };
}

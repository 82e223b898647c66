import type { HookInput } from './from-openvpn.ts';

/**
 * How the names of all variables begin that a rule depends on; others may hold secrets. For RegExp
 * and for the extended expressions of grep(1) alike.
 */
export const TOLD =
  '^(dev|config|daemon_pid|local_port|script_context|trusted|remote|proto|ifconfig|route|net_gateway|foreign|dns)';

/**
 * What rules depend on of all that OpenVPN tells a hook, as proc(5) has it in `environ`: the same
 * for `up` and `route-up` of one connection. src/launch/route-up.sh makes the same text.
 */
export function toldText(env: HookInput['env']): string {
  let text = '';
  for (const name in env) if (RegExp(TOLD).test(name)) text += `${name}=${env[name]}\0`;
  return text;
}

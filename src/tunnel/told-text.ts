import type { HookInput } from './from-openvpn.ts';

/**
 * Matches the beginning of each variable that a rule depends on; others may hold secrets. RegExp
 * and the extended expressions of grep(1) read it alike.
 */
export const TOLD =
  '^(dev|config|daemon_pid|local_port|script_context|trusted|remote|proto|ifconfig|route|net_gateway|foreign|dns)';

/**
 * Returns, of all that OpenVPN tells a hook, the variables that rules depend on, in the form of
 * `environ` in proc(5). The text is the same for `up` and `route-up` of one connection.
 * src/launch/route-up.sh makes the same text.
 */
export function toldText(env: HookInput['env']): string {
  let text = '';
  for (const name in env) if (RegExp(TOLD).test(name)) text += `${name}=${env[name]}\0`;
  return text;
}

import type { HookInput } from './from-openvpn.ts';

/** What tells `route-up` from `up`; no rule depends on either (openvpn init.c, do_route). */
const OTHER = ['script_type', 'redirect_gateway'];

/**
 * All else that OpenVPN tells a hook, as proc(5) has it in `environ`: the same for `up` and
 * `route-up` of one connection. src/launch/route-up.sh makes the same text.
 */
export function toldText(env: HookInput['env']): string {
  return Object.entries(env)
    .filter(([name]) => !OTHER.includes(name))
    .map(([name, value]) => `${name}=${value}\0`)
    .join('');
}

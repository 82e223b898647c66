import { BOOT_SCRIPT } from './boot-script.ts';
import type { BootStrategy } from './boot-strategy.ts';

export const PLUGINS = '/usr/share/netfilter-persistent/plugins.d';

/** Plugins run in the order of their names: this one after those that restore what was saved (15-ip4tables, 25-ip6tables). */
const PLUGIN = `#!/bin/sh
# Loads the base rules of the VPN kill switch over what the plugins before this one have restored or flushed.
# It saves nothing: what a save has caught of a live tunnel is replaced when this runs.
case \${1:-} in
  start | restart | reload | force-reload | flush) exec ${BOOT_SCRIPT} ;;
esac
exit 0
`;

export const netfilterPersistent: BootStrategy = {
  name: 'netfilter-persistent',
  loader: 'netfilter-persistent, after the rules that it restores',
  plan: () => ({
    files: [{ path: `${PLUGINS}/50-ovpn-killswitch`, text: PLUGIN, mode: 0o755 }],
    commands: [],
    links: [],
    notes: [
      'It is on only while netfilter-persistent itself is started at boot.',
      '"netfilter-persistent reload" and "flush" load the base rules too: a tunnel that is up stands still until its next hook or "lock".',
    ],
  }),
};

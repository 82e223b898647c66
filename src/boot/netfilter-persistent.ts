import { KillswitchError } from '../errors.ts';
import { BOOT_SCRIPT } from './boot-script.ts';
import type { BootFile, BootStrategy } from './boot-strategy.ts';

export const PLUGINS = '/usr/share/netfilter-persistent/plugins.d';
export const PLUGIN_FILE = `${PLUGINS}/50-ovpn-killswitch`;

/**
 * Plugins run in the order of their names: this one runs after those that restore saved rules
 * (15-ip4tables, 25-ip6tables).
 */
const PLUGIN = `#!/bin/sh
# Loads the base rules of the VPN kill switch over what the plugins before this one have restored or flushed.
# It saves nothing: what a save has caught of a live tunnel is replaced when this runs.
case \${1:-} in
  start | restart | reload | force-reload | flush) exec ${BOOT_SCRIPT} --restored ;;
esac
exit 0
`;

/** The plugin as a file of a plan: of this strategy, and of those that run beside it. */
export const PLUGIN_PLACED: BootFile = { path: PLUGIN_FILE, text: PLUGIN, mode: 0o755 };

/**
 * Its systemd unit starts before the network; its script for other init systems starts after it
 * (docs/decisions/0032).
 */
const LATE =
  'Without systemd it is started after the network: until then the machine is open. See "boot enable --with plain".';

export const netfilterPersistent: BootStrategy = {
  name: 'netfilter-persistent',
  loader: 'netfilter-persistent, after the rules that it restores',
  plan: ({ exists }) => {
    if (exists('/run/openrc/softlevel'))
      throw new KillswitchError(
        'NO_BOOT',
        'OpenRC starts netfilter-persistent after the network: until then this machine would be open',
        'Leave "--with" out: "ovpn-killswitch boot enable" makes a service of OpenRC before the network.',
      );
    return {
      files: [PLUGIN_PLACED],
      commands: [],
      links: [],
      notes: [
        'It is on only while netfilter-persistent itself is started at boot.',
        '"netfilter-persistent reload" and "flush" load the base rules too: a tunnel that is up stands still until its next hook or "lock".',
        ...(exists('/run/systemd/system') ? [] : [LATE]),
      ],
    };
  },
};

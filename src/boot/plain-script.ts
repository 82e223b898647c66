import { BOOT_SCRIPT } from './boot-script.ts';
import type { BootStrategy } from './boot-strategy.ts';

/**
 * For any other init: three lines for a script of the machine's own, where it starts the network.
 */
export const plainScript: BootStrategy = {
  name: 'plain',
  loader: `your own boot script, if it calls ${BOOT_SCRIPT}`,
  plan: () => ({
    files: [],
    commands: [],
    links: [],
    notes: [
      'Put these lines where your system starts, after its file systems are mounted and before its network (runit: /etc/runit/1):',
      `  if ! ${BOOT_SCRIPT}; then`,
      '    exec /bin/sh  # no rules could be loaded: do not start the network',
      '  fi',
    ],
  }),
};

import type { Command } from '../host/command.ts';

/**
 * Names every drop-in of this product for a systemd unit: the script `recover` recognizes them by
 * it.
 */
export const DROP_IN = 'ovpn-killswitch-boot.conf';

/**
 * Makes systemd reload its units and drop-ins. A busy systemd takes long: half a minute at boot.
 */
export const DAEMON_RELOAD: Command = {
  program: 'systemctl',
  args: ['daemon-reload'],
  milliseconds: 60_000,
};

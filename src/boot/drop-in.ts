import type { Command } from '../host/command.ts';

/**
 * The name of every drop-in of ours for a unit of systemd: the script `recover` knows them by it.
 */
export const DROP_IN = 'ovpn-killswitch-boot.conf';

/**
 * Has systemd read its units and drop-ins again. A busy one takes its time, at boot half a minute.
 */
export const DAEMON_RELOAD: Command = {
  program: 'systemctl',
  args: ['daemon-reload'],
  milliseconds: 60_000,
};

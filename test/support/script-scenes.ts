import type { Ran } from '../../src/host/sandbox.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { CONNECT, CRASH, deleteDevice, dispatch, keepConnection, UUID } from '../hooks/dispatch.ts';
import { LIBRARY, type Machine, must, STATE } from '../hooks/installed-machine.ts';
import { hideHere, mountHere } from '../hooks/obstacles.ts';

/** One call of the boot script, and the state that it meets. */
export interface BootScene {
  readonly state: string;
  prepare?(it: Machine): void;
  readonly call: readonly string[];
}

const BOOT = `${LIBRARY}/boot`;
const FILTERS = ['', '-nft', '-legacy'].flatMap((kind) =>
  ['iptables', 'ip6tables'].flatMap((tool) => [`${tool}${kind}-save`, `${tool}${kind}-restore`]),
);

/** Keeps the loud messages of the script inside of the machine. */
function hush(it: Machine): void {
  it.write('/run/hushed', '#!/bin/sh\n');
  must(it.run('chmod', '755', '/run/hushed'));
  mountHere(it, '/usr/bin/wall', '--bind', '/run/hushed');
  mountHere(it, '/dev/kmsg', '--bind', '/dev/null');
}

/** Locks, then takes the rules away, as a reboot does. */
function lockAndReboot(it: Machine): void {
  must(it.command('lock', '--force'));
  must(it.run('nft', 'flush', 'ruleset'));
  hush(it);
}

/** Calls of the boot script, one for each text that a machine without an init system can show. */
export const BOOT_SCENES: readonly BootScene[] = [
  { state: 'at boot, locked', prepare: lockAndReboot, call: [BOOT] },
  {
    state: 'while a tunnel is live',
    prepare: (it) => {
      must(it.command('lock', '--force'));
      must(it.hook('up', tunnelCall('tun0')));
    },
    call: [BOOT],
  },
  {
    state: 'at boot, with damaged base rules',
    prepare: (it) => {
      lockAndReboot(it);
      must(it.sh(`echo damaged >>${STATE}/base.nft`));
    },
    call: [BOOT],
  },
  {
    state: 'at boot, where no tool can load rules',
    prepare: (it) => {
      lockAndReboot(it);
      hideHere(it, 'nft', ...FILTERS);
      // The folders are covered anew: so is what was mounted in them.
      hush(it);
    },
    call: [BOOT],
  },
  { state: 'kernel settings that were not written', call: [BOOT, '--sysctl'] },
  {
    state: 'without root',
    call: ['setpriv', '--reuid', '65534', '--clear-groups', BOOT],
  },
  { state: 'an argument that it does not have', call: [BOOT, '--nonsense'] },
];

/** One call of NetworkManager's dispatcher, and the state that it meets. */
export interface DispatcherScene {
  readonly state: string;
  readonly argv: readonly string[];
  run(it: Machine): Ran;
}

const vpnUp = (it: Machine) => dispatch(it, CONNECT);

/** Calls of NetworkManager's dispatcher; a device is there and the machine is locked. */
export const DISPATCHER_SCENES: readonly DispatcherScene[] = [
  { state: 'pre-up of a VPN', argv: CONNECT.argv, run: vpnUp },
  {
    state: 'the end of a VPN whose OpenVPN was killed',
    argv: CRASH.argv,
    run: (it) => {
      must(vpnUp(it));
      deleteDevice(it);
      return dispatch(it, CRASH);
    },
  },
  {
    state: 'pre-up of a connection that is another VPN than OpenVPN',
    argv: CONNECT.argv,
    run: (it) => {
      keepConnection(it, UUID, 'vpnc');
      return vpnUp(it);
    },
  },
  {
    state: 'pre-up of a connection without a keyfile',
    argv: CONNECT.argv,
    run: (it) => {
      must(it.sh(`rm /etc/NetworkManager/system-connections/${UUID}.nmconnection`));
      return vpnUp(it);
    },
  },
  {
    state: 'a call without the variables of NetworkManager',
    argv: CONNECT.argv,
    run: (it) => dispatch(it, { argv: CONNECT.argv, env: {} }),
  },
  {
    state: 'pre-up of a VPN while the machine is unlocked',
    argv: CONNECT.argv,
    run: (it) => {
      must(it.command('unlock'));
      return vpnUp(it);
    },
  },
];

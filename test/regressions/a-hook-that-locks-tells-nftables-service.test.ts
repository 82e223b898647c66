import { beforeEach, expect, test } from 'vitest';
import { NFTABLES_DROP_IN_NOW } from '../../src/boot/nftables-service.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { addDevice, CONNECT, dispatch, installForNetworkManager } from '../hooks/dispatch.ts';
import { STATE, useMachine } from '../hooks/installed-machine.ts';

const UNIT = '/etc/systemd/system/nftables.service';

/** A machine that looks as if systemd ran it; its systemctl only ends well. */
const machine = useMachine((fresh) => {
  installForNetworkManager(fresh);
  fresh.settings('KILLSWITCH_BACKEND=nftables', 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp');
  fresh.write(UNIT, '[Service]\nType=oneshot\nExecStop=/usr/sbin/nft flush ruleset\n');
  fresh.sh(
    'mkdir -p /run/systemd/system; printf "#!/bin/sh\\n" >/usr/local/sbin/systemctl; chmod 755 /usr/local/sbin/systemctl',
  );
  fresh.sh(
    '[ ! -e /usr/bin/systemctl ] || mount --bind /usr/local/sbin/systemctl /usr/bin/systemctl',
  );
});

beforeEach(() => {
  machine().command('unlock');
  machine().sh(`rm -f ${STATE}/lock.json`);
});

test.each([
  ['up', () => machine().hook('up', tunnelCall('tun0'))],
  [
    'the dispatcher',
    () => {
      addDevice(machine());
      return dispatch(machine(), CONNECT);
    },
  ],
])('when %s locks a machine that nobody has decided about, nftables.service is told', (_, run) => {
  expect(machine().exists(NFTABLES_DROP_IN_NOW)).toBe(false);
  const logged = machine().logMark();
  const { stderr } = run();
  expect(logged().map(({ event }) => event)).toEqual(
    expect.arrayContaining(['locked', 'nftables-service']),
  );
  expect(machine().status(), stderr).toMatchObject({ state: 'connected' });
  expect(machine().read(NFTABLES_DROP_IN_NOW)).toContain('ExecStop=/usr/sbin/nft');
});

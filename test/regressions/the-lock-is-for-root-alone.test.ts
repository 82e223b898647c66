import { beforeEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { BACKENDS, must, useMachine } from '../hooks/installed-machine.ts';

const RUN = '/run/ovpn-killswitch';
const BOOT = '/usr/local/lib/ovpn-killswitch/boot';
describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) =>
    fresh.settings(`KILLSWITCH_BACKEND=${backend}`, 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp'),
  );

  beforeEach(() => {
    machine().sh(`rm -rf ${RUN}`);
  });

  const open = (path: string) =>
    machine().sh(
      `setpriv --reuid=12345 --clear-groups true && setpriv --reuid=12345 --clear-groups sh -c 'exec 9<${path}'`,
    ).status;

  test.each(['boot', 'boot again', 'lock'])(
    'after %s under umask 000 no user can open the lock, or write beside it',
    (what) => {
      if (what !== 'lock') machine().sh(`umask 000; ${BOOT}`);
      if (what === 'boot again') machine().sh(`umask 000; ${BOOT}`);
      if (what === 'lock') machine().sh('umask 000; /usr/local/sbin/ovpn-killswitch lock');
      expect(machine().sh(`find ${RUN} -perm /022 ! -type l`).stdout).toBe('');
      expect(
        machine().sh(`[ ! -e ${RUN}/lock ] || stat -c '%u %a' ${RUN}/lock`).stdout.trim(),
      ).toMatch(/^$|^0 600$/);
      expect(open(`${RUN}/lock`)).not.toBe(0);
    },
  );

  test('a user who holds a lock that was readable keeps nobody waiting', () => {
    machine().sh(`mkdir -p -m 755 ${RUN}; touch ${RUN}/lock; chmod 644 ${RUN}/lock`);
    machine().sh(
      `setpriv --reuid=12345 --clear-groups flock -s ${RUN}/lock sleep 30 >/dev/null 2>&1 & sleep 0.5`,
    );
    const { status, stdout, stderr } = machine().run(
      'timeout',
      '15',
      '/usr/local/sbin/ovpn-killswitch',
      'lock',
    );
    expect(status, stdout + stderr).toBe(0);
    expect(machine().sh(`stat -c '%u %a' ${RUN}/lock`).stdout.trim()).toBe('0 600');
  });

  /** A user holds the lock's file as an earlier "boot" made it, for as long as the test takes. */
  const heldByUser = () =>
    machine().sh(
      `mkdir -p -m 755 ${RUN}; touch ${RUN}/lock; chmod 644 ${RUN}/lock; setpriv --reuid=12345 --clear-groups flock -s ${RUN}/lock sleep 60 >/dev/null 2>&1 & sleep 0.5`,
    );

  test('a user who holds it keeps no VPN from connecting', () => {
    must(machine().command('lock'));
    // Without the word of the last transaction a hook needs the lock.
    machine().sh(`rm -f ${RUN}/lock ${RUN}/last-transaction`);
    heldByUser();
    const up = machine().hook('up', tunnelCall('tun0'));
    expect(up.status, up.stderr).toBe(0);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true });
    must(machine().hook('down', tunnelCall('tun0')));
  });

  test('a user who holds it keeps no "unlock --for" from locking again', async () => {
    must(machine().command('lock'));
    must(machine().command('unlock', '--for', '2s'));
    machine().sh(`rm -f ${RUN}/lock`);
    heldByUser();
    await expect
      .poll(() => machine().status(), { timeout: patiently(30_000), interval: 500 })
      .toMatchObject({ state: 'blocked', exact: true });
  });

  test('a user who holds it keeps no watch from putting rules back', async () => {
    must(machine().command('lock'));
    machine().sh(`rm -f ${RUN}/lock`);
    heldByUser();
    machine().sh('nft flush ruleset');
    const watch = machine().sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'watch']);
    try {
      await expect
        .poll(() => machine().status(), { timeout: patiently(30_000), interval: 500 })
        .toMatchObject({ state: 'blocked', exact: true });
    } finally {
      watch.kill();
    }
  });

  test('a tunnel that a user wrote into a folder that anybody can write to opens nothing', () => {
    machine().command('lock');
    machine().sh(`mkdir -p ${RUN}/tunnels; chmod 777 ${RUN}/tunnels`);
    const tunnel = JSON.stringify({
      version: 1,
      device: 'eth0',
      endpoints: [],
      addresses: [],
      resolvers: [],
      searchDomains: [],
      networks: [],
      since: 1,
      daemon: null,
      deviceSeen: false,
      connection: null,
    });
    machine().sh(
      `setpriv --reuid=12345 --clear-groups sh -c 'echo "${tunnel.replaceAll('"', '\\"')}" >${RUN}/tunnels/eth0'`,
    );
    const { status, stderr } = machine().command('lock');
    expect(status).not.toBe(0);
    expect(stderr).toContain(`${RUN}/tunnels`);
    expect(stderr).toContain('chmod go-w');
    expect(JSON.stringify(machine().rules())).not.toContain('eth0');
  });
});

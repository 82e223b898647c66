import { describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { BACKENDS, LIBRARY, ran, STATE, useMachine } from '../hooks/installed-machine.ts';
import { oursInKernel } from '../support/far-host.ts';

const RUN = '/run/ovpn-killswitch';
const HOME = '/run/mallory';
const SECRET = '/etc/secret';
const USER = '61235';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => {
    fresh.settings(
      `KILLSWITCH_BACKEND=${backend}`,
      'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
      `KILLSWITCH_PROFILES=${HOME}/*.conf`,
    );
    fresh.command('lock');
    fresh.write(SECRET, 'SECRET-OF-ROOT\n');
  });

  test('uninstall gets to its end past FIFOs, links and files of a user wherever he could write, and says what it left', (context) => {
    const it = machine();
    if (!it.sandbox.hasOtherUsers) context.skip('there is no other user here');
    // An earlier "boot" under umask 000, an OpenVPN that ran as an account, and a resolv.conf in a
    // home.
    it.sh(
      `chmod 777 ${RUN}; mkdir -p ${HOME} ${RUN}/dns ${STATE}/dns; chown ${USER} ${HOME} ${RUN}/dns ${STATE}/dns ${STATE}/endpoints.json`,
    );
    it.run(
      ...['setpriv', '--reuid', USER, '--regid', USER, '--clear-groups', 'sh', '-c'],
      `cd ${HOME}; mkfifo fifo.conf; ln -s ${SECRET} link.conf; echo remote x >own.conf; mkfifo resolv.conf
      mkfifo ${RUN}/dns/place ${RUN}/tunnels.fifo ${STATE}/dns/written; ln -s ${SECRET} ${RUN}/boot.problem
      ln -s / ${RUN}/dns/root; mkdir -p ${RUN}/deep/a/b/c; echo ${SECRET} >${RUN}/dns/networkmanager; echo ${HOME}/resolv.conf >${STATE}/dns/place`,
    );
    const since = Date.now();
    const ended = it.sandbox.run([`${LIBRARY}/cli.js`, 'uninstall'], {
      milliseconds: patiently(110_000),
    });
    expect(ended.status, ran(ended)).toBe(0);
    expect((Date.now() - since) / 1000).toBeLessThan(60);
    expect(ended.stdout + ended.stderr).toContain(`LEFT: ${RUN}/dns/place is not read`);
    expect(oursInKernel(it)).toEqual([]);
    expect([LIBRARY, STATE, RUN].filter((path) => it.exists(path))).toEqual([]);
    expect(it.sh(`stat -c '%u %g' ${SECRET}; cat ${SECRET}; ls ${HOME}`).stdout).toBe(
      '0 0\nSECRET-OF-ROOT\nfifo.conf\nlink.conf\nown.conf\nresolv.conf\n',
    );
  });
});

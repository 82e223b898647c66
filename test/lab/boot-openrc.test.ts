import { describe, expect, test } from 'vitest';
import { installProduct } from '../../src/proof/product.ts';
import { DIST } from '../e2e/stage.ts';
import { builtRoot } from '../support/debian-root.ts';
import { machineWith } from '../support/machine.ts';

/** What the program openrc makes before its first runlevel; without it rc-service takes every service for one that is being started. */
const SOFTLEVEL = 'mkdir -p /run/openrc/exclusive /run/openrc/started /run/openrc/starting /run/openrc/failed; : >/run/openrc/softlevel';
const TOOLS = '/usr/sbin/nft /usr/sbin/iptables* /usr/sbin/ip6tables* /usr/sbin/xtables*';

/** A service that gives a network, as any system has one. */
const NETWORK = `printf '#!/sbin/openrc-run\\ndepend() {\\n\\tprovide net\\n}\\n' >/etc/init.d/uplink; chmod 755 /etc/init.d/uplink; rc-update add uplink default`;

/** The real OpenRC of Debian, its programs called by hand: it boots no machine here. */
describe('OpenRC', () => {
  const machine = machineWith(
    'nftables',
    async (sandbox) => {
      sandbox.run(['sh', '-c', `mount --bind /dev/null /dev/kmsg; ${SOFTLEVEL}; ${NETWORK}`]);
      const product = await installProduct(sandbox, DIST, 'KILLSWITCH_BACKEND=nftables\n');
      await product.must('lock', '--force');
      await product.must('boot', 'enable');
    },
    builtRoot('openrc-12'),
  );

  test('is found, and has the service in its runlevel, before every service that gives a network', (context) => {
    const it = machine.sandbox(context);
    const status = JSON.parse(it.run(['ovpn-killswitch', 'status', '--json']).stdout);
    expect(status.boot).toEqual({ with: 'openrc', sysctl: false, problems: [] });
    expect(it.run(['rc-update', 'show', 'sysinit']).stdout).toContain('ovpn-killswitch | sysinit');
    it.run(['rc-update', '-u']);
    const tree = it.run(['cat', '/run/openrc/deptree']).stdout;
    const [, number] = /^depinfo_(\d+)_service='net'$/m.exec(tree) ?? [];
    for (const fact of ["iafter_\\d+='ovpn-killswitch'", "providedby_\\d+='uplink'"])
      expect(tree).toMatch(new RegExp(`^depinfo_${number}_${fact}$`, 'm'));
  });

  test('loads the base with the service, does not open with its stop, and sees it fail where no rule can be loaded', (context) => {
    const it = machine.sandbox(context);
    const sh = (script: string) => it.run(['sh', '-c', script]);
    const table = () => sh('nft list table inet ovpn_killswitch').stdout;
    sh('nft flush ruleset; rm -rf /run/ovpn-killswitch');
    const started = it.run(['rc-service', '-D', 'ovpn-killswitch', 'start']);
    expect(started.status, started.stdout + started.stderr).toBe(0);
    expect(it.run(['ovpn-killswitch', 'status']).status).toBe(0);
    expect(it.run(['rc-service', '-D', 'ovpn-killswitch', 'stop']).status).toBe(0);
    expect(table()).toContain('policy drop');
    sh(`nft flush ruleset; for each in ${TOOLS}; do mv $each $each.away; done`);
    const failed = it.run(['rc-service', '-D', 'ovpn-killswitch', 'start']);
    expect(failed.status).not.toBe(0);
    expect(failed.stdout + failed.stderr).toContain('the network is off');
    expect(sh('ip rule; ip -6 rule').stdout.match(/1:\s+from all prohibit/g)).toHaveLength(2);
    sh('for each in /usr/sbin/*.away; do mv $each $(dirname $each)/$(basename $each .away); done');
    expect(it.run(['rc-service', '-D', 'ovpn-killswitch', 'start']).status).toBe(0);
    expect(sh('ip rule').stdout).not.toContain('prohibit');
  });

  test('knows it no more after boot disable', (context) => {
    const it = machine.sandbox(context);
    expect(it.run(['ovpn-killswitch', 'boot', 'disable']).status).toBe(0);
    expect(it.run(['rc-update', 'show', 'sysinit']).stdout).not.toContain('ovpn-killswitch');
    expect(it.run(['sh', '-c', 'ls /etc/init.d /etc/runlevels/*']).stdout).not.toContain('ovpn-killswitch');
  });
});

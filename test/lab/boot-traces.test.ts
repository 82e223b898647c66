import { dirname } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { STRATEGY_NAMES, type StrategyName } from '../../src/boot/boot-strategy.ts';
import { NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW } from '../../src/boot/nftables-service.ts';
import { MANUAL_PATHS } from '../../src/cli/manuals.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { tunnelCall } from '../hooks/captures.ts';
import {
  BUILT_COMMAND,
  installMachine,
  LIBRARY,
  LOG,
  type Machine,
  machineObstacle,
  must,
  SETTINGS,
  TUNNELS,
} from '../hooks/installed-machine.ts';
import { mountHere, undoAll } from '../hooks/obstacles.ts';
import { differences, TRACES } from '../support/traces.ts';

/** SSH sessions that the lock keeps open. */
const SESSIONS = '/run/ovpn-killswitch/ssh-sessions';
const COMMAND = '/usr/local/sbin/ovpn-killswitch';

/** Rules that somebody else has saved, and their settings of the service. */
const SAVED =
  '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n';
const configOf = (service: 'iptables' | 'ip6tables') =>
  ['STOP', 'RESTART'].map((job) => `${service.toUpperCase()}_SAVE_ON_${job}="yes"\n`).join('');

/**
 * The jobs of Red Hat's iptables.init and ip6tables.init, as their README and their settings
 * file say.
 */
const service = (job: 'start' | 'stop' | 'restart') => `set -e
for each in iptables ip6tables; do
  file=/etc/sysconfig/$each
  . $file-config
  case $each in
    iptables) on_stop=$IPTABLES_SAVE_ON_STOP on_restart=$IPTABLES_SAVE_ON_RESTART ;;
    ip6tables) on_stop=$IP6TABLES_SAVE_ON_STOP on_restart=$IP6TABLES_SAVE_ON_RESTART ;;
  esac
  save() { $each-save >$file.new; mv $file.new $file; }
  start() { [ ! -e $file ] || $each-restore $file; }
  stop() {
    for table in $($each-save | sed -n 's/^[*]//p'); do
      $each -t $table -F; $each -t $table -X
      for chain in INPUT FORWARD OUTPUT; do $each -t $table -P $chain ACCEPT 2>/dev/null || :; done
    done
  }
  case ${job} in
    start) start ;;
    stop) [ "$on_stop" != yes ] || save; stop ;;
    restart) [ "$on_restart" != yes ] || save; stop; start ;;
  esac
done`;

/**
 * A machine that looks to the product as if it had this way to boot; rc-update does what the real
 * one does (lab: boot-others).
 */
const WORLDS: Readonly<Record<StrategyName, string>> = {
  systemd: ':',
  plain: `mkdir -p /run/systemd/system
    if [ -e /usr/bin/systemctl ]; then mount --bind /bin/true /usr/bin/systemctl; else ln -s /bin/true /usr/local/sbin/systemctl; fi
    printf '[Service]\\nType=oneshot\\nExecStop=/usr/sbin/nft flush ruleset\\n' >/etc/systemd/system/nftables.service`,
  openrc: `printf '#!/bin/sh\\n[ "$1" = -u ] && exit 0\\nmkdir -p /etc/runlevels/$3 && ln -s /etc/init.d/$2 /etc/runlevels/$3/$2\\n' >/usr/local/sbin/rc-update
    chmod 755 /usr/local/sbin/rc-update; mkdir -p /etc/runlevels/sysinit /etc/init.d`,
  'netfilter-persistent': 'mkdir -p /usr/share/netfilter-persistent/plugins.d',
  sysconfig: `mkdir -p /etc/sysconfig; printf '${SAVED.replaceAll('\n', '\\n')}' >/etc/sysconfig/iptables; chmod 600 /etc/sysconfig/iptables
    ${(['iptables', 'ip6tables'] as const).map((each) => `printf '${configOf(each).replaceAll('\n', '\\n')}' >/etc/sysconfig/${each}-config`).join('; ')}`,
};

const traces = (it: Machine): string => must(it.sh(TRACES)).stdout;

const CELLS: readonly (readonly [StrategyName, BackendName])[] = STRATEGY_NAMES.map(
  (name, index) => [name, name === 'sysconfig' || index % 2 === 0 ? 'iptables' : 'nftables'],
);

/** A machine that has never had the product. */
async function cleanMachine(world: string): Promise<Machine> {
  const it = await installMachine();
  must(it.sh('mkdir -p /mnt/share/upper /mnt/share/work'));
  mountHere(
    it,
    '/usr/share',
    '-t',
    'overlay',
    'overlay',
    '-o',
    'lowerdir=/usr/share,upperdir=/mnt/share/upper,workdir=/mnt/share/work',
  );
  must(
    it.sh(
      `rm -rf ${LIBRARY} ${COMMAND} ${LOG} /etc/ovpn-killswitch ${MANUAL_PATHS.join(' ')}; ${world}`,
    ),
  );
  // /usr/local/share/man is there without us (hier(7)).
  const folders = MANUAL_PATHS.flatMap((path) => [dirname(path), dirname(dirname(path))]).filter(
    (path) => path !== '/usr/local/share/man',
  );
  must(
    it.sh(
      folders
        .map((folder) => `[ ! -e ${folder} ] || rmdir --ignore-fail-on-non-empty ${folder}`)
        .join('\n'),
    ),
  );
  must(it.sh('ip link add up0 type veth peer name far0; ip link set up0 up; ip link set far0 up'));
  return it;
}

describe.each(CELLS)('boot enable --with %s, with %s,', (name, backend) => {
  let open: Machine | undefined;
  afterEach(() => {
    if (open !== undefined) undoAll(open);
    open?.sandbox.close();
    open = undefined;
  });

  test('is seen by status, and leaves no trace after uninstall', async (context) => {
    const why = machineObstacle();
    if (why !== undefined) context.skip(why);
    open = await cleanMachine(WORLDS[name]);
    const it = open;
    const before = traces(it);

    must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    it.write(
      SETTINGS,
      `KILLSWITCH_BACKEND=${backend}\nKILLSWITCH_IPV6=block\nKILLSWITCH_FORWARD=up0\n`,
    );
    must(it.command('lock', '--force'));
    const { stdout: said } = must(it.command('boot', 'enable', '--with', name, '--sysctl'));
    expect(it.status()).toMatchObject({
      exact: true,
      boot: { with: name, sysctl: true, problems: [] },
    });
    expect(
      must(it.sh('cat /proc/sys/net/ipv6/conf/up0/disable_ipv6 /proc/sys/net/ipv4/ip_forward'))
        .stdout,
    ).toBe('1\n1\n');
    expect(differences(before, traces(it))).not.toEqual([]);
    if (name === 'plain') {
      expect([NFTABLES_DROP_IN, NFTABLES_DROP_IN_NOW].map((path) => it.exists(path))).toEqual([
        true,
        true,
      ]);
      const [lines = ''] = /^ *if ! [\s\S]*?^ *fi$/m.exec(said) ?? [];
      const starts = () => must(it.sh(`${lines}\necho the network`)).stdout;
      expect(starts()).toBe('the network\n');
      mountHere(it, `${LIBRARY}/boot`, '--bind', '/bin/false');
      expect(starts()).toBe('');
      must(it.sh(`umount ${LIBRARY}/boot`));
    }

    must(it.command('uninstall'));
    expect(differences(before, traces(it))).toEqual([]);
  });
});

describe('what boot enable does', () => {
  test('is taken back by "boot disable" and by the script recover alone, and one way takes the place of another', async (context) => {
    const why = machineObstacle();
    if (why !== undefined) context.skip(why);
    const it = await installMachine();
    try {
      must(it.sh(`${WORLDS.openrc}; ${WORLDS.sysconfig}`));
      const boot = () =>
        must(
          it.sh(
            'find /etc/systemd /etc/init.d /etc/runlevels /etc/sysconfig /etc/sysctl.d -type f -o -type l | sort | xargs sha256sum 2>/dev/null',
          ),
        ).stdout;
      it.settings('KILLSWITCH_BACKEND=iptables');
      must(it.command('lock', '--force'));
      const before = boot();
      must(it.command('boot', 'enable', '--with', 'systemd', '--sysctl'));
      must(it.command('boot', 'enable', '--with', 'openrc'));
      expect(boot()).not.toContain('/etc/systemd/system/ovpn-killswitch');
      expect(it.status().boot).toEqual({ with: 'openrc', sysctl: true, problems: [] });
      must(it.command('boot', 'enable', '--with', 'sysconfig'));
      expect(boot()).not.toContain('/etc/init.d/ovpn-killswitch');
      must(it.command('boot', 'disable'));
      expect(boot()).toBe(before);
      expect(it.status().boot).toEqual({ with: null, sysctl: false, problems: [] });
      must(it.command('boot', 'enable', '--with', 'openrc', '--sysctl'));
      it.write(SESSIONS, '["198.51.100.7 50022 203.0.113.5 22"]\n');
      must(
        it.sh(
          `cp ${LIBRARY}/recover /run/recover; rm -rf ${LIBRARY} ${COMMAND}; exec /usr/bin/env -i /run/recover`,
        ),
      );
      expect(boot()).toBe(before);
      expect(it.exists(SESSIONS)).toBe(false);
      must(it.run('/usr/bin/env', '-i', '/run/recover'));
      expect(boot()).toBe(before);
    } finally {
      it.sandbox.close();
    }
  });

  test('with sysconfig follows lock and unlock, and the file loads the base as the service does', async (context) => {
    const why = machineObstacle();
    if (why !== undefined) context.skip(why);
    const it = await installMachine();
    try {
      must(it.sh(WORLDS.sysconfig));
      it.settings('KILLSWITCH_BACKEND=iptables');
      must(it.command('lock', '--force'));
      must(it.command('boot', 'enable', '--with', 'sysconfig'));
      must(it.sh('nft flush ruleset'));
      must(it.sh(service('start')));
      expect(it.status()).toMatchObject({ state: 'blocked', exact: true, boot: { problems: [] } });
      expect(it.rules()['ipv4 INPUT']).toContain('-p tcp -m tcp --dport 22 -j ACCEPT');
      for (const each of ['iptables', 'ip6tables'] as const)
        expect(it.read(`/etc/sysconfig/${each}-config`)).toBe(
          configOf(each).replaceAll('yes', 'no'),
        );
      // No restart and no stop saves what a live tunnel has added, and the next start loads the
      // base.
      const kept = must(it.sh('cat /etc/sysconfig/*tables')).stdout;
      must(it.hook('up', tunnelCall('tun0')));
      must(it.sh(service('restart')));
      must(it.sh(service('stop')));
      expect(must(it.sh('cat /etc/sysconfig/*tables')).stdout).toBe(kept);
      must(it.sh(`rm -r ${TUNNELS}; ${service('start')}`));
      expect(it.status()).toMatchObject({ state: 'blocked', exact: true });

      it.settings('KILLSWITCH_BACKEND=iptables', 'KILLSWITCH_ENDPOINTS=203.0.113.99:1194/udp');
      must(it.command('lock', '--force'));
      expect(it.read('/etc/sysconfig/iptables')).toContain('203.0.113.99');
      must(it.command('unlock'));
      expect(it.read('/etc/sysconfig/iptables')).toBe(SAVED);
      expect(it.exists('/etc/sysconfig/ip6tables')).toBe(false);
      must(it.command('lock', '--force'));
      expect(it.status().boot).toEqual({ with: 'sysconfig', sysctl: false, problems: [] });
      // Somebody saves while a tunnel is up, whatever the settings say.
      must(it.sh('iptables-save >/etc/sysconfig/iptables'));
      expect(it.status().boot.problems).not.toEqual([]);
      must(it.command('boot', 'disable'));
      expect(it.read('/etc/sysconfig/iptables')).not.toMatch(/KILLSWITCH|DROP/);
    } finally {
      it.sandbox.close();
    }
  });

  test('lets IPv6 be used in a tunnel with KILLSWITCH_IPV6=tunnel, and nowhere with block, also on a card that comes later', async (context) => {
    const why = machineObstacle();
    if (why !== undefined) context.skip(why);
    const it = await installMachine();
    const add =
      'ip tuntap add tun7 mode tun && ip link set tun7 up && ip -6 addr add fd00:8::2/64 dev tun7';
    try {
      must(it.command('boot', 'enable', '--with', 'plain', '--sysctl'));
      must(it.sh(add));
      must(it.sh('ip link del tun7'));
      it.settings('KILLSWITCH_IPV6=block');
      must(it.command('boot', 'enable', '--with', 'plain', '--sysctl'));
      expect(it.sh(add).status).not.toBe(0);
      must(it.sh('ip link del tun7'));
      must(it.command('boot', 'disable'));
      must(it.sh(add));
    } finally {
      it.sandbox.close();
    }
  });
});

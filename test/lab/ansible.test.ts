import { mkdtempSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, type TestContext, test, vi } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { type Booted, bootObstacle } from '../support/booted.ts';
import { bootFleet, type Fleet } from '../support/fleet.ts';
import { TRACES } from '../support/traces.ts';
import { buildPackages } from './package-builds.ts';

// Each run of the role calls some dozen modules on each machine, a login for each.
vi.setConfig({ testTimeout: 900_000 });

/**
 * The role of openvpn-examples/ansible, by Debian's ansible-core over ssh, on three booted machines
 * at once. One story: each test goes on from the one before.
 */
const ROOT = 'fleet-13';
const ROLES = resolve(import.meta.dirname, '../../openvpn-examples/ansible/roles');
const MACHINES = ['one', 'two', 'three'];
const CONTROLLER = 'controller';
const COMMAND = '/usr/sbin/ovpn-killswitch';
const PROFILE = '/etc/openvpn/client/office.conf';
const TEXT = 'client\ndev tun\nproto udp\nremote 203.0.113.10 1194\n';
const HOOK = 'up /usr/lib/ovpn-killswitch/hooks/up';
/** The timer of a confirmed trial: it waits on, and then finds nothing to do. */
const TIMER = /\brun-\S+\.service\b/;
const LOCKING = ['Lock until a new login confirms it', 'Keep the lock'];

/** The account that Ansible logs in as; sudo takes SSH_CONNECTION out of the environment. */
const PREPARE = `
useradd --create-home --shell /bin/bash admin
echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin
chmod 440 /etc/sudoers.d/admin
# It needs a privilege that the machine has not.
sed -i 's/^session.*pam_loginuid/#&/' /etc/pam.d/sshd
`;

interface Play {
  readonly status: number | null;
  readonly said: string;
  /** The tasks that changed something, by machine. */
  readonly changed: Readonly<Record<string, readonly string[]>>;
  /** The changes that the recap counts, by machine. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Reads what the callback `default` prints. */
function playOf(status: number | null, said: string): Play {
  const changed: Record<string, string[]> = Object.fromEntries(MACHINES.map((name) => [name, []]));
  const counts: Record<string, number> = {};
  let task = '';
  for (const line of said.split('\n')) {
    task = /^TASK \[(?:ovpn_killswitch : )?(.*?)\] \**$/.exec(line)?.[1] ?? task;
    const [, name = ''] = /^changed: \[(\w+)\]/.exec(line) ?? [];
    if (name !== '' && changed[name]?.at(-1) !== task) changed[name]?.push(task);
    const [, host, count] = /^(\w+) +: ok=\d+ +changed=(\d+)/.exec(line) ?? [];
    if (host !== undefined) counts[host] = Number(count);
  }
  return { status, said, changed, counts };
}

const each = <Value>(value: Value) => Object.fromEntries(MACHINES.map((name) => [name, value]));

const folder = mkdtempSync('/var/tmp/killswitch-ansible-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the role, by ansible-core over ssh on three booted machines,', () => {
  const obstacle = bootObstacle({ root: ROOT });
  let fleet: Fleet | undefined;
  let deb = '';
  let settled: readonly unknown[] = [];
  let inForce: Readonly<Record<string, string>> = { KILLSWITCH_LAN_INBOUND: '22/tcp' };

  beforeAll(async () => {
    if (obstacle !== undefined) return;
    ({ deb } = buildPackages(folder));
    const plan = { root: ROOT, prepare: PREPARE, show: [] };
    fleet = await bootFleet(
      {
        ...Object.fromEntries(MACHINES.map((name) => [name, plan])),
        [CONTROLLER]: { ...plan, show: [folder, ROLES] },
      },
      CONTROLLER,
    );
    const controller = machineOf(fleet, CONTROLLER);
    await controller.sh(
      'mkdir -p /root/play /root/.ssh; ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519',
    );
    const key = controller.file('/root/.ssh/id_ed25519.pub');
    for (const name of MACHINES)
      await machineOf(fleet, name).sh(
        'mkdir -p /home/admin/.ssh; cat >/home/admin/.ssh/authorized_keys; chown -R admin: /home/admin/.ssh; chmod -R go= /home/admin/.ssh',
        key,
      );
    const open = fleet;
    await controller.sh(
      'cat >/root/play/inventory.ini',
      `${MACHINES.map((name) => `${name} ansible_host=${open.address(name)}`).join('\n')}
[all:vars]
ansible_user=admin
ansible_python_interpreter=/usr/bin/python3
`,
    );
    await controller.sh('cat >/root/play/office.conf', TEXT);
  });
  afterAll(() => fleet?.close());

  function machineOf(it: Fleet, name: string): Booted {
    const machine = it.machines.get(name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }
  const on = (context: TestContext): Fleet => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (fleet === undefined) throw new Error('the machines were not booted');
    return fleet;
  };
  /** Reads the state of each machine: rules with the handles that a load renews, units and files. */
  const held = (it: Fleet) =>
    Promise.all(
      MACHINES.map(async (name) => {
        const machine = machineOf(it, name);
        const [rules, units, files] = await Promise.all([
          machine.sh('nft -s -a list ruleset'),
          machine.sh('systemctl list-unit-files --no-pager --no-legend'),
          machine.sh(`${TRACES}
            find /etc /usr /var/lib -xdev -type f -printf '%p %u:%g %m %s %i %T@\\n' | sort`),
        ]);
        return {
          rules,
          units: units.split('\n').filter((line) => !TIMER.test(line)),
          // Ansible logs in and calls sudo; apt(8) opens its caches.
          files: files
            .split('\n')
            .filter(
              (line) =>
                !TIMER.test(line) &&
                !/ ?\/(proc|run|tmp|home|root|var\/(cache|log|lib\/(sudo|systemd|apt|dpkg|lastlog)))\b/.test(
                  line,
                ),
            ),
        };
      }),
    );
  const play = async (
    it: Fleet,
    { settings = inForce, flags = [] as readonly string[] } = {},
  ): Promise<Play> => {
    const controller = machineOf(it, CONTROLLER);
    const site = {
      hosts: 'all',
      become: true,
      gather_facts: false,
      roles: [
        {
          role: 'ovpn_killswitch',
          vars: {
            ovpn_killswitch_package_file: deb,
            ovpn_killswitch_profiles: ['/root/play/office.conf'],
            ovpn_killswitch_settings: settings,
            ovpn_killswitch_watch: true,
            ovpn_killswitch_confirm_seconds: 90,
          },
        },
      ],
    };
    await controller.sh('cat >/root/play/site.yml', JSON.stringify([site]));
    const { status, stdout, stderr } = await controller.ask(
      ['ansible-playbook', '-v', '-i', '/root/play/inventory.ini', ...flags, '/root/play/site.yml'],
      {
        env: {
          HOME: '/root',
          LC_ALL: 'C.UTF-8',
          ANSIBLE_NOCOLOR: '1',
          ANSIBLE_ROLES_PATH: ROLES,
          ANSIBLE_HOST_KEY_CHECKING: 'False',
          ANSIBLE_PIPELINING: 'True',
        },
        milliseconds: patiently(300_000),
      },
    );
    return playOf(status, `${stdout}${stderr}`);
  };
  /** Ends well, with these tasks changed on every machine. */
  const changes = (done: Play, tasks: readonly string[]) => {
    expect(done.status, done.said).toBe(0);
    expect(done.changed, done.said).toEqual(each(tasks));
    expect(done.counts, done.said).toEqual(each(tasks.length));
  };

  test('check mode tells of every change and makes none', async (context) => {
    const it = on(context);
    const before = await held(it);
    changes(await play(it, { flags: ['--check'] }), [
      'Copy the package',
      'Make the folder of the settings',
      'Write the settings',
      'Make the folder of the originals',
      'Say that boot would be enabled',
      'Say that watch would be enabled',
      'Say that the machine would be locked',
    ]);
    expect(await held(it)).toEqual(before);
    expect(await it.seen(MACHINES, 'open')).toEqual(MACHINES);
  });

  test('settings that let no login in are refused before the lock', async (context) => {
    const it = on(context);
    const done = await play(it, { settings: { KILLSWITCH_LAN_INBOUND: '' } });
    expect(done.status, done.said).toBe(2);
    expect(done.said).toContain('No new login by SSH would pass, so nothing was locked.');
    expect(await it.seen(MACHINES, 'refused')).toEqual(MACHINES);
  });

  test('the first run locks all, and a new login still passes', async (context) => {
    const it = on(context);
    const done = await play(it);
    changes(done, ['Write the settings', ...LOCKING]);
    expect(await it.seen(MACHINES, 'locked')).toEqual([]);
    for (const name of MACHINES) {
      const status = await machineOf(it, name).sh(`${COMMAND} status --json`);
      expect(JSON.parse(status)).toMatchObject({
        state: 'blocked',
        exact: true,
        trialUntil: null,
        boot: { with: 'systemd', problems: [] },
        watch: { enabled: true, running: true },
      });
      expect(machineOf(it, name).file(PROFILE)).toMatch(new RegExp(`^${TEXT}[^]*\n${HOOK}\n`));
      const login = `ssh -o BatchMode=yes -o ControlPath=none -o StrictHostKeyChecking=no admin@${it.address(name)} id -un`;
      expect(await machineOf(it, CONTROLLER).sh(login)).toBe('admin\n');
    }
  });

  test('the second run changes nothing', async (context) => {
    const it = on(context);
    settled = await held(it);
    changes(await play(it), []);
    expect(await held(it)).toEqual(settled);
    changes(await play(it, { flags: ['--check'] }), []);
    expect(await held(it)).toEqual(settled);
  });

  test('a changed setting changes the settings file and the lock alone', async (context) => {
    const it = on(context);
    inForce = { ...inForce, KILLSWITCH_REFUSE: 'reject' };
    changes(await play(it, { flags: ['--check'] }), [
      'Write the settings',
      'Say that the machine would be locked',
    ]);
    expect(await held(it)).toEqual(settled);
    changes(await play(it), ['Write the settings', ...LOCKING]);
    for (const name of MACHINES)
      expect(await machineOf(it, name).sh('nft list ruleset')).toContain('reject');
    expect(await it.seen(MACHINES, 'after-settings')).toEqual([]);
  });

  test('a changed profile is replaced, with the lines of the hooks', async (context) => {
    const it = on(context);
    await machineOf(it, CONTROLLER).sh('echo "remote 203.0.113.11 443" >>/root/play/office.conf');
    changes(await play(it, { flags: ['--check'] }), ['Copy the originals']);
    changes(await play(it), ['Copy the originals', 'Write the lines of the hooks']);
    for (const name of MACHINES) {
      expect(machineOf(it, name).file(PROFILE)).toContain('remote 203.0.113.11 443\n');
      expect(machineOf(it, name).file(PROFILE)).toContain(`\n${HOOK}\n`);
      expect(await machineOf(it, name).sh(`stat -c '%U %a' ${PROFILE}`)).toBe('root 600\n');
    }
    expect(await it.seen(MACHINES, 'after-profile')).toEqual([]);
  });
});

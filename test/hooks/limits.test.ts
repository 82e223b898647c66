import { writeFileSync } from 'node:fs';
import { afterEach, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { Ran } from '../../src/host/sandbox.ts';
import { cgroupObstacle, makeCgroups } from '../support/cgroups.ts';
import { tunnelCall } from './captures.ts';
import {
  hookArgv,
  LIBRARY,
  LOG,
  machineObstacle,
  must,
  ran,
  STATE,
  TUNNELS,
  useMachine,
} from './installed-machine.ts';
import { overlayPrograms, undoAll } from './obstacles.ts';

const call = tunnelCall('tun0');
/** The hook's command line for sh(1). */
const line = (name: 'up' | 'down') =>
  hookArgv(name, call)
    .map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
    .join(' ');

/** The seconds after which a hook gives a hanging child up. */
const DEADLINE_SECONDS = 20;
/** A machine whose Node takes long to start gets up to so many times that (src/host/pace.ts). */
const SLOWEST_PACE = 3;

describe('a hook', () => {
  const machine = useMachine((fresh) => fresh.relock('KILLSWITCH_BACKEND=nftables'));
  const hanging = useMachine((fresh) => fresh.relock('KILLSWITCH_BACKEND=nftables'));
  let hung: Promise<Ran> | undefined;
  // The tests below keep this process busy: it would see the end of the hook late.
  const TIMED =
    'clock() { cut -d " " -f 1 /proc/uptime >>/run/clock; }; clock; "$@"; status=$?; clock; exit "$status"';

  // It mostly waits: the other tests run meanwhile.
  beforeAll(() => {
    if (machineObstacle() !== undefined) return;
    const it = hanging();
    overlayPrograms(it, ['/usr/sbin', '/sbin']);
    must(it.run('mv', '/usr/sbin/nft', '/run/nft'));
    it.write('/run/hanging', '#!/bin/sh\nsleep 300\n:\n');
    must(it.run('install', '-m', '755', '/run/hanging', '/usr/sbin/nft'));
    hung = it.sandbox.ask(['sh', '-c', TIMED, 'sh', ...hookArgv('up', call)], {
      milliseconds: 600_000,
    });
  });

  afterEach(() => {
    machine().hook('down', call);
    undoAll(machine());
  });

  test('has at most six tasks while a child runs, the child among them, and stays under 100 MB', () => {
    const it = machine();
    overlayPrograms(it, ['/usr/sbin', '/sbin']);
    must(it.run('mv', '/usr/sbin/nft', '/run/nft'));
    it.write(
      '/run/counting',
      '#!/bin/sh\ncount() { echo $(($# + 1)) >> /run/tasks; }\ncount /proc/$PPID/task/*\nwhile read -r key value _; do [ "$key" != VmHWM: ] || echo "$value" >> /run/kilobytes; done < /proc/$PPID/status\nexec /run/nft "$@"\n',
    );
    must(it.run('install', '-m', '755', '/run/counting', '/usr/sbin/nft'));
    // A server that runs with push-peer-info can set any UV_*, and libuv reads some of them.
    must(it.hook('up', tunnelCall('tun0', { UV_THREADPOOL_SIZE: '1024' })));
    const numbers = (path: string) => it.read(path).trim().split('\n').map(Number);
    expect(numbers('/run/tasks').length, 'children that counted').toBeGreaterThanOrEqual(1);
    expect(Math.max(...numbers('/run/tasks'))).toBeLessThanOrEqual(6);
    expect(Math.max(...numbers('/run/kilobytes'))).toBeLessThan(100 * 1024);
  });

  test('of a user with ten processes at most ends, and does not hang', (context) => {
    const it = machine();
    if (!it.sandbox.hasOtherUsers) context.skip('there is no other user here');
    // The kernel counts a user's processes over the whole machine: this one has no others.
    const uid = String(60_100 + (process.pid % 1000));
    const unprivileged = [
      'setpriv',
      '--reuid',
      uid,
      '--regid',
      uid,
      '--clear-groups',
      'prlimit',
      '--nproc=10',
    ];
    const ended = it.sandbox.run([...unprivileged, ...hookArgv('up', call)], {
      milliseconds: 20_000,
    });
    expect(ended.status, ran(ended)).toBe(0);
    expect(ended.stderr).toContain('runs without root');
  });

  /** A hook in a cgroup that may have so many tasks, as TasksMax of its unit says. */
  async function limited(
    context: TestContext,
    tasks: number,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Ran> {
    const obstacle = process.getuid?.() === 0 ? cgroupObstacle() : 'cgroups need root';
    if (obstacle !== undefined) context.skip(obstacle);
    const cgroups = makeCgroups();
    const folder = cgroups.folders['pids'] ?? cgroups.folders[''] ?? '';
    try {
      writeFileSync(`${folder}/pids.max`, String(tasks));
      const enter = ['sh', '-c', 'echo 0 >"$0/cgroup.procs" && exec "$@"', folder];
      return machine().sandbox.run([...enter, ...hookArgv('up', tunnelCall('tun0', more))], {
        milliseconds: 25_000,
      });
    } finally {
      await cgroups.remove();
    }
  }

  test('does all its work with six tasks', async (context) => {
    const ended = await limited(context, 6);
    expect(ended.status, ran(ended)).toBe(0);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true });
  });

  // Node 20 turns io_uring on for UV_USE_IO_URING=1, which a server can set: its kernel threads
  // would count as tasks.
  test('of a server that would turn io_uring on needs no more than six tasks either', async (context) => {
    const ended = await limited(context, 6, { UV_USE_IO_URING: '1' });
    expect(ended.status, ran(ended)).toBe(0);
    expect(machine().status()).toMatchObject({ state: 'connected', exact: true });
  });

  test('works with stdin, stdout and stderr closed', () => {
    const it = machine();
    must(it.sh(`exec ${line('up')} <&- >&- 2>&-`));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.sh(`exec ${line('down')} <&- >&- 2>&-`));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });

  test.each([
    ['whose reader is gone', '{ HOOK; echo $? > /run/status; } 2>&1 | exec 0<&-'],
    ['on a full disk', 'HOOK 2> /dev/full; echo $? > /run/status'],
  ])('works with a stderr %s', (_, script) => {
    const it = machine();
    for (const name of ['up', 'down'] as const) {
      it.sh(script.replace('HOOK', () => line(name)));
      expect(it.read('/run/status').trim(), name).toBe('0');
      expect(it.status()).toMatchObject({
        state: name === 'up' ? 'connected' : 'blocked',
        exact: true,
      });
    }
  });

  test.each(['0077', '0000', '0777'])(
    'gives its files and folders the same modes under umask %s',
    (mask) => {
      const it = machine();
      must(it.run('rm', '-rf', '/run/ovpn-killswitch', STATE, LOG));
      must(it.sh(`umask ${mask}; exec ${line('up')}`));
      const modes = must(
        it.sh(
          `stat -c '%a %n' /run/ovpn-killswitch ${TUNNELS} ${TUNNELS}/tun0 ${STATE} ${STATE}/lock.json ${STATE}/base.nft`,
        ),
      ).stdout;
      expect(modes.trim().split('\n')).toEqual([
        '755 /run/ovpn-killswitch',
        `755 ${TUNNELS}`,
        `644 ${TUNNELS}/tun0`,
        `755 ${STATE}`,
        `644 ${STATE}/lock.json`,
        `600 ${STATE}/base.nft`,
      ]);
      expect(it.sh(`stat -c %a ${LOG}`).stdout.trim()).toMatch(/^6[04]0$/);
    },
  );

  test('works in a folder that was deleted', () => {
    const it = machine();
    must(it.sh(`mkdir /run/gone; cd /run/gone; rmdir /run/gone; exec ${line('up')}`));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.sh(`mkdir /run/gone; cd /run/gone; rmdir /run/gone; exec ${LIBRARY}/cli.js status`));
  });

  test('whose child hangs gives it up before its deadline, fails, and leaves the base', async () => {
    const it = hanging();
    if (hung === undefined) throw new Error('it was not started');
    const ended = await hung;
    const [started = Number.NaN, stopped = Number.NaN] = it
      .read('/run/clock')
      .trim()
      .split('\n')
      .map(Number);
    expect(ended.status, ran(ended)).toBe(71);
    expect(ended.stderr).toMatch(/nft was stopped after \d+ s/);
    // Its own start and end take their time on a busy machine.
    expect(stopped - started).toBeLessThan(SLOWEST_PACE * DEADLINE_SECONDS + 30);
    undoAll(it);
    must(it.hook('down', call));
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true });
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { tunnelCall } from '../hooks/captures.ts';
import {
  BACKENDS,
  LIBRARY,
  type Machine,
  must,
  STATE,
  useMachine,
} from '../hooks/installed-machine.ts';

/**
 * `status` ended with an error where /run was full, a file of ours was damaged, or a tool hung; and
 * it said OPEN where it could not read the rules.
 */

const SERVER = 'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp';
const RUN = '/run/ovpn-killswitch';

/**
 * Puts a script in place of a program of the packet filter, for as long as `work` runs. The real
 * one is $REAL.
 */
function withTool<Result>(it: Machine, tool: string, script: string, work: () => Result): Result {
  const path = must(it.sh(`readlink -f "$(command -v ${tool})"`)).stdout.trim();
  const real = '/root/real';
  must(
    it.sh(
      `mkdir -p ${real}; cp -a ${path} ${real}/all; for n in nft iptables-save ip6tables-save; do ln -sf all ${real}/$n; done`,
    ),
  );
  it.write('/root/tool', `#!/bin/sh\nREAL="${real}/$(basename "$0")"\n${script}\n`);
  must(it.sh(`chmod 755 /root/tool; mount --bind /root/tool ${path}`));
  try {
    return work();
  } finally {
    must(it.run('umount', path));
  }
}

/** A tool that hangs is waited for. */
const WAITS = { milliseconds: patiently(110_000) } as const;

function answer(it: Machine) {
  const command = (...flags: readonly string[]) =>
    it.sandbox.run([`${LIBRARY}/cli.js`, 'status', ...flags], WAITS);
  const { status, stdout, stderr } = command('--json');
  return {
    exit: status,
    stderr,
    json: JSON.parse(stdout === '' ? '{}' : stdout),
    picture: command().stdout,
    metrics: command('--prometheus').stdout,
  };
}

describe.each(BACKENDS)('with %s', (backend) => {
  const good = `KILLSWITCH_BACKEND=${backend}`;
  const machine = useMachine((fresh) => {
    fresh.settings(good, SERVER);
    must(fresh.command('lock'));
  });
  const tool = backend === 'nftables' ? 'nft' : 'iptables-save';
  afterEach(() => {
    const it = machine();
    it.sh(`umount ${RUN} 2>/dev/null`);
    it.settings(good, SERVER);
    must(it.command('lock'));
  });

  test.each([
    ['hangs', 'exec sleep 60'],
    ['may not read', 'echo "Operation not permitted (you must be root)" >&2; exit 1'],
    ['ends with a signal', 'kill -9 $$'],
  ])('a tool that %s is no open machine: the state is unknown', (_, script) => {
    const it = machine();
    withTool(it, tool, script, () => {
      const { exit, json, picture, metrics } = answer(it);
      expect(json).toMatchObject({ state: 'unknown', exact: false });
      expect(json.unknown.join()).toContain(backend === 'nftables' ? 'nft' : 'iptables');
      expect(exit).toBe(2);
      expect(picture).toMatch(/^UNKNOWN/);
      expect(picture).not.toMatch(/OPEN|UNLOCKED/);
      expect(metrics).toContain('ovpn_killswitch_state{state="unknown"} 1');
    });
  });

  test('a tool that may not read is no unlocked machine either', () => {
    const it = machine();
    must(it.command('unlock'));
    withTool(it, tool, 'echo "Operation not permitted (you must be root)" >&2; exit 1', () => {
      const { exit, json } = answer(it);
      expect([exit, json.state]).toEqual([2, 'unknown']);
    });
    expect(answer(it)).toMatchObject({ exit: 1, json: { state: 'unlocked' } });
  });

  test('root without CAP_NET_ADMIN gets an answer, and no error', () => {
    const it = machine();
    const { status, stdout } = it.run(
      'setpriv',
      '--bounding-set=-net_admin',
      `${LIBRARY}/cli.js`,
      'status',
    );
    expect([status, stdout]).toEqual([2, expect.stringMatching(/^UNKNOWN/)]);
  });

  test('a full /run takes nothing from the answer', () => {
    const it = machine();
    const size = 'mount -t tmpfs -o size=64k,mode=755 tmpfs';
    must(
      it.sh(
        `cp -a ${RUN} /root/run; ${size} ${RUN}; cp -a /root/run/. ${RUN}/; rm -f ${RUN}/drops; rm -rf /root/run`,
      ),
    );
    it.sh(`cat /dev/zero >${RUN}/filler 2>/dev/null`);
    expect(answer(it)).toMatchObject({
      exit: 0,
      json: { state: 'blocked', exact: true, unknown: [] },
    });
  });

  test('a read-only /run takes nothing from the answer, on a machine that is as it should be and on one that is not', () => {
    const it = machine();
    const remount = (how: string) => must(it.sh(`mount -o remount,bind,${how} ${RUN}`));
    must(it.sh(`mount --bind ${RUN} ${RUN}; rm -f ${RUN}/drops`));
    remount('ro');
    expect(answer(it)).toMatchObject({
      exit: 0,
      json: { state: 'blocked', exact: true, unknown: [] },
    });
    const flush =
      backend === 'nftables'
        ? 'nft flush chain inet ovpn_killswitch postrouting'
        : 'iptables -F KILLSWITCH-OUTPUT';
    must(it.sh(flush));
    const spoiled = answer(it);
    remount('rw');
    expect(spoiled).toMatchObject({ exit: 2, json: { state: 'blocked', exact: false } });
  });

  test.each([
    ['endpoints.json', '{'],
    ['endpoints.json', ''],
    ['settings.env', 'KILLSWITCH_LAN=everything\n'],
    ['lock.json', '{"locked":'],
    ['attached.json', '{'],
  ])('a damaged %s (%j) is named, and the machine is still called locked', (file, text) => {
    const it = machine();
    it.write(`${STATE}/${file}`, text);
    const { exit, json, picture } = answer(it);
    expect(['blocked', 'connected']).toContain(json.state);
    expect(picture).toMatch(/^LOCKED/);
    if (file === 'attached.json') return;
    expect(exit).toBe(2);
    expect(picture).toContain(`${STATE}/${file}`);
  });

  test.each([
    ['drops', 'chmod 666'],
    ['watch', 'chmod 666'],
    ['tunnels', 'chmod 777'],
    ['former', 'chmod 777'],
    ['ssh-sessions', 'chmod 666'],
    ['boot.problem', 'chmod 666'],
  ])('%s in /run that others may write keeps nobody from an answer', (name, change) => {
    const it = machine();
    const isFolder = ['tunnels', 'former'].includes(name);
    must(
      it.sh(
        `${isFolder ? `mkdir -p ${RUN}/${name}` : `echo '[]' >${RUN}/${name}`}; ${change} ${RUN}/${name}`,
      ),
    );
    const { json } = answer(it);
    it.sh(`rm -rf ${RUN}/${name}`);
    expect(json.state).toBe('blocked');
  });

  test('settings with a mistake keep nobody from an answer on an open machine', () => {
    const it = machine();
    must(it.command('unlock'));
    it.settings('KILLSWITCH_LAN=everything');
    const { exit, json, picture } = answer(it);
    expect([exit, json.state]).toEqual([1, 'unlocked']);
    expect(picture).toContain('killswitch.env:1');
  });

  test('the client in another pid namespace is not gone', () => {
    const it = machine();
    const call = tunnelCall('tun0');
    // The hook and its OpenVPN, in a pid namespace of their own.
    const env = Object.entries(call.env).map(([name, value]) => `'${name}=${value}'`);
    const hook = `env -i ${env.join(' ')} daemon_pid=$$ /usr/local/lib/ovpn-killswitch/hooks/up ${call.argv.map((each) => `'${each}'`).join(' ')}`;
    must(
      it.sh(
        `unshare -p -f --mount-proc sh -c "exec sleep 600" & unshare -p -f --mount-proc sh -c ${JSON.stringify(hook).replaceAll('$$', '\\$\\$')}`,
      ),
    );
    const status = it.status();
    must(it.hook('down', call));
    expect(status.tunnels.map(({ stale }) => stale)).toEqual([false]);
  });
});

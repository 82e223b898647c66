import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  hookArgv,
  type Machine,
  must,
  type Rules,
  ran,
  STATE,
  TUNNELS,
  unordered,
  useMachine,
} from './installed-machine.ts';

const KILLS = 100;

/** The part of the rules that is committed as one: a packet-filter family, or nft's table. */
function part(rules: Rules, family: string): Rules {
  return Object.fromEntries(
    Object.entries(unordered(rules)).filter(([chain]) => chain.startsWith(`${family} `)),
  );
}

/**
 * Waits until nothing runs in the sandbox but its first process: a killed hook's children end by
 * themselves.
 */
async function settled({ sandbox, list }: Machine): Promise<void> {
  const runs = (pid: string) => {
    try {
      const stat = readFileSync(`/proc/${sandbox.pid}/root/proc/${pid}/stat`, 'utf8');
      return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
    } catch {
      return false;
    }
  };
  while (list('/proc').some((name) => /^\d+$/.test(name) && name !== '1' && runs(name)))
    await new Promise((resolve) => setImmediate(resolve));
}

describe.concurrent.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine((fresh) => fresh.relock(`KILLSWITCH_BACKEND=${backend}`));
  const families = backend === 'iptables' ? ['ipv4', 'ipv6'] : ['nft'];
  const call = tunnelCall('tun0');

  test(`after kill -9 at any of ${KILLS} moments each family holds the rules from before or those from after`, async () => {
    const it = machine();
    // An ended tunnel's networks are kept shut from the first end on.
    must(it.hook('up', call));
    must(it.hook('down', call));
    const base = it.rules();
    const started = performance.now();
    must(it.hook('up', call));
    const duration = performance.now() - started;
    const connected = it.rules();
    const outcomes = { before: 0, after: 0, ended: 0 };
    for (let kill = 0; kill < KILLS; kill++) {
      const hook = kill % 2 === 0 ? 'down' : 'up';
      const seconds = (((kill + Math.random()) / KILLS) * duration) / 1000;
      // Every other pair: the hook alone, as kill(1) does it; else its children too, as the kernel
      // does when a cgroup is out of memory.
      const alone = kill % 4 < 2 ? ['--foreground'] : [];
      const killed = await it.sandbox.ask([
        'timeout',
        ...alone,
        '-s',
        'KILL',
        seconds.toFixed(4),
        ...hookArgv(hook, call),
      ]);
      await settled(it);
      if (killed.status === 0) outcomes.ended++;
      const rules = it.rules();
      for (const family of families) {
        const found = part(rules, family);
        const known = [part(base, family), part(connected, family)].findIndex(
          (each) => JSON.stringify(each) === JSON.stringify(found),
        );
        if (known < 0)
          expect(found, `${hook} killed after ${seconds} s`).toEqual(part(base, family));
        if (known === (hook === 'down' ? 1 : 0)) outcomes.before++;
        else outcomes.after++;
      }
      if (kill % 10 < 8) continue;
      // The next hook does the work that the killed one left undone: it is not blocked, and status
      // says how
      // things stand.
      expect(['connected', 'blocked']).toContain(it.status().state);
      const next = await it.sandbox.ask(hookArgv(hook, call), { milliseconds: 10_000 });
      expect(next.status, ran(next)).toBe(0);
      expect(it.status()).toMatchObject({
        state: hook === 'up' ? 'connected' : 'blocked',
        exact: true,
      });
    }
    expect(outcomes.before, 'kills that came before the change').toBeGreaterThan(0);
    expect(outcomes.after, 'kills that came after the change').toBeGreaterThan(0);
    must(it.hook('down', call));
    expect(unordered(it.rules())).toEqual(unordered(base));
  });
});

describe('with nftables', () => {
  const machine = useMachine((fresh) => fresh.relock('KILLSWITCH_BACKEND=nftables'));
  const call = tunnelCall('tun0');

  test('drafts that killed hooks left are no tunnels, and the next hook of the same device removes them', () => {
    const it = machine();
    it.write(`${TUNNELS}/.tun0.99999`, '{"version":1,"device":"tun0","end');
    it.write(`${TUNNELS}/.tun1.99999`, '');
    it.write(`${STATE}/.lock.json.99999`, '{');
    expect(it.status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
    must(it.hook('up', call));
    must(it.hook('up', tunnelCall('tun1')));
    must(it.command('lock', '--force'));
    expect(it.list(TUNNELS)).toEqual(['tun0', 'tun1']);
    expect(it.list(STATE).filter((name) => name.startsWith('.'))).toEqual([]);
    must(it.hook('down', call));
    must(it.hook('down', tunnelCall('tun1')));
  });
});

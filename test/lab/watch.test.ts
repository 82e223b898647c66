import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { patiently, waitUntil } from '../../src/proof/wait-until.ts';
import { PACE } from '../../src/watch/pace.ts';
import { tunnelCall } from '../hooks/captures.ts';
import {
  installMachine,
  type Machine,
  machineObstacle,
  must,
  ran,
} from '../hooks/installed-machine.ts';
import { KINDS, type Kind, useKind } from '../support/kinds.ts';
import { machinePace } from '../support/machine-pace.ts';
import { COST, HAS_BEGUN, IS_BACK, STORM, TAMPER } from './storm.ts';

/** The product's promise, plus the time that a busy machine may add. */
const PROMISED_MILLISECONDS = 1_000;
const GRACE_MILLISECONDS = 1_000;

const SETTINGS = (kind: Kind) => [
  `KILLSWITCH_BACKEND=${kind === 'nftables' ? 'nftables' : 'iptables'}`,
  'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
];

/** The changes of others to our rules. */
const TAMPERS: Readonly<Record<Kind, readonly (readonly [what: string, script: string])[]>> = {
  nftables: [
    ['flushes every ruleset', 'nft flush ruleset'],
    ['deletes our table', 'nft delete table inet ovpn_killswitch'],
    ['empties our table', 'nft flush table inet ovpn_killswitch'],
    ['inserts a rule on top of ours', 'nft insert rule inet ovpn_killswitch postrouting accept'],
    ['puts our table to sleep', "nft 'add table inet ovpn_killswitch { flags dormant; }'"],
  ],
  'iptables-nft': iptablesTampers(),
  'iptables-legacy': iptablesTampers(),
};

function iptablesTampers(): readonly (readonly [string, string])[] {
  return [
    ['flushes every chain', 'iptables -F'],
    ['flushes IPv6 and sets its policy', 'ip6tables -P OUTPUT ACCEPT; ip6tables -F OUTPUT'],
    ['inserts a rule above our jump', 'iptables -I FORWARD -j ACCEPT'],
    [
      'moves our jump to the end',
      'iptables -A OUTPUT -j ACCEPT; iptables -D OUTPUT -j KILLSWITCH-OUTPUT; iptables -A OUTPUT -j KILLSWITCH-OUTPUT',
    ],
  ];
}

const STORM_SECONDS = 6;
/** In each transaction: beside other tests there is time for few. */
const STORM_RULES = 16;

describe.each(KINDS)('watch, with %s,', (kind) => {
  let machine: Machine | undefined;
  let obstacle: string | undefined;
  let pid = 0;
  const seen: string[] = [];
  const backend = kind === 'nftables' ? 'nftables' : 'iptables';

  const it = (): Machine => {
    if (machine === undefined) throw new Error('there is no machine');
    return machine;
  };
  const restored = async (before: string) => {
    const started = performance.now();
    await waitUntil(
      'the rules to be as before',
      () => read() === before,
      PROMISED_MILLISECONDS + GRACE_MILLISECONDS,
    );
    return performance.now() - started;
  };
  // Without what keeps shut what belonged to a tunnel that is gone.
  const read = () =>
    (kind === 'nftables' ? must(it().sh('nft -s list ruleset')).stdout : saved()).replace(
      /^.*(drop comment "tunnel-(address|source|networks)"|--comment tunnel-(address|source|networks) -j DROP)\n/gm,
      '',
    );
  // Rules of others below our jump are theirs.
  const saved = () =>
    must(it().sh('iptables-save -t filter; ip6tables-save -t filter'))
      .stdout.replaceAll(/^#.*\n| \[.*/gm, '')
      .replaceAll(/^(-A (INPUT|FORWARD|OUTPUT) -j KILLSWITCH.*\n)(?:-A \2 -j ACCEPT\n)+/gm, '$1');

  beforeAll(async () => {
    obstacle = machineObstacle();
    if (obstacle !== undefined) return;
    machine = await installMachine();
    obstacle = useKind(machine.sandbox, kind);
    if (obstacle !== undefined) return;
    machine.settings(...SETTINGS(kind));
    must(machine.command('lock'));
    machine.sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'watch']);
    await waitUntil('the watcher', () => it().exists('/run/ovpn-killswitch/watch'));
    pid = JSON.parse(machine.read('/run/ovpn-killswitch/watch')).pid;
    // Until then it also looks without being told, and may find a change before it hears of who.
    await pause(PACE.deaf + 500);
  });
  beforeEach((context) => {
    if (obstacle !== undefined) context.skip(obstacle);
  });
  afterAll(() => {
    if (seen.length > 0) process.stdout.write(`watch, ${kind}: ${seen.join('; ')}\n`);
    machine?.sandbox.close();
  });

  test('is known to status', () => {
    const status = it().command('status', '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({
      exact: true,
      watch: { enabled: false, running: true },
    });
    expect(status.status, ran(status)).toBe(0);
  });

  test.for(TAMPERS[kind])(
    'puts the rules back within a second when somebody %s, and says who',
    async ([what, script]) => {
      const before = read();
      const who =
        kind === 'iptables-legacy'
          ? /an unknown program/
          : /by (nft|iptables|ip6tables) \(process \d+\)/;
      let said = '';
      // A look that news of something else has asked for may find the change before its own news.
      for (let tries = 0; tries < 3 && !who.test(said); tries++) {
        const log = it().logMark();
        must(it().sh(script));
        const milliseconds = await restored(before);
        seen.push(`${what}: ${Math.round(milliseconds)} ms`);
        expect(it().command('status').status).toBe(0);
        await waitUntil('the log', () => log().some(({ event }) => event === 'restored'));
        said = log().find(({ event }) => event === 'restored')?.msg ?? '';
      }
      expect(said).toMatch(who);
    },
  );

  test('puts them back also while what tells of changes has just ended', async (context) => {
    if (kind === 'iptables-legacy') context.skip('nothing tells there');
    const before = read();
    must(
      it().sh(
        `for each in $(cat /proc/${pid}/task/*/children); do [ "$(cat /proc/$each/comm)" != nft ] || kill -9 $each; done`,
      ),
    );
    // Its end alone causes a look, which has ended by then.
    await pause(600);
    must(it().sh(TAMPERS[kind][0]?.[1] ?? ''));
    seen.push(`while nothing tells: ${Math.round(await restored(before))} ms`);
  });

  test('takes in a tunnel that a hook reports and removes one that vanished silently', async () => {
    const before = read();
    must(it().sh('ip tuntap add tun0 mode tun; ip link set tun0 up'));
    must(it().hook('up', tunnelCall('tun0')));
    expect(it().status()).toMatchObject({ state: 'connected', exact: true });
    must(it().sh('ip link delete tun0'));
    await restored(before);
    expect(it().status()).toMatchObject({ state: 'blocked', exact: true, tunnels: [] });
  });

  test('leaves an unlocked machine alone, and guards it again after lock', async () => {
    const before = read();
    must(it().command('unlock'));
    must(it().sh('nft add table inet others; nft delete table inet others'));
    const open = read();
    // Its next look has ended when it has answered to a lock.
    must(it().command('lock'));
    expect(open).not.toContain('KILLSWITCH');
    expect(open).not.toContain('ovpn_killswitch');
    must(it().sh(TAMPERS[kind][0]?.[1] ?? ''));
    await restored(before);
  });

  test('stays small while others change rules all the time, and still puts ours back', async (context) => {
    const before = read();
    const cost = () =>
      must(it().sh(COST(pid)))
        .stdout.split(' ')
        .map(Number);
    const [started = 0] = cost();
    const storm = it().sandbox.ask(
      ['sh', '-c', STORM(STORM_SECONDS, ['nft', 'iptables'], STORM_RULES)],
      {
        milliseconds: patiently(30_000),
      },
    );
    await waitUntil('the storm', () => it().sh(HAS_BEGUN).status === 0);
    must(it().sh(TAMPER[backend]));
    const ours = () => it().sh(IS_BACK[backend]).status === 0;
    const tampered = performance.now();
    await waitUntil(
      'ours to be back in the storm',
      ours,
      PROMISED_MILLISECONDS + GRACE_MILLISECONDS,
    );
    const back = performance.now() - tampered;
    const { stdout, stderr } = await storm;
    const [ended = 0, memory = 0] = cost();
    const share = (ended - started) / STORM_SECONDS;
    seen.push(
      `storm of ${stdout.trim()} rules a second: ${Math.round(share * 100)} % of a processor, ${Math.round(memory)} MiB, back after ${Math.round(back)} ms`,
    );
    expect(share).toBeLessThan(Math.min(0.5 * machinePace(), 1));
    expect(memory).toBeLessThan(192);
    // The storm's, which it has left empty.
    if (kind === 'nftables') must(it().sh('nft delete table ip filter'));
    await restored(before);
    if (Number(stdout) < 1_000)
      context.skip(`this machine made ${stdout} changes a second, and no more: ${stderr}`);
  });

  test('has made no change of its own that was not needed', async () => {
    const generation = () => must(it().sh('nft monitor & p=$!; sleep 3; kill $p')).stdout;
    expect(generation()).toBe('');
  });

  test('ends when it is told to, with all that it has started', async () => {
    must(it().sh(`kill ${pid}`));
    await waitUntil('its end', () => it().sh(`kill -0 ${pid}`).status !== 0);
    expect(it().sh('ps -eo args').stdout).not.toMatch(/monitor/);
    expect(JSON.parse(it().command('status', '--json').stdout)).toMatchObject({
      watch: { enabled: false, running: false },
    });
  });
});

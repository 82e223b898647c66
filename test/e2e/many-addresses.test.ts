import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEVICE, NODE } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED, PUSHED_TIMERS } from '../../src/proof/openvpn.ts';
import { installProduct } from '../../src/proof/product.ts';
import { startService } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld } from '../../src/proof/world.ts';
import { PATIENT } from '../lab/open-lab.ts';
import { DIST } from './stage.ts';

/**
 * A provider with hundreds of addresses behind a name, as AWS Client VPN has them: its profiles say
 * `remote-random-hostname`, and any label before the name is the same servers'.
 */
const NAME = 'cvpn.test';
const MANY = 400;
/** Root's resolver on the open machine, and the one that the VPN pushes. */
const [ISP, PUSHED] = ['203.0.113.99', '10.8.0.99'];
const PROGRAM = resolve(import.meta.dirname, '../support/hostile-resolver.mjs');
const addresses = (net: string) =>
  Array.from({ length: MANY }, (_, n) => `${net}.${1 + Math.floor(n / 200)}.${(n % 200) + 1}`);
const [FIRST, SECOND] = ['198.18', '198.19'];

interface Status {
  readonly endpoints: readonly string[];
}

describe.each(['nftables', 'iptables'] as const)(
  `a name with ${MANY} addresses, with %s`,
  (backend) => {
    const obstacle = missingRequirements();
    test.skipIf(obstacle !== undefined)(
      `costs a choice among them and no connection, also when all of them move${obstacle === undefined ? '' : `: ${obstacle}`}`,
      async () => {
        const world = await openWorld({ dist: DIST, transport: 'udp' });
        try {
          const { sandbox } = world;
          const run = async (script: string) => {
            const { status, stdout, stderr } = await sandbox.ask(['sh', '-euc', script]);
            if (status !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
            return stdout;
          };
          const internet = (command: string) =>
            run(`nsenter --net=/run/netns/internet -- ${command}`);
          const say = (file: string, net: string) =>
            sandbox.run(['sh', '-c', `cat >/run/proof/${file}`], {
              stdin: JSON.stringify(addresses(net)),
            });
          for (const each of [ISP, PUSHED]) await internet(`ip addr add ${each}/32 dev lo`);
          await internet(`ip route add local ${FIRST}.0.0/16 dev lo`);
          await run(
            `printf '127.0.0.1 localhost\\n' >/etc/hosts; echo 'nameserver ${ISP}' >/etc/resolv.conf`,
          );
          say('isp.json', FIRST);
          say('pushed.json', FIRST);
          for (const [name, address, file] of [
            ['isp', ISP, 'isp.json'],
            ['pushed', PUSHED, 'pushed.json'],
          ] as const)
            await startService(
              sandbox,
              `resolver-${name}`,
              [NODE, PROGRAM, address, `/run/proof/${file}`],
              { at: 'internet' },
            ).says('ready');
          await world.startServer({
            pushes: [
              ...PUSHED_TIMERS,
              'redirect-gateway def1 ipv6',
              `dhcp-option DNS ${PUSHED}`,
              PATIENT,
            ],
            more: [PATIENT],
          });
          const product = await installProduct(sandbox, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
          const endpoints = async () =>
            (JSON.parse((await product.command('status', '--json')).stdout) as Status).endpoints;
          const timed = async <Result>(work: () => Promise<Result>) => {
            const since = performance.now();
            const result = await work();
            return { result, seconds: (performance.now() - since) / 1000 };
          };
          const connect = async (waits: number) => {
            const client = world.startClient();
            const { seconds } = await timed(() =>
              waitUntil('the connection', () => client.said().includes(CONNECTED), waits),
            );
            const [, address = ''] =
              /Peer Connection Initiated with \[AF_INET\]([\d.]+):/.exec(client.said()) ?? [];
            return { client, seconds, address };
          };
          const end = async (client: { readonly end: () => Promise<void> }) => {
            await client.end();
            await waitUntil(
              'the end',
              async () => (await sandbox.ask(['ip', 'link', 'show', DEVICE])).status !== 0,
            );
          };

          /** Questions to any resolver that were seen in clear so far. */
          const asked = async () => {
            await world.capture.tally();
            const { byName } = world.capture.soFar();
            return Object.entries(byName).reduce(
              (sum, [name, count]) => sum + (/ (53|853)$|dns/.test(name) ? count : 0),
              0,
            );
          };

          // A random label is another name at each try: none of them can be known.
          await world.writeProfile(true, NAME, {
            more: ['remote-random-hostname', 'resolv-retry 2'],
          });
          await product.must('lock');
          const open = await asked();
          expect(open).toBeGreaterThan(0);
          const random = world.startClient();
          await waitUntil(
            'its tries',
            () => (random.said().match(/Cannot resolve host address|RESOLVE:/g) ?? []).length > 1,
            60_000,
          );
          expect(random.said()).not.toContain(CONNECTED);
          expect(await asked()).toBe(open);
          await random.end();
          expect((await product.command('doctor')).stdout).toContain(`remote fixed.${NAME}`);
          await product.must('unlock');

          // A fixed label, as attach and doctor advise.
          await world.writeProfile(true, `fixed.${NAME}`);
          const locked = await timed(() => product.must('lock'));
          expect(await endpoints()).toHaveLength(MANY);
          const hosts = (await run('cat /etc/hosts'))
            .split('\n')
            .filter((line) => line.endsWith(` fixed.${NAME}`));
          expect(hosts).toHaveLength(MANY);
          const before = await asked();
          const first = await connect(30_000);
          expect(first.address.startsWith(`${FIRST}.`)).toBe(true);

          // All servers move while the client is connected: what it learns through the tunnel serves
          // next time.
          say('pushed.json', SECOND);
          await internet(`ip route add local ${SECOND}.0.0/16 dev lo`);
          const refreshed = await timed(() => product.must('refresh'));
          const after = await endpoints();
          expect(after.filter((each) => each.startsWith(`${SECOND}.`))).toHaveLength(12);
          await end(first.client);
          await internet(`ip route del local ${FIRST}.0.0/16 dev lo`);
          const moved = await connect(60_000);
          expect(moved.address.startsWith(`${SECOND}.`)).toBe(true);
          expect(await asked()).toBe(before);
          const shown = (each: { readonly seconds: number }) => `${each.seconds.toFixed(1)} s`;
          process.stdout.write(
            `${MANY} addresses with ${backend}: lock ${shown(locked)}, ${hosts.length} lines in /etc/hosts, connected after ${shown(first)}; refresh ${shown(refreshed)}, ${after.length} endpoints, all servers moved: connected after ${shown(moved)}\n`,
          );
        } finally {
          world.close();
        }
      },
    );
  },
);

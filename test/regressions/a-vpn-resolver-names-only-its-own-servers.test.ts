import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { INTERNET, NODE, VPN_NAME } from '../../src/proof/addresses.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED, PUSHED_TIMERS } from '../../src/proof/openvpn.ts';
import { installProduct } from '../../src/proof/product.ts';
import { startService } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { PATIENT } from '../lab/open-lab.ts';

/**
 * `refresh` asked the resolver of whichever VPN was connected for the names of all, and took
 * whatever it said: 404 addresses became endpoints for every program of root, LAN addresses and DNS
 * ports among them, and pushed another provider's servers out.
 */
const RESOLVER = '10.8.0.99';
const PROGRAM = resolve(import.meta.dirname, '../support/hostile-resolver.mjs');
const ANSWERS = '/run/proof/answers.json';
const OTHER_NAME = 'other.test';
const SHUT = [
  '127.0.0.1',
  '0.0.0.0',
  '10.0.0.7',
  '100.64.0.7',
  '169.254.7.7',
  '172.16.7.7',
  '192.168.77.20',
  '224.0.0.7',
];
const many = (third: number) =>
  Array.from({ length: 400 }, (_, n) => `198.18.${third + Math.floor(n / 200)}.${(n % 200) + 1}`);

interface Status {
  readonly endpoints: readonly string[];
  readonly names: readonly {
    readonly name: string;
    readonly addresses: readonly {
      readonly address: string;
      readonly from: string;
      readonly used?: number;
    }[];
  }[];
}

describe.each(['nftables', 'iptables'] as const)(
  'a hostile resolver of a VPN, with %s',
  (backend) => {
    const obstacle = missingRequirements();
    test.skipIf(obstacle !== undefined)(
      `adds a dozen addresses of its own name, and nothing else${obstacle === undefined ? '' : `: ${obstacle}`}`,
      async () => {
        const world = await openWorld({ dist: DIST, transport: 'udp' });
        try {
          const { sandbox } = world;
          const run = async (script: string) => {
            const { status, stdout, stderr } = await sandbox.ask(['sh', '-euc', script]);
            if (status !== 0) throw new Error(`${script}: ${stdout}${stderr}`);
          };
          const say = (addresses: readonly string[]) =>
            sandbox.run(['sh', '-c', `cat >${ANSWERS}`], { stdin: JSON.stringify(addresses) });
          await world.writeProfile(true, VPN_NAME, { more: [`remote ${VPN_NAME} 53`] });
          await run(`printf 'remote ${OTHER_NAME} 443 tcp\\nremote ${OTHER_NAME} 53\\n' >/etc/openvpn/client/other.conf
        printf '127.0.0.1 localhost\\n' >/etc/hosts; echo 'nameserver ${INTERNET.resolver4}' >/etc/resolv.conf
        nsenter --net=/run/netns/internet -- ip addr add ${RESOLVER}/32 dev lo`);
          const product = await installProduct(sandbox, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
          const status = async (): Promise<Status> =>
            JSON.parse((await product.command('status', '--json')).stdout);
          say([...SHUT, ...many(1)]);
          const resolver = startService(sandbox, 'hostile', [NODE, PROGRAM, RESOLVER, ANSWERS], {
            at: 'internet',
          });
          await resolver.says('ready');
          await world.startServer({
            pushes: [
              ...PUSHED_TIMERS,
              'redirect-gateway def1 ipv6',
              `dhcp-option DNS ${RESOLVER}`,
              PATIENT,
            ],
            more: [PATIENT],
          });

          const locked = await product.must('lock');
          const before = await status();
          expect(before.endpoints).toContain(`${INTERNET.web4}:443/tcp`);
          const client = world.startClient();
          await client.says(CONNECTED);
          await waitUntil(
            'the answers',
            async () => (await status()).endpoints.some((each) => each.startsWith('198.18.1.')),
            30_000,
          );
          await product.must('refresh');
          say([...SHUT, ...many(7)]);
          await product.must('refresh');
          await product.must('refresh');

          const after = await status();
          const asked = [...resolver.said().matchAll(/^asked (.+)$/gm)].map(([, name]) => name);
          expect(asked.length).toBeGreaterThan(2);
          expect([...new Set(asked)]).toEqual([VPN_NAME]);
          expect(before.endpoints.filter((each) => !after.endpoints.includes(each))).toEqual([]);
          const added = after.endpoints.filter((each) => !before.endpoints.includes(each));
          expect(added).toHaveLength(12);
          expect(added.filter((each) => !/^198\.18\.7\.\d+:1194\/udp$/.test(each))).toEqual([]);
          // The address that root found is the other provider's only one, and is still there.
          expect(after.names.find(({ name }) => name === OTHER_NAME)).toEqual(
            before.names.find(({ name }) => name === OTHER_NAME),
          );
          expect(locked).toContain(`from the system's resolvers (${INTERNET.resolver4})`);
          const own = after.names.find(({ name }) => name === VPN_NAME)?.addresses ?? [];
          expect(own.find(({ address }) => address === INTERNET.vpn4)).toMatchObject({
            from: 'lock',
            used: expect.any(Number),
          });
          expect(await product.command('status')).toMatchObject({
            status: 0,
            stdout: expect.stringContaining(`from the resolvers of tun0 (${RESOLVER})`),
          });
        } finally {
          world.close();
        }
      },
    );
  },
);

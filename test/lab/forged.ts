import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import { DEVICE, INTERNET, LAN, PORTS, VPN } from '../../src/proof/addresses.ts';
import { ROUTER } from '../../src/proof/capture.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { CONNECTED } from '../../src/proof/openvpn.ts';
import { installProduct } from '../../src/proof/product.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { debianRoot, type OpenvpnVersion } from '../support/debian-root.ts';
import { endCapture } from '../support/end-capture.ts';
import { PATIENT_SERVER } from './open-lab.ts';

const PROGRAM = readFileSync(resolve(import.meta.dirname, '../support/forge.pl'), 'utf8');
const PACKETS = [
  'syn',
  'syn-ack',
  'rst',
  'ack',
  'udp',
  'echo',
  'first-fragment',
  'later-fragment',
] as const;
const RECONNECTS = 10;
const SERVER = 'internet';

/** Where the client is inside the tunnel. */
interface Inside {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** Counts what the server gets out of the tunnel, but for neighbour discovery. */
const COUNT = `
table inet seen {
  counter answers {}
  chain pre { type filter hook prerouting priority -300; policy accept; iifname "srv0" icmpv6 type { 130-136, 143 } accept; iifname "srv0" counter name answers; }
}
`;

/** Answers so far: in clear and to the LAN at the router, and encrypted at the server. */
async function heard({ sandbox, capture }: World) {
  const { clear, lan, byName } = await capture.tally();
  const { stdout } = sandbox.run(['nft', 'reset', 'counter', 'inet', 'seen', 'answers'], {
    at: SERVER,
  });
  return { clear, lan, byName, encrypted: Number(/packets (\d+)/.exec(stdout)?.[1]) };
}

/**
 * Every packet of the set, to the address inside, from a host of the LAN, one of the internet and
 * the server's own address.
 */
function lines({ ipv4, ipv6 }: Inside): string {
  const ends = [
    [LAN.host4, ipv4],
    [INTERNET.web4, ipv4],
    [VPN.resolver4, ipv4],
    [LAN.host6, ipv6],
    [INTERNET.web6, ipv6],
    [VPN.resolver6, ipv6],
  ];
  return ends
    .flatMap(([from, to]) => PACKETS.map((kind) => `${kind} ${from} ${PORTS.web} ${to} 41000\n`))
    .join('');
}

/** Sends the set again and again from both sides until `work` has ended. */
async function forging(world: World, inside: Inside, work: () => Promise<void>): Promise<void> {
  const { sandbox } = world;
  let going = true;
  const send = async (at: string) => {
    while (going) await sandbox.ask(['perl', '-e', PROGRAM], { at, stdin: lines(inside) });
  };
  const senders = [ROUTER, SERVER].map(send);
  await work();
  going = false;
  await Promise.all(senders);
  // A fragment that waits for the rest of its packet is answered by then.
  await new Promise((done) => setTimeout(done, 2_500));
}

/**
 * The forged packets of CVE-2019-14899 against a real OpenVPN, while it is connected and while it
 * reconnects.
 */
export function specifyForged(version: OpenvpnVersion, backend: 'iptables' | 'nftables'): void {
  describe(`with OpenVPN ${version} and ${backend}`, () => {
    test('forged packets of the LAN and of the server get no answer, connected and in reconnects', async (context: TestContext) => {
      const obstacle = missingRequirements() ?? debianRoot(version).obstacle;
      if (obstacle !== undefined) context.skip(obstacle);
      const world = await openWorld({ dist: DIST, transport: 'udp', plan: debianRoot(version) });
      try {
        const { sandbox } = world;
        const product = await installProduct(sandbox, DIST, `KILLSWITCH_BACKEND=${backend}\n`);
        await world.writeProfile(true, INTERNET.vpn4, { more: ['connect-retry 0 1'] });
        await world.startServer(PATIENT_SERVER);
        await product.must('lock');
        const client = world.startClient();
        await client.says(CONNECTED);
        const addressOf = (family: string) =>
          /inet6? (\S+)\/\d+ .*scope global/.exec(
            sandbox.run(['ip', `-${family}`, '-o', 'address', 'show', 'dev', DEVICE]).stdout,
          )?.[1] ?? '';
        const inside = { ipv4: addressOf('4'), ipv6: addressOf('6') };
        const must = (at: string | undefined, script: string) => {
          const { status, stderr } = sandbox.run(['sh', '-eus'], {
            stdin: script,
            ...(at !== undefined && { at }),
          });
          if (status !== 0) throw new Error(stderr);
        };
        must(
          ROUTER,
          `ip route replace ${inside.ipv4} via ${LAN.client4}; ip -6 route replace ${inside.ipv6} via ${LAN.client6}`,
        );
        must(SERVER, `nft -f - <<'END'\n${COUNT}\nEND`);
        must(
          undefined,
          'echo 1 >/proc/sys/net/ipv4/ipfrag_time; echo 1 >/proc/sys/net/ipv6/ip6frag_time; for each in all default up0; do echo 0 >/proc/sys/net/ipv4/conf/$each/rp_filter; done',
        );
        await heard(world);
        const nothing = { clear: 0, lan: 0, byName: {}, encrypted: 0 };
        await forging(world, inside, () => new Promise((done) => setTimeout(done, 3_000)));
        expect(await heard(world)).toEqual(nothing);
        await forging(world, inside, async () => {
          for (let count = 0; count < RECONNECTS; count++) {
            const before = client.times(CONNECTED);
            client.signal('USR1');
            await client.says(CONNECTED, before + 1, 60_000);
          }
        });
        expect(await heard(world)).toEqual(nothing);
        // Not vacuous: they arrive, and are answered in clear and encrypted.
        await product.must('unlock');
        await forging(world, inside, () => new Promise((done) => setTimeout(done, 1_000)));
        const { clear, lan, encrypted } = await heard(world);
        expect(clear + lan).toBeGreaterThan(0);
        expect(encrypted).toBeGreaterThan(0);
        await endCapture(context, world.capture);
      } finally {
        world.close();
      }
    });
  });
}

import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { INTERNET } from '../../src/proof/addresses.ts';
import { type ClientPlan, PROFILE } from '../../src/proof/openvpn.ts';
import { writeSettings } from '../../src/proof/product.ts';
import { dumpWithoutKeptShut } from '../support/rule-dump.ts';
import { everyProbeIsSeen } from '../support/watched.ts';
import { factsAreTrue, statusOf } from './facts.ts';
import { type LabSetting, labWith } from './lab.ts';
import { type Lab, PATIENT } from './open-lab.ts';
import { works } from './works.ts';

const JAIL = '/run/jail';
/** The mark that OpenVPN puts on its packets (SO_MARK), which takes root or CAP_NET_ADMIN. */
const MARK = '0xca6c';

/** How a client runs, and whose packets may go to its server. */
interface Way {
  readonly name: string;
  readonly more: readonly string[];
  readonly settings: readonly string[];
  /** Whether `down` can take the rules away when the client ends. */
  readonly downWorks: boolean;
}

const WAYS: readonly Way[] = [
  {
    name: 'in a chroot, where no hook is',
    more: [`chroot ${JAIL}`, 'persist-key'],
    settings: [],
    downWorks: false,
  },
  {
    name: 'as an account of its own in a chroot',
    more: [`chroot ${JAIL}`, 'user _openvpn', 'persist-key', 'persist-tun'],
    settings: [],
    downWorks: false,
  },
  {
    name: 'as an account of its own',
    more: ['user _openvpn', 'persist-key', 'persist-tun'],
    settings: [],
    downWorks: false,
  },
  {
    name: 'with a mark on its packets',
    more: [`mark ${Number(MARK)}`],
    settings: [`KILLSWITCH_ENDPOINT_OWNER=mark:${MARK}`],
    downWorks: true,
  },
];

/** All rules, but for those that keep shut what the last connection had. */
function rulesOf(sandbox: Sandbox): readonly string[] {
  const { ipv4, ipv6, nft } = dumpWithoutKeptShut(sandbox);
  return [ipv4, ipv6, nft];
}

/** The promises about whose packets they are, with a client that gives up what it has. */
export function specifyPrivileges(setting: LabSetting): void {
  const { version, backend } = setting;
  describe(`OpenVPN ${version} with ${backend}`, () => {
    const on = labWith(setting);

    const ready = async ({ world: { sandbox } }: Lab) => {
      const script = `mkdir -p ${JAIL}/tmp; id _openvpn >/dev/null 2>&1 || echo '_openvpn:x:64500:64500::/:/bin/false' >>/etc/passwd; getent group _openvpn >/dev/null || echo '_openvpn:x:64500:' >>/etc/group`;
      expect((await sandbox.ask(['sh', '-euc', script])).stderr).toBe('');
    };

    test('every kind of probe is seen while nothing is locked', async (context) => {
      const lab = on(context);
      await ready(lab);
      await everyProbeIsSeen(lab);
      // The address of the server is not ours to speak to: these probes are seen too.
      expect(lab.world.probes.some(({ address }) => address === INTERNET.vpn4)).toBe(true);
    });

    for (const transport of ['udp', 'tcp'] as const)
      for (const { name, more, settings, downWorks } of WAYS)
        test(`a client ${name}, over ${transport}: only it may speak to its server, also after a restart, and nothing leaves`, async (context) => {
          const lab = on(context);
          const { product, world } = lab;
          const plan: ClientPlan = { transport, more: [...more, PATIENT] };
          await lab.disconnect();
          await product.must('unlock');
          await writeSettings(
            world.sandbox,
            [`KILLSWITCH_BACKEND=${backend}`, ...settings, ''].join('\n'),
          );
          await lab.serve({ transport, more: [PATIENT] });
          await world.writeProfile(false, undefined, plan);
          // With a chroot it leaves `down` out: OpenVPN does not start when it is not in there.
          await product.must('attach', PROFILE);
          await product.must('lock');
          const base = rulesOf(world.sandbox);
          const { vpn } = await lab.guarded(async () => {
            await lab.connect();
            await works(lab);
          });
          expect(vpn).toBeGreaterThan(20);
          await factsAreTrue(lab);
          await lab.guarded(async () => {
            await lab.client().end('TERM');
          });
          const left = await statusOf(product);
          expect(left).toMatchObject(
            downWorks
              ? { exit: 0, state: 'blocked', tunnels: [] }
              : { exit: 0, tunnels: [{ stale: true }] },
          );
          await product.must('lock');
          expect(await statusOf(product)).toMatchObject({ exit: 0, state: 'blocked', tunnels: [] });
          expect(rulesOf(world.sandbox)).toEqual(base);
          await lab.guarded(async () => {
            await lab.connect();
            await lab.client().end('KILL');
          });
          expect(await statusOf(product)).toMatchObject({ exit: 0, tunnels: [{ stale: true }] });
        });
  });
}

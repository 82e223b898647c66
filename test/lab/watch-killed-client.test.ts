import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DEVICE } from '../../src/proof/addresses.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { LOG } from '../hooks/installed-machine.ts';
import { withoutKeptShut } from '../support/rule-dump.ts';
import { factsAreTrue, statusOf } from './facts.ts';
import { labWith } from './lab.ts';
import { works } from './works.ts';

/** The product's promise, plus the time that a busy machine may add. */
const PROMISED_MILLISECONDS = 1_000;
const GRACE_MILLISECONDS = 2_000;

describe.each(['nftables', 'iptables'] as const)(
  'a client that is killed while its device stays, with %s,',
  (backend) => {
    const on = labWith({ version: '2.6', backend });

    test('leaves a tunnel that status calls gone, whose rules stay until watch runs; from then on they go with each killed client, and nothing leaves', async (context) => {
      const lab = on(context);
      const { sandbox } = lab.world;
      const sh = async (script: string) => {
        const { status, stdout, stderr } = await sandbox.ask(['sh', '-euc', script]);
        if (status !== 0) throw new Error(`${script}: ${stderr}`);
        return stdout;
      };
      const rules = async () =>
        withoutKeptShut(await sh('nft -s list ruleset; iptables-save; ip6tables-save'));
      const deviceStays = () => sh(`ip link show dev ${DEVICE}`);
      const log = () => readFileSync(`/proc/${sandbox.pid}/root${LOG}`, 'utf8');
      const hasPruned = () =>
        waitUntil(
          `the rules of ${DEVICE} to go`,
          async () => !(await rules()).includes(DEVICE),
          PROMISED_MILLISECONDS + GRACE_MILLISECONDS,
        );
      await sh(`openvpn --mktun --dev-type tun --dev ${DEVICE}`);
      await lab.profile();
      await lab.serve();

      await lab.guarded(async () => {
        await lab.connect();
        await factsAreTrue(lab);
        await lab.client().end('KILL');
      });
      await deviceStays();
      expect(await statusOf(lab.product)).toMatchObject({
        exit: 0,
        tunnels: [{ device: DEVICE, stale: true }],
      });
      expect(await lab.product.must('status')).toContain('GONE');
      expect(await rules()).toContain(DEVICE);
      const watch = sandbox.start(['/usr/local/sbin/ovpn-killswitch', 'watch']);
      await lab.guarded(hasPruned);
      expect(await statusOf(lab.product)).toMatchObject({ exit: 0, state: 'blocked', tunnels: [] });

      await lab.guarded(async () => {
        await lab.connect();
        await factsAreTrue(lab);
        await works(lab);
        const mark = log().length;
        await lab.client().end('KILL');
        await hasPruned();
        expect(log().slice(mark)).toContain(
          `${DEVICE} is gone and no hook of root's reported its end`,
        );
      });
      await deviceStays();
      expect(await statusOf(lab.product)).toMatchObject({ exit: 0, state: 'blocked', tunnels: [] });

      // The device is there to be used again.
      await lab.guarded(async () => void (await lab.connect()));
      await factsAreTrue(lab);
      await works(lab);
      await lab.disconnect();
      watch.kill();
    });
  },
);

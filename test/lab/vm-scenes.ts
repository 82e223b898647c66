import { expect } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { DEVICE } from '../../src/proof/addresses.ts';
import { OPENVPN_ENVIRONMENT } from '../support/openvpn-environment.ts';
import type { VmRoot } from '../support/vm.ts';
import { everyProbeIsSeen } from '../support/watched.ts';
import { statusOf } from './facts.ts';
import { BOOT } from './vm-boot-scenes.ts';
import { flowtable, uplinks } from './vm-flow-scenes.ts';
import { OFFLOADED, OFFLOADED_OTHERWISE } from './vm-offload-scenes.ts';
import type { Scene } from './vm-scene.ts';
import {
  BACKENDS,
  everyAccountWorks,
  guestIsSeen,
  isExactly,
  locked,
  strangerIsSeen,
} from './vm-way.ts';

/** Takes away everything but the guest's own table. */
const NO_RULES = `
rm -r /run/ovpn-killswitch
nft delete table inet ovpn_killswitch
for program in iptables ip6tables; do for table in filter mangle; do
  $program -t $table -F; $program -t $table -X
  for chain in INPUT FORWARD OUTPUT; do $program -t $table -P $chain ACCEPT; done
done; done
`;

/** A packet that is not seen while nothing is locked proves nothing later. */
const SEEN: Scene = {
  name: 'every kind of probe, the guest and a stranger who speaks to the server are seen while nothing is locked',
  play: async ({ lab }) => {
    const it = await lab();
    await it.product.must('unlock');
    await everyProbeIsSeen(it);
    await guestIsSeen(it);
    await strangerIsSeen(it);
  },
};

/** As src/run-hook.ts has it, which loads more than can be bundled here. */
const HOOK_MILLISECONDS = 20_000;

/**
 * OpenVPN waits for a hook, which gives up after 20 s: this is about the slowest machine that
 * anybody has.
 */
const hooks = (backend: BackendName): Scene => ({
  name: `${backend}: up ends in less than half of a hook's time`,
  play: async ({ lab, tell }) => {
    const it = await lab();
    const { product, world } = it;
    await locked(it, { backend });
    await world.sandbox.ask([
      'sh',
      '-euc',
      `ip tuntap add dev ${DEVICE} mode tun; ip link set ${DEVICE} up`,
    ]);
    const up = async () => {
      const started = performance.now();
      const only = { ...OPENVPN_ENVIRONMENT, script_type: 'up', script_context: 'init' };
      const { status, stderr } = await world.sandbox.ask(
        [`${PATHS.library}/hooks/up`, DEVICE, '1500', '0', '10.8.0.2', '255.255.255.0', 'init'],
        { only },
      );
      expect([status, stderr]).toEqual([0, stderr]);
      return performance.now() - started;
    };
    const short = await up();
    expect(await statusOf(product)).toMatchObject({ exit: 0, state: 'connected' });
    // Without what the last transaction left to know, the whole ruleset is read, checked, loaded
    // and read again.
    await world.sandbox.ask(['rm', `${PATHS.runtime}/last-transaction`]);
    const long = await up();
    await world.sandbox.ask(['ip', 'link', 'delete', DEVICE]);
    expect(Math.max(short, long)).toBeLessThan(HOOK_MILLISECONDS / 2);
    tell(
      `${backend}: up took ${short.toFixed(0)} ms, and ${long.toFixed(0)} ms where it reads all rules`,
    );
  },
});

/** From lock to unlock, without data channel offload. */
const whole = (backend: BackendName): Scene => ({
  name: `${backend}: from lock to unlock nothing leaves but the VPN, which works, also after kill -9 and after the boot script`,
  play: async ({ lab }) => {
    const it = await lab();
    const { product, world } = it;
    await locked(it, { backend });
    await it.guarded(async () => {
      await it.connect();
      await everyAccountWorks(it);
    });
    expect(await statusOf(product)).toMatchObject({
      exit: 0,
      state: 'connected',
      tunnels: [{ stale: false }],
    });
    await it.guarded(() => it.client().end('KILL'));
    expect(await statusOf(product)).toMatchObject({ exit: 0, tunnels: [{ stale: true }] });
    await product.must('lock');
    expect(await statusOf(product)).toMatchObject({ exit: 0, state: 'blocked', tunnels: [] });
    // As after a reboot: no rule of ours is there, and the script has nothing but sh.
    await world.sandbox.ask(['sh', '-c', NO_RULES]);
    const { status, stderr } = await world.sandbox.ask(['/usr/local/lib/ovpn-killswitch/boot'], {
      only: {},
    });
    expect([status, stderr]).toEqual([0, '']);
    await it.guarded(async () => undefined);
    await isExactly(product, 'blocked');
    await product.must('unlock');
    await guestIsSeen(it);
  },
});

/** A lost packet could have been one in clear. Ends the lab. */
const NOTHING_LOST: Scene = {
  name: 'the capture has lost no packet of all this',
  play: ({ closeLab }) => closeLab(),
};

/** The scenes that CI leaves out on the kernels between the oldest and the newest. */
const ELSEWHERE: readonly Scene[] = [
  ...BACKENDS.map(hooks),
  ...BACKENDS.map(flowtable),
  ...BACKENDS.map(uplinks),
];

/**
 * The scenes of a root's virtual machine, in this order. A scene that takes too long for every run
 * of CI is played when `every` scene is.
 */
export function scenesOf(root: VmRoot, every: boolean): readonly Scene[] {
  const otherwise = (scenes: readonly Scene[]) => (every ? scenes : []);
  switch (root) {
    case 'kernel-5.10':
      return [
        SEEN,
        ...BACKENDS.map(whole),
        flowtable('iptables'),
        ...otherwise([...BACKENDS.map(hooks), flowtable('nftables'), ...BACKENDS.map(uplinks)]),
        NOTHING_LOST,
        ...BOOT,
      ];
    case 'kernel-6.1':
      return [
        SEEN,
        whole('iptables'),
        ...otherwise([whole('nftables'), ...ELSEWHERE]),
        NOTHING_LOST,
        ...BOOT,
      ];
    case 'kernel-6.12':
      return [
        SEEN,
        whole('nftables'),
        ...otherwise([whole('iptables'), ...ELSEWHERE]),
        NOTHING_LOST,
        ...BOOT,
      ];
    case 'kernel-7.3':
      return [
        SEEN,
        ...OFFLOADED,
        flowtable('nftables'),
        uplinks('iptables'),
        ...otherwise([
          ...OFFLOADED_OTHERWISE,
          ...BACKENDS.map(hooks),
          ...BACKENDS.map(whole),
          flowtable('iptables'),
          uplinks('nftables'),
        ]),
        NOTHING_LOST,
        ...BOOT,
      ];
    default:
      return root satisfies never;
  }
}

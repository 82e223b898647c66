import { INTERNET, ROUTER_SIDE, UPLINK } from '../../src/proof/addresses.ts';
import { ROUTER } from '../../src/proof/capture.ts';
import { startService } from '../../src/proof/service.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { openWorld, type World } from '../../src/proof/world.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, type BootPlan, bootAt } from './booted.ts';

/** Where probes go: a port of a host on the internet, by way of the LAN's router. */
const PROBED = `/dev/udp/${INTERNET.web4}/7777`;

/** Booted machines on one bridge, and a capture at the router's side of it. */
export interface Fleet {
  readonly world: World;
  /** By the names of their plans. */
  readonly machines: ReadonlyMap<string, Booted>;
  /** The IPv4 address of a machine on the LAN. */
  address(name: string): string;
  /** Has each of these machines send a probe with this word; returns those that the router saw. */
  seen(names: readonly string[], word: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

const BRIDGE = (names: readonly string[]) => `
ip addr flush dev ${UPLINK}
ip link add bridge type bridge
ip link set ${UPLINK} master bridge
ip link set bridge up
for each in ${names.join(' ')}; do
  ip link add card-$each type veth peer name port-$each
  ip link set port-$each master bridge up
done
`;

/**
 * Boots machines on one bridge, with the router of a world. `marker` names the machine that is
 * never locked: its probe tells that the capture has seen all earlier ones.
 * @throws Error with what did not start; then nothing is left.
 */
export async function bootFleet(
  plans: Readonly<Record<string, BootPlan>>,
  marker: string,
): Promise<Fleet> {
  const names = Object.keys(plans);
  const address = (name: string) => `192.168.77.${31 + names.indexOf(name)}`;
  const world = await openWorld({ dist: DIST, transport: 'udp' });
  const machines = new Map<string, Booted>();
  const close = async () => {
    await Promise.all([...machines.values()].map((each) => each.close()));
    world.close();
  };
  try {
    const { status, stderr } = await world.sandbox.ask(['sh', '-euc', BRIDGE(names)]);
    if (status !== 0) throw new Error(`the bridge: ${stderr}`);
    const dump = startService(
      world.sandbox,
      'probes',
      ['tcpdump', '-i', ROUTER_SIDE, '-nn', '-l', '-A', '-Z', 'root', 'udp port 7777'],
      { at: ROUTER },
    );
    await dump.says('listening on');
    const booted = await Promise.allSettled(
      Object.entries(plans).map(async ([name, plan], index) => {
        const own = {
          ipv4: address(name),
          ipv6: `fd77::${31 + index}`,
          global6: `2001:db8:77::${31 + index}`,
        };
        const seat = { name, card: `card-${name}`, own, leave: () => undefined };
        machines.set(name, await bootAt(world, plan, seat));
      }),
    );
    for (const each of booted) if (each.status === 'rejected') throw each.reason;
    const send = async (name: string, text: string) => {
      const machine = machines.get(name);
      if (machine === undefined) throw new Error(`there is no machine ${name}`);
      // A locked machine tells the sender that its packet may not leave.
      await machine.ask(['bash', '-c', `for turn in 1 2 3; do echo '${text}' >${PROBED}; done`]);
    };
    return {
      world,
      machines,
      address,
      seen: async (senders, word) => {
        const text = (name: string) => `probe-${name}-${word}.`;
        await Promise.all(senders.map((name) => send(name, text(name))));
        await waitUntil('the marker', async () => {
          await send(marker, text(marker));
          return dump.said().includes(text(marker));
        });
        return senders.filter((name) => dump.said().includes(text(name)));
      },
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

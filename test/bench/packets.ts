import { openSandbox, type Sandbox } from '../../src/host/sandbox.ts';
import { serve, traffic } from './connections.ts';
import type { Plan } from './groups.ts';
import { hookRun, openMachine, serverAddress } from './machines.ts';
import { type Row, rowsOf } from './measure.ts';

const COUNTS = [1, 100, 1000, 10_000] as const;
const KINDS = ['connections', 'datagrams'] as const;
const PORT = 1194;
const FAR = 'far';

/**
 * Each machine talks to the last of its endpoints: a list that is walked from its start is walked
 * to its end. It is connected there over UDP, so that datagrams are those of a live tunnel, and TCP
 * connections those of a client that is about to connect.
 */
interface Place {
  readonly name: string;
  readonly sandbox: Sandbox;
  readonly address: string;
}

/** A host beyond a cable, with the endpoint's address. */
async function connectCable({ sandbox, address }: Place, tools: string): Promise<void> {
  const { status, stderr } = sandbox.run(['sh', '-eu'], {
    stdin: `ip netns add ${FAR}
ip link add near0 type veth peer name far0 netns ${FAR}
ip addr add 192.0.2.1/24 dev near0
ip link set near0 up
ip -n ${FAR} addr add 192.0.2.2/24 dev far0
ip -n ${FAR} addr add ${address}/32 dev far0
ip -n ${FAR} link set far0 up
ip -n ${FAR} link set lo up
ip route add ${address}/32 via 192.0.2.2\n`,
  });
  if (status !== 0) throw new Error(stderr);
  await serve(sandbox, tools, FAR, address, PORT);
}

export async function measurePackets({ tools, seconds, repeats }: Plan): Promise<readonly Row[]> {
  const places: Place[] = [];
  try {
    places.push({ name: 'unlocked', sandbox: await openSandbox(), address: serverAddress(1) });
    for (const backend of ['nftables', 'iptables'] as const)
      for (const endpoints of COUNTS) {
        const { sandbox, stopwatch } = await openMachine(`${tools}stopwatch.js`, {
          backend,
          endpoints,
          transports: ['tcp', 'udp'],
        });
        const { status, stderr } = await stopwatch(
          hookRun('up', { remotes: 1, server: endpoints }),
        );
        if (status !== 0) throw new Error(stderr);
        const name = `${backend}, ${endpoints} endpoint${endpoints === 1 ? '' : 's'}`;
        places.push({ name, sandbox, address: serverAddress(endpoints) });
      }
    for (const place of places) await connectCable(place, tools);
    const groups = KINDS.map((kind) => ({ kind, samples: new Map<string, number[]>() }));
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const { kind, samples } of groups)
        for (const { name, sandbox, address } of places) {
          const through = await traffic(sandbox, tools, {
            kind,
            address,
            port: PORT,
            milliseconds: (seconds * 1000) / 2,
          });
          samples.set(`${kind}, ${name}`, [...(samples.get(`${kind}, ${name}`) ?? []), through]);
        }
    return groups.flatMap(({ samples }) => rowsOf(samples));
  } finally {
    for (const { sandbox } of places) sandbox.close();
  }
}

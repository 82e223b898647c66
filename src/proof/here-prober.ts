import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { HERE_PROBES, type HereOrders, type HereProbe } from './here-probes.ts';

const PAUSE_MILLISECONDS = 20;
/** TCP sends a SYN again after a second: a longer timeout would count one connection twice. */
const CONNECTION_MILLISECONDS = 200;

const { rounds, sources }: HereOrders = JSON.parse(process.argv[2] ?? '');

function sendDatagram({ address, port }: HereProbe, source: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const done = () => socket.close(() => resolve());
    socket.once('error', done);
    socket.bind({ port: 0, ...(source !== undefined && { address: source }) }, () =>
      socket.send('prove', port, address, done),
    );
  });
}

function dial({ address, port }: HereProbe, source: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({
      host: address,
      port,
      ...(source !== undefined && { localAddress: source }),
    });
    socket.setTimeout(CONNECTION_MILLISECONDS, () => socket.destroy());
    socket.on('error', () => undefined).once('close', () => resolve());
  });
}

async function sendAll(): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const sent = HERE_PROBES.flatMap((probe) => {
      const own = sources.filter((source) => source.includes(':') === probe.address.includes(':'));
      return [undefined, ...own].map((source) =>
        probe.transport === 'udp' ? sendDatagram(probe, source) : dial(probe, source),
      );
    });
    await Promise.all([...sent, setTimeout(PAUSE_MILLISECONDS)]);
  }
}

void sendAll();

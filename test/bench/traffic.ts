import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';

/** Traffic of one kind to one place, for so long. */
export interface TrafficOrders {
  readonly kind: 'serve' | 'stream' | 'datagrams' | 'connections';
  readonly address: string;
  readonly port: number;
  readonly milliseconds: number;
}

// A program of its own. `serve` takes all there is; the others write how many bytes, datagrams or
// connections they got through each second.
const { kind, address, port, milliseconds } = JSON.parse(process.argv[2] ?? '') as TrafficOrders;
const PAYLOAD = Buffer.alloc(64 * 1024);
const DATAGRAM = Buffer.alloc(64);
const ASK = Buffer.from('how many');

function report(many: number, since: number): void {
  process.stdout.write(`${(many * 1000) / (performance.now() - since)}\n`, () => process.exit(0));
}

function serve(): void {
  let bytes = 0;
  // A client that sends nothing wanted the connection alone.
  createServer((socket) => {
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (chunk.length === ASK.length) socket.end(String(bytes));
    });
    socket.on('error', () => undefined);
  })
    .listen({ host: address, port, backlog: 4096 })
    .on('listening', () => process.stdout.write('ready\n'));
  let datagrams = 0;
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    if (message.length === DATAGRAM.length) datagrams++;
    else udp.send(String(datagrams), from.port, from.address);
  });
  udp.bind(port, address);
}

function stream(): void {
  const socket = connect(port, address);
  const since = performance.now();
  const push = () => {
    while (performance.now() - since < milliseconds)
      if (!socket.write(PAYLOAD)) return void socket.once('drain', push);
    report(socket.bytesWritten - socket.writableLength, since);
  };
  socket.once('connect', push);
}

function datagrams(): void {
  const udp = createSocket('udp4');
  let sent = 0;
  const since = performance.now();
  const burst = () => {
    if (performance.now() - since >= milliseconds) {
      udp.once('message', (answer) => report(Number(answer), since));
      setInterval(() => udp.send(ASK, port, address), 20);
      return;
    }
    const each = () => {
      if (--sent === 0) burst();
    };
    sent = 64;
    for (let index = 0; index < 64; index++) udp.send(DATAGRAM, port, address, each);
  };
  burst();
}

function connections(): void {
  let made = 0;
  const since = performance.now();
  const next = () => {
    if (performance.now() - since >= milliseconds) return report(made, since);
    const socket = connect(port, address, () => {
      made++;
      socket.resetAndDestroy();
    });
    socket.once('close', next);
    socket.on('error', () => undefined);
  };
  next();
}

const KINDS = { serve, stream, datagrams, connections } as const;
KINDS[kind]();

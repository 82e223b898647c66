import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { query } from './dns-message.ts';
import {
  marker,
  PROBER_PORTS,
  type Probe,
  type ProberOrders,
  type ProberReport,
} from './probes.ts';

/** Timeout of a probe's connection. */
const CONNECTION_MILLISECONDS = 250;
const REPORT_MILLISECONDS = 50;
/** The most payloads sent at once when the clock has run ahead. */
const BURST = 200;

const { probes, payloads, connects, seconds }: ProberOrders = JSON.parse(process.argv[2] ?? '');
// Skip stack traces: refusals come by the thousand, and nobody reads where they were raised.
Error.stackTraceLimit = 0;

const started = performance.now();
const tried: Record<string, number> = {};
const refused: Record<string, number> = {};
let sequence = 0;
let port: number = PROBER_PORTS.first;

function count(counts: Record<string, number>, { name }: Probe): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function report(): void {
  const line: ProberReport = {
    uid: process.getuid?.() ?? 0,
    elapsed: performance.now() - started,
    tried,
    refused,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// An own lookup saves one turn of the event loop for each payload. Unconnected sockets look the
// route up anew for each one.
function open(type: 'udp4' | 'udp6', family: number): DatagramSocket {
  const socket = createSocket({ type, lookup: (host, _options, done) => done(null, host, family) });
  socket.on('error', () => undefined);
  return socket;
}

const sockets = { udp4: open('udp4', 4), udp6: open('udp6', 6) };

function send(probe: Probe): void {
  const text = marker(probe.name, sequence++);
  const payload = probe.question ? query(text, 'A', sequence & 0xffff) : Buffer.from(text);
  count(tried, probe);
  sockets[probe.address.includes(':') ? 'udp6' : 'udp4'].send(
    payload,
    probe.port,
    probe.address,
    (error) => {
      if (error !== null) count(refused, probe);
    },
  );
}

function dial(probe: Probe): void {
  const text = marker(probe.name, sequence++);
  port = port >= PROBER_PORTS.last ? PROBER_PORTS.first : port + 1;
  count(tried, probe);
  const socket: Socket = connect({ host: probe.address, port: probe.port, localPort: port });
  socket.setTimeout(CONNECTION_MILLISECONDS, () => socket.destroy());
  socket.once('connect', () => socket.write(text));
  socket.once('data', () => socket.resetAndDestroy());
  socket.once('error', () => count(refused, probe));
}

/** Calls `work` at a rate, catching up when the clock has run ahead. */
function pace(perSecond: number, work: (turn: number) => void): void {
  if (perSecond <= 0) return;
  let done = 0;
  setInterval(
    () => {
      const due = Math.floor(((performance.now() - started) / 1000) * perSecond);
      for (let burst = 0; done < due && burst < BURST; burst++) work(done++);
    },
    Math.max(1, Math.min(10, 1000 / perSecond)),
  );
}

const [datagrams, connections] = [
  probes.filter(({ transport }) => transport === 'udp'),
  probes.filter(({ transport }) => transport === 'tcp'),
];
report();
if (datagrams.length > 0)
  pace(payloads, (turn) => {
    const probe = datagrams[turn % datagrams.length];
    if (probe !== undefined) send(probe);
  });
if (connections.length > 0)
  pace(connects, () => {
    for (const probe of connections) dial(probe);
  });
setInterval(report, REPORT_MILLISECONDS);

function end(): void {
  report();
  process.exit(0);
}
process.on('SIGTERM', end);
setTimeout(end, seconds * 1000);

/**
 * A VPN provider's resolver that wants more than its own: `node hostile-resolver.mjs ADDRESS FILE`. It says
 * of every name what FILE holds now, a JSON list of IPv4 addresses, and prints each question. Over UDP it
 * sends everybody to TCP, where hundreds of addresses fit.
 */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const [address, file] = process.argv.slice(2);

function endOfQuestion(message) {
  let at = 12;
  while (message[at] !== 0) at += message[at] + 1;
  return at + 5;
}

function nameOf(message, end) {
  const labels = [];
  for (let at = 12; at < end - 5; at += message[at] + 1)
    labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
  return labels.join('.');
}

function answer(message, truncates) {
  const end = endOfQuestion(message);
  const isA = message.readUInt16BE(end - 4) === 1;
  if (!truncates || !isA) process.stdout.write(`asked ${nameOf(message, end)}\n`);
  const addresses = isA && !truncates ? JSON.parse(readFileSync(file, 'utf8')) : [];
  const header = Buffer.from([
    message[0],
    message[1],
    isA && truncates ? 0x87 : 0x85,
    0x80,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
  ]);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((each) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...each.split('.').map(Number)]),
  );
  return Buffer.concat([header, message.subarray(12, end), ...records]);
}

const udp = createSocket('udp4');
udp.on('message', (message, from) => udp.send(answer(message, true), from.port, from.address));
const tcp = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    const reply = answer(data.subarray(2), false);
    socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
  });
});
udp.bind(53, address, () => tcp.listen(53, address, () => process.stdout.write('ready\n')));

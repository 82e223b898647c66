import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { answeredAddress, query } from './dns-message.ts';
import { type Visit, type VisitorOrders, WEB_ADDRESSES } from './services.ts';

const { visits, milliseconds }: VisitorOrders = JSON.parse(process.argv[2] ?? '');

function exchange({ address, port }: Visit, payload: Buffer): Promise<Buffer | null> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  return new Promise((resolve) => {
    const end = (reply: Buffer | null) => {
      clearTimeout(timer);
      socket.close();
      resolve(reply);
    };
    const timer = setTimeout(() => end(null), milliseconds);
    socket.once('message', end);
    socket.send(payload, port, address, (error) => {
      if (error !== null) end(null);
    });
  });
}

function page({ address, port }: Visit): Promise<string | null> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host: address, port });
    const timer = setTimeout(() => socket.destroy(), milliseconds);
    socket.once('connect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(/\r\n\r\n(.+)\n$/.exec(text)?.[1] ?? null);
    });
  });
}

async function visit(each: Visit): Promise<string | null> {
  const { service, name, type = 'A' } = each;
  switch (service) {
    case 'web':
      return page(each);
    case 'echo': {
      const payload = Buffer.from(`echo ${name}`);
      const reply = await exchange(each, payload);
      return reply?.equals(payload) === true ? 'echo' : null;
    }
    case 'dns': {
      const reply = await exchange(each, query('web', type));
      if (reply === null) return null;
      return answeredAddress(reply)?.equals(WEB_ADDRESSES[type]) === true
        ? 'web host'
        : 'another address';
    }
    default:
      return service satisfies never;
  }
}

Promise.all(visits.map(async (each) => [each.name, await visit(each)] as const)).then((answers) => {
  process.stdout.write(`${JSON.stringify(Object.fromEntries(answers))}\n`);
});

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { VPN_NAME } from './addresses.ts';
import { answer, questionName } from './dns-message.ts';
import type { Listener, ResponderOrders } from './services.ts';
import { vpnAddresses, WEB_ADDRESSES } from './services.ts';

const { listeners }: ResponderOrders = JSON.parse(process.argv[2] ?? '');

function listen({ service, address, port }: Listener): Promise<void> {
  switch (service) {
    case 'echo':
    case 'dns': {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (message, { address: to, port: toPort }) => {
        const reply =
          service === 'echo'
            ? message
            : answer(
                message,
                questionName(message) === VPN_NAME ? vpnAddresses(address) : WEB_ADDRESSES,
              );
        // The asker may be gone, or behind a firewall that has just closed.
        if (reply !== undefined) socket.send(reply, toPort, to, () => undefined);
      });
      return new Promise((resolve) => socket.bind(port, address, resolve));
    }
    case 'web': {
      const server = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.setTimeout(2000, () => socket.destroy());
        // The page is the visitor's address, as the web sees it.
        socket.once('data', () =>
          socket.end(`HTTP/1.0 200 OK\r\nConnection: close\r\n\r\n${socket.remoteAddress}\n`),
        );
      });
      return new Promise((resolve) => server.listen({ port, host: address }, resolve));
    }
    default:
      return service satisfies never;
  }
}

Promise.all(listeners.map(listen)).then(
  () => {
    process.stdout.write('ready\n');
  },
  (error) => {
    process.stderr.write(`${error}\n`);
    process.exit(1);
  },
);

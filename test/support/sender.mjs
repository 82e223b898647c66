// Sends the probes it is told over a socket file, one JSON line for each batch, and answers when all are on their way. It runs inside a
// sandbox, as the user whose packets they shall be.
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { chmodSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** A filter's drop is EPERM for the sender, its refusal ECONNREFUSED: both mean that the packet reached the filter. */
const SEEN_BY_FILTER = new Set(['EPERM', 'ECONNREFUSED', 'EHOSTUNREACH', 'EACCES']);

function settle(problem, resolve, reject, probe) {
  if (problem === null || problem === undefined || SEEN_BY_FILTER.has(problem.code)) resolve();
  else reject(new Error(`${problem.message} (${JSON.stringify(probe)})`));
}

function udp(probe) {
  return new Promise((resolve, reject) => {
    const socket = createSocket({
      type: probe.to.includes(':') ? 'udp6' : 'udp4',
      reuseAddr: true,
    });
    socket.once('error', (problem) =>
      reject(new Error(`${problem.message} (${JSON.stringify(probe)})`)),
    );
    socket.bind({ port: probe.fromPort, address: probe.from }, () => {
      if (!probe.to.includes(':')) socket.setBroadcast(true);
      const to = probe.zone === undefined ? probe.to : `${probe.to}%${probe.zone}`;
      socket.send('probe', probe.toPort, to, (problem) => {
        socket.close();
        settle(problem, resolve, reject, probe);
      });
    });
  });
}

function tcp(probe) {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: probe.to,
      port: probe.toPort,
      localAddress: probe.from,
      localPort: probe.fromPort,
    });
    socket.once('error', (problem) => settle(problem, resolve, reject, probe));
    // connect(2) has sent the SYN by then; what is closed now sends no second one.
    setImmediate(() => {
      socket.destroy();
      resolve();
    });
  });
}

function icmp(probe) {
  return new Promise((resolve, reject) => {
    const target = probe.zone === undefined ? probe.to : `${probe.to}%${probe.zone}`;
    const args = [
      '-n',
      '-c',
      '1',
      '-W',
      '0.02',
      '-b',
      '-I',
      probe.device,
      '-I',
      probe.from,
      target,
    ];
    execFile(
      'ping',
      args.filter((word) => word !== '-b' || !probe.to.includes(':')),
      (problem, _stdout, stderr) => {
        // 1: nothing came back; 2: the filter dropped the packet under ping's hands. Anything else never reached it.
        if (problem === null || problem.code === 1 || /not permitted|Packet filtered/.test(stderr))
          resolve();
        else reject(new Error(`ping: ${stderr.trim()} (${JSON.stringify(probe)})`));
      },
    );
  });
}

function echo(probe) {
  return new Promise((resolve, reject) => {
    const socket = createSocket(probe.from.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', reject);
    socket.on('message', (message, { address, port }) => socket.send(message, port, address));
    socket.bind({ port: probe.fromPort, address: probe.from }, resolve);
  });
}

const SEND = { udp, tcp, icmp, echo };
const path = process.argv[2] ?? '';
const server = createServer((client) => {
  createInterface({ input: client }).on('line', (line) => {
    Promise.all(JSON.parse(line).map((probe) => SEND[probe.transport](probe))).then(
      () => client.write('sent\n'),
      (problem) => client.write(`${problem.message.replaceAll('\n', ' ')}\n`),
    );
  });
});
server.listen(path, () => {
  chmodSync(path, 0o777);
  process.stdout.write('ready\n');
});

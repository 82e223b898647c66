import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { KINDS } from '../support/kinds.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct, type Product } from '../support/product.ts';

const SOON = { timeout: patiently(40_000), interval: 50 };

/** This machine and a client beyond its uplink, from the internet. */
const NETWORK = `
set -e
ip netns add client
ip link add eth0 type veth peer name eth0 netns client
ip addr add 203.0.113.5/24 dev eth0; ip link set eth0 up
ip -n client addr add 203.0.113.7/24 dev eth0; ip -n client link set eth0 up; ip -n client link set lo up
`;

/** Answers each line in two connections; what runs in them has the variable of sshd(8). */
const SERVER = `
process.title = 'sshd';
const { createServer } = require('node:net');
createServer((socket) => {
  socket.on('error', () => undefined).on('data', (data) => {
    const text = String(data);
    if (!text.startsWith('run ')) { socket.write(text); return; }
    const env = { SSH_CONNECTION: [socket.remoteAddress, socket.remotePort, socket.localAddress, socket.localPort].join(' ').replaceAll('::ffff:', '') };
    // As sudo does, the command itself is started without it.
    const child = require('node:child_process').spawn('sh', ['-c', 'env -i ' + text.slice(4).trim() + '; true'], { env });
    child.stdout.on('data', (out) => socket.write(out)); child.stderr.on('data', (out) => socket.write(out));
    child.on('close', () => socket.write('ended\\n'));
  });
}).listen(22, '0.0.0.0', () => console.log('ready'));
`;

/**
 * Two connections from the client: lines in as "1 text" and "2 text", what comes back out the same
 * way.
 */
const CLIENT = `
const { connect } = require('node:net');
const { createInterface } = require('node:readline');
const sockets = [50022, 50023].map((localPort, index) => {
  const socket = connect({ host: '203.0.113.5', port: 22, localPort }).on('error', () => undefined)
    .on('connect', () => console.log(index + 1 + ' open'));
  createInterface({ input: socket }).on('error', () => undefined).on('line', (line) => console.log(index + 1 + ' ' + line));
  return socket;
});
createInterface({ input: require('node:fs').createReadStream('/run/lines') })
  .on('line', (line) => sockets[Number(line[0]) - 1].write(line.slice(2) + '\\n'));
`;

describe.each(KINDS)('%s', (kind) => {
  let product: Product | undefined;
  const machine = machineWith(kind, (sandbox) => {
    product = installProduct(sandbox);
    product.set({
      KILLSWITCH_BACKEND: kind === 'nftables' ? 'nftables' : 'iptables',
      KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp',
      KILLSWITCH_LAN: 'off',
    });
    const made = sandbox.run(['sh', '-c', NETWORK]);
    if (made.status !== 0) throw new Error(made.stderr);
    sandbox.run(['mkfifo', '/run/lines']);
  });

  test('lock, said in an SSH session from the internet, keeps that session open, and no other, until unlock', async (context) => {
    const sandbox = machine.sandbox(context);
    if (product === undefined) throw new Error('not installed');
    const server = sandbox.start([process.execPath, '-e', SERVER]);
    if (server.stdout === null) throw new Error('the server has no output');
    await once(server.stdout, 'data');
    const client = sandbox.start([process.execPath, '-e', CLIENT], { at: 'client' });
    const heard: string[] = [];
    if (client.stdout === null) throw new Error('the client has no output');
    createInterface({ input: client.stdout }).on('line', (line) => heard.push(line));
    const writer = sandbox.start([
      'sh',
      '-c',
      'exec 3>/run/lines; while [ ! -e /run/stop ]; do sleep 0.2; done',
    ]);
    const say = (line: string) => sandbox.run(['sh', '-c', `echo '${line}' > /run/lines`]);
    await expect.poll(() => [...heard].sort(), SOON).toEqual(['1 open', '2 open']);

    say('1 run /usr/local/sbin/ovpn-killswitch lock --yes');
    await expect.poll(() => heard, SOON).toContain('1 ended');
    expect(heard.join('\n')).toMatch(
      /1 {3}You are connected by SSH from 203\.0\.113\.7: this one session goes on/,
    );
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    say('2 and me?');
    say('1 still here');
    await expect.poll(() => heard, SOON).toContain('1 still here');
    // The other session had as long.
    expect(heard).not.toContain('2 and me?');
    const words = ['out', 'tcp', '203.0.113.7', '50023', '--from-port', '22', '--as', '0'];
    expect(product.run('explain', ...words).stdout).toMatch(/^drop: rest/);

    const again = product.succeed('lock');
    expect(again.stdout).not.toContain('You are connected by SSH');
    say('1 after another lock');
    await expect.poll(() => heard, SOON).toContain('1 after another lock');

    client.kill('SIGKILL');
    await once(client, 'exit');
    sandbox.run(['touch', '/run/stop']);
    server.kill('SIGKILL');
    writer.kill('SIGKILL');
    sandbox.run([
      'sh',
      '-c',
      'for pid in $(ss -Htnp state established 2>/dev/null | sed -n "s/.*pid=\\([0-9]*\\).*/\\1/p"); do kill -9 $pid; done',
    ]);
    await expect
      .poll(() => sandbox.run(['grep', '-c', ' 01 ', '/proc/net/tcp']).stdout.trim(), SOON)
      .toBe('0');
    product.succeed('lock');
    expect(sandbox.run(['ls', '/run/ovpn-killswitch']).stdout).not.toContain('ssh-sessions');
    expect(product.report()).toMatchObject({ exit: 0, state: 'blocked' });
    product.succeed('unlock');
  });
});

import { afterAll, describe, expect, test } from 'vitest';
import { must, useMachine } from '../hooks/installed-machine.ts';

/** The names that the machine's resolver knows. */
const RECORDS = {
  'vpn.corp.example': '203.0.113.11',
  'a.region.lab.example': '203.0.113.12',
  'my_vpn.corp.example': '203.0.113.13',
  'whole.example.net': '203.0.113.14',
  'whole.example.net.corp.example': '203.0.113.66',
} as const;
const RESOLVER = `
const records = ${JSON.stringify(RECORDS)};
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (message, from) => {
  const labels = []; let at = 12;
  for (; message[at] !== 0; at += message[at] + 1) labels.push(message.toString('latin1', at + 1, at + 1 + message[at]));
  const name = labels.join('.').toLowerCase(), isA = message.readUInt16BE(at + 1) === 1;
  const known = records[name];
  const head = Buffer.from([message[0], message[1], 0x85, known ? 0x80 : 0x83, 0, 1, 0, known && isA ? 1 : 0, 0, 0, 0, 0]);
  const record = known && isA ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...known.split('.').map(Number)]) : Buffer.alloc(0);
  socket.send(Buffer.concat([head, message.subarray(12, at + 5), record]), from.port, from.address);
}).bind(53, '127.0.0.1', () => require('node:fs').writeFileSync('/run/resolver', String(process.pid)))`;
const NAMES = ['vpn', 'a.region', 'my_vpn', 'whole.example.net'];

describe('a name that the search domain completes', () => {
  const machine = useMachine((fresh) => {
    must(fresh.sh('ip link set lo up'));
    fresh.sandbox.start([process.execPath, '-e', RESOLVER]);
    must(fresh.sh('until test -s /run/resolver; do sleep 0.05; done'));
    fresh.write('/etc/resolv.conf', 'nameserver 127.0.0.1\nsearch corp.example lab.example\n');
    fresh.write('/etc/hosts', '127.0.0.1 localhost\n');
    fresh.write(
      '/etc/openvpn/client/a.conf',
      NAMES.map((name) => `remote ${name} 1194\n`).join(''),
    );
    fresh.settings('KILLSWITCH_BACKEND=nftables');
  });
  afterAll(() => machine().sh('kill $(cat /run/resolver)'));

  const resolved = (name: string) =>
    machine().sh(`getent ahostsv4 ${name} | cut -d' ' -f1 | sort -u`).stdout.trim();

  test('is pinned as the profile writes it, with the address that getaddrinfo has for it', () => {
    const own = NAMES.map((name) => [name, resolved(name)]);
    must(machine().command('lock'));
    expect(machine().status().endpoints).toEqual([
      '203.0.113.11:1194/udp',
      '203.0.113.12:1194/udp',
      '203.0.113.13:1194/udp',
      '203.0.113.14:1194/udp',
    ]);
    must(machine().sh('kill $(cat /run/resolver)'));
    expect(NAMES.map((name) => [name, resolved(name)])).toEqual(own);
  });
});

import { expect, test } from 'vitest';
import { readFrame } from '../../../src/proof/frame.ts';
import { type Frame, pcapReader } from '../../../src/proof/pcap.ts';
import { ENDPOINT_PROBES, markedName, marker, PROBES } from '../../../src/proof/probes.ts';
import { sortPacket } from '../../../src/proof/sort-packet.ts';

const UDP = 17;
const TCP = 6;
const CLIENT = '020000000001';

function ethernet(type: string, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`ffffffffffff${CLIENT}${type}`, 'hex'), payload]);
}

function ports(from: number, to: number, payload: string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  return Buffer.concat([header, Buffer.from(payload)]);
}

function ipv4(protocol: number, destination: string, payload: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header[9] = protocol;
  Buffer.from([192, 168, 77, 2]).copy(header, 12);
  Buffer.from(destination.split('.').map(Number)).copy(header, 16);
  return ethernet('0800', Buffer.concat([header, payload]));
}

/** From fe80::1; the destination in full, without colons. */
function ipv6(
  next: number,
  payload: Buffer,
  destination = 'ff020000000000000000000000000001',
): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header[6] = next;
  Buffer.from(`fe80000000000000000000000000000f${destination}`, 'hex').copy(header, 8);
  return ethernet('86dd', Buffer.concat([header, payload]));
}

function sorted(frame: Buffer, transport: 'udp' | 'tcp' = 'udp') {
  return sortPacket(readFrame(frame), transport);
}

const VPN_SERVER = '203.0.113.10';
const VPN_SERVER6 = '20010db8ffff00000000000000000010';

test('a packet to the VPN server is the VPN’s, unless it carries a marker', () => {
  expect(sorted(ipv4(UDP, VPN_SERVER, ports(40000, 1194, 'x')))).toEqual({ sort: 'vpn' });
  expect(sorted(ipv6(UDP, ports(40000, 1194, 'x'), VPN_SERVER6))).toEqual({ sort: 'vpn' });
  expect(sorted(ipv4(UDP, '203.0.113.11', ports(40000, 1195, 'x')))).toEqual({ sort: 'vpn' });
  expect(sorted(ipv4(UDP, VPN_SERVER, ports(40000, 1194, marker('endpoint-udp', 7))))).toEqual({
    sort: 'clear',
    name: 'endpoint-udp',
  });
});

test('a packet to another port, another protocol or another host is not the VPN’s', () => {
  expect(sorted(ipv4(UDP, VPN_SERVER, ports(40000, 1195, 'x'))).sort).toBe('clear');
  expect(sorted(ipv4(TCP, VPN_SERVER, ports(40000, 1194, ''))).sort).toBe('clear');
  expect(sorted(ipv4(UDP, '203.0.113.12', ports(40000, 1194, 'x'))).sort).toBe('clear');
});

test('over TCP, a SYN to the VPN server from a port of the prober is a leak', () => {
  expect(sorted(ipv4(TCP, VPN_SERVER, ports(40000, 1194, '')), 'tcp')).toEqual({ sort: 'vpn' });
  expect(sorted(ipv4(TCP, VPN_SERVER, ports(10001, 1194, '')), 'tcp')).toEqual({
    sort: 'clear',
    name: 'endpoint-tcp',
  });
});

test('the LAN may be spoken to, but not on the ports of DNS, and not with a marker', () => {
  expect(sorted(ipv4(UDP, '192.168.77.20', ports(40000, 7, 'x')))).toEqual({ sort: 'lan' });
  expect(sorted(ipv4(UDP, '192.168.77.1', ports(40000, 53, 'x'))).sort).toBe('clear');
  expect(sorted(ipv4(TCP, '192.168.77.1', ports(40000, 853, ''))).sort).toBe('clear');
  expect(sorted(ipv4(UDP, '192.168.77.20', ports(40000, 7, marker('web-udp4', 1)))).sort).toBe(
    'clear',
  );
});

test('ARP, neighbour discovery and multicast reports behind a hop-by-hop header belong to the link', () => {
  expect(sorted(ethernet('0806', Buffer.alloc(28)))).toEqual({ sort: 'neighbour', name: 'ARP' });
  expect(sorted(ipv6(58, Buffer.from([135, 0, 0, 0])))).toEqual({ sort: 'neighbour', name: 'NDP' });
  expect(sorted(ipv6(0, Buffer.from([58, 0, 5, 2, 0, 0, 1, 0, 143, 0])))).toEqual({
    sort: 'neighbour',
    name: 'MLD',
  });
});

test('an echo over IPv6, a strange frame and one that is cut off are leaks', () => {
  expect(sorted(ipv6(58, Buffer.from([128, 0]))).sort).toBe('clear');
  expect(sorted(ethernet('8100', Buffer.alloc(60))).sort).toBe('clear');
  expect(sorted(ethernet('0800', Buffer.alloc(3))).sort).toBe('clear');
});

test('every probe is known by its marker, and one over TCP by where it goes', () => {
  for (const { name, transport, address, port } of [...PROBES, ...ENDPOINT_PROBES]) {
    expect(markedName(Buffer.from(`..${marker(name, 123)}..`))).toBe(name);
    if (transport === 'tcp' && !address.includes(':'))
      expect(sorted(ipv4(TCP, address, ports(10001, port, '')))).toEqual({ sort: 'clear', name });
  }
});

test('a capture is read whole, however its bytes are cut, in either byte order', () => {
  const bodies = ['first', 'the second frame', ''];
  for (const little of [true, false]) {
    const word = (value: number) => {
      const four = Buffer.alloc(4);
      if (little) four.writeUInt32LE(value);
      else four.writeUInt32BE(value);
      return four;
    };
    const header = [0xa1b2c3d4, little ? 0x00040002 : 0x00020004, 0, 0, 262144, 1].map(word);
    const records = bodies.map((body, n) =>
      Buffer.concat([...[n, 500_000, body.length, body.length].map(word), Buffer.from(body)]),
    );
    const whole = Buffer.concat([...header, ...records]);
    for (let cut = 1; cut < whole.length; cut++) {
      const frames: Frame[] = [];
      const read = pcapReader((frame) => frames.push(frame));
      for (let at = 0; at < whole.length; at += cut) read(whole.subarray(at, at + cut));
      expect(frames.map(({ bytes }) => bytes.toString())).toEqual(bodies);
      expect(frames.map(({ at }) => at)).toEqual([500, 1500, 2500]);
    }
  }
});

test('what is no capture is refused', () => {
  expect(() => pcapReader(() => undefined)(Buffer.alloc(24))).toThrow('no capture');
});

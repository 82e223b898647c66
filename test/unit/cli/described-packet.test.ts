import { describe, expect, test } from 'vitest';
import { describedPacket, type PacketWords } from '../../../src/cli/described-packet.ts';

const USERS: Readonly<Record<string, number>> = { root: 0, '0': 0, nobody: 65534 };

function packet(call: string, flags: Omit<PacketWords, 'words'> = {}) {
  return describedPacket(
    { words: call.split(' '), ...flags },
    'explain …',
    (account) => USERS[account],
  );
}

describe('a packet in words', () => {
  test('that goes out is new, of somebody who is not root, and by no tunnel', () => {
    expect(packet('out udp 9.9.9.9 53')).toMatchObject({
      hook: 'output',
      in: undefined,
      out: 'uplink',
      to: { text: '9.9.9.9' },
      payload: { transport: 'udp', toPort: 53 },
      conntrack: 'new',
      uid: 1000,
      mark: 0,
    });
  });

  test('that comes in has its address as the other end, and no user', () => {
    expect(packet('in tcp 192.168.1.7 22', { 'from-lan': true, to: '10.8.0.6' })).toMatchObject({
      hook: 'input',
      in: 'uplink',
      out: undefined,
      from: { text: '192.168.1.7' },
      to: { text: '10.8.0.6' },
      uid: undefined,
    });
  });

  test('that is forwarded has two interfaces', () => {
    expect(packet('forward tcp 192.0.2.7 443', { in: 'docker0', device: 'tun0' })).toMatchObject({
      in: 'docker0',
      out: 'tun0',
    });
  });

  test('that stays on a bridge has it on both sides, and is known as a frame', () => {
    const frame = { in: 'br-0', out: 'br-0', bridged: true };
    expect(packet('forward tcp 10.9.0.3 80', { bridged: true, device: 'br-0' })).toMatchObject(
      frame,
    );
    expect(packet('forward tcp 10.9.0.3 80', { in: 'br-0', device: 'br-0' })).not.toHaveProperty(
      'bridged',
    );
  });

  test('may name user, mark, state and port of origin', () => {
    const flags = { as: 'nobody', mark: '0xca6c', state: 'established', 'from-port': '22' };
    expect(packet('out tcp 192.0.2.7 40000', flags)).toMatchObject({
      uid: 65534,
      mark: 0xca6c,
      conntrack: 'established',
      payload: { fromPort: 22, toPort: 40000 },
    });
  });

  test('of ICMP is a ping of the family of its address', () => {
    expect(packet('out icmp 192.0.2.7').payload).toEqual({ icmp: 8 });
    expect(packet('out icmp 2001:db8::7').payload).toEqual({ icmp: 128 });
  });

  test.each<readonly [call: string, flags: Omit<PacketWords, 'words'>, problem: RegExp]>([
    ['up tcp 192.0.2.7 80', {}, /"up" is none of out, in, forward/],
    ['out sctp 192.0.2.7 80', {}, /"sctp" is none of tcp, udp, icmp/],
    ['out tcp example.org 80', {}, /"example.org" is not an address/],
    ['out tcp 192.0.2.7', {}, /is not a port/],
    ['out tcp 192.0.2.7 65536', {}, /"65536" is not a port/],
    ['out tcp 192.0.2.7 80', { as: 'nobdy' }, /"nobdy" is no user of this machine/],
    ['out tcp 192.0.2.7 80', { mark: '0x1ffffffff' }, /is not a mark/],
    ['out tcp 192.0.2.7 80', { device: 'a b' }, /"a b" is not an interface name/],
    ['out tcp 192.0.2.7 80', { state: 'open' }, /"open" is none of new/],
    ['out tcp 192.0.2.7 80', { 'from-lan': true }, /--from-lan is for a packet that comes in/],
    [
      'out tcp 192.0.2.7 80',
      { bridged: true, device: 'br-0' },
      /--bridged is for forwarded packets/,
    ],
    [
      'forward tcp 192.0.2.7 80',
      { bridged: true, in: 'br-0', device: 'br-1' },
      /--bridged is for forwarded packets/,
    ],
    [
      'in tcp 192.0.2.7 80',
      { 'from-lan': true, device: 'tun0' },
      /--from-lan is for a packet that comes in/,
    ],
    ['in tcp 192.0.2.7 80', { in: 'eth0' }, /--in is for forwarded packets/],
    ['out tcp 192.0.2.7 80', { to: '10.0.0.1' }, /--to is for packets that come in/],
    ['in tcp 192.0.2.7 80', { to: '2001:db8::1' }, /another IP version/],
  ])('"%s" with %j is refused', (call, flags, problem) =>
    expect(() => packet(call, flags)).toThrow(problem),
  );
});

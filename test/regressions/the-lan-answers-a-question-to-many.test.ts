import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { differencesOf } from '../../src/backend/image.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { compile } from '../../src/ruleset/compile.ts';
import { apply, look } from '../../src/transaction/apply.ts';
import { backendOf, KINDS, type Kind } from '../support/kinds.ts';
import { inSandbox } from '../support/machine.ts';
import { POLICIES, type PolicyName } from '../support/policies.ts';
import { sandboxHost } from '../support/sandbox-host.ts';

/**
 * With the LAN allowed, a question to a group or to everybody left, and no answer came in: it comes
 * from an address that was not asked, and so is no answer to the kernel. Printers were not found.
 */

/** This machine is .2 on eth0; `lan` is .1, and also has an address that is not of the LAN. */
const SCENE = `
set -e
ip netns add lan
ip link add eth0 type veth peer name eth0 netns lan
ip addr add 192.168.77.2/24 brd + dev eth0; ip -6 addr add fd77::2/64 dev eth0 nodad; ip link set eth0 up; ip link set lo up
ip -n lan addr add 192.168.77.1/24 brd + dev eth0; ip -n lan addr add 203.0.113.9/32 dev eth0
ip -n lan -6 addr add fd77::1/64 dev eth0 nodad; ip -n lan link set eth0 up; ip -n lan link set lo up
ip route add default via 192.168.77.1 dev eth0
ip route add 224.0.0.0/4 dev eth0; ip -n lan route add 224.0.0.0/4 dev eth0
sleep 2
`;

interface Question {
  readonly to: string;
  readonly port: number;
  /** The port it is asked from. */
  readonly from: number;
}

const QUESTIONS: Readonly<Record<string, Question>> = {
  SSDP: { to: '239.255.255.250', port: 1900, from: 41000 },
  'mDNS from a high port': { to: '224.0.0.251', port: 5353, from: 41010 },
  'mDNS over IPv6': { to: 'ff02::fb%eth0', port: 5353, from: 41020 },
  LocalSend: { to: '224.0.0.167', port: 53317, from: 53317 },
  'broadcast to all': { to: '255.255.255.255', port: 9999, from: 41030 },
  'broadcast to the network': { to: '192.168.77.255', port: 9998, from: 41040 },
};

/** When the last datagram comes, and how long it is waited for, in milliseconds. */
interface Pace {
  readonly late: number;
  readonly hearing: number;
}
const AT_ONCE: Pace = { late: 300, hearing: 3_000 };
/** The last one comes after the test: it must not meet the questions of the next state. */
const NEVER_LATE: Pace = { ...AT_ONCE, late: 120_000 };
/** Longer than an answer may take. */
const AFTER_ITS_TIME: Pace = { late: 8_000, hearing: 9_500 };

/**
 * The LAN: each question gets an answer from a port that was not asked, and with it a guess at the
 * next port, a datagram from an address that is not of the LAN, and one that comes late.
 */
const ANSWERING = `
const dgram = require('node:dgram');
const questions = JSON.parse(process.argv[1]);
const kind = (address) => (address.includes(':') ? 'udp6' : 'udp4');
const say = (text, port, address, from) => {
  const socket = dgram.createSocket(kind(address));
  socket.bind(0, from, () => socket.send(text, port, address, () => socket.close()));
};
let open = 0;
for (const { to, port } of Object.values(questions)) {
  const socket = dgram.createSocket({ type: kind(to), reuseAddr: true });
  socket.on('message', (late, { address, port: asking }) => {
    say('answer', asking, address);
    say('guess', asking + 1, address);
    if (kind(address) === 'udp4') say('stranger', asking, address, '203.0.113.9');
    setTimeout(() => say('late', asking, address), Number(late));
  });
  const group = to.split('%')[0];
  socket.bind(port, () => {
    if (/^(22[4-9]|23)|^ff/.test(group)) socket.addMembership(group, kind(to) === 'udp6' ? '::%eth0' : '192.168.77.1');
    if (++open === Object.keys(questions).length) console.log('ready');
  });
}
`;

/**
 * A program without rights: asks each question once, and says what came to the port that asked and
 * to the next.
 */
const ASKING = `
const dgram = require('node:dgram');
const [questions, { late, hearing }] = JSON.parse(process.argv[1]);
const heard = {};
for (const [name, { to, port, from }] of Object.entries(questions)) {
  heard[name] = [];
  const type = to.includes(':') ? 'udp6' : 'udp4';
  for (const own of [from, from + 1]) {
    const socket = dgram.createSocket({ type, reuseAddr: true });
    socket.on('message', (text) => heard[name].push(String(text)));
    socket.on('error', () => {});
    socket.bind(own, () => {
      if (own !== from) return;
      if (type === 'udp4') { socket.setBroadcast(true); socket.setMulticastInterface('192.168.77.2'); }
      socket.send(String(late), port, to);
    });
  }
}
setTimeout(() => {
  for (const list of Object.values(heard)) list.sort();
  console.log(JSON.stringify(heard));
  process.exit();
}, hearing);
`;

type Heard = Readonly<Record<string, readonly string[]>>;

/** Starts the LAN, and waits until it listens. */
async function startLan(sandbox: Sandbox): Promise<void> {
  const lan = sandbox.start([process.execPath, '-e', ANSWERING, JSON.stringify(QUESTIONS)], {
    at: 'lan',
  });
  if (lan.stdout !== null) await once(lan.stdout, 'data');
}

async function ask(sandbox: Sandbox, pace: Pace): Promise<Heard> {
  const { status, stdout, stderr } = await sandbox.ask([
    ...['setpriv', '--reuid', '12345', '--regid', '12345', '--clear-groups', '--'],
    process.execPath,
    '-e',
    ASKING,
    JSON.stringify([QUESTIONS, pace]),
  ]);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Heard;
}

const each = (hears: (question: Question) => readonly string[]): Heard =>
  Object.fromEntries(Object.entries(QUESTIONS).map(([name, question]) => [name, hears(question)]));

/**
 * The packets that a LAN policy lets in; iptables has nothing that remembers the port that asked.
 */
const expected = (kind: Kind, state: PolicyName): readonly string[] =>
  kind === 'nftables' && !state.endsWith('LAN off') ? ['answer'] : [];

const STATES: readonly (readonly [PolicyName, Pace])[] = [
  ['blocked, endpoints of both families', NEVER_LATE],
  ['connected', AFTER_ITS_TIME],
  ['connected, LAN off', AT_ONCE],
];

describe.each(KINDS)('with %s', (kind) => {
  test('the LAN answers the port that asked for some seconds, where the backend can tell it, and nothing else comes in', async (context) => {
    await inSandbox({ context, kind }, async (sandbox) => {
      expect(sandbox.run(['sh', '-s'], { stdin: SCENE })).toMatchObject({ status: 0 });
      const all = each(({ to }) =>
        to.includes(':') ? ['answer', 'guess', 'late'] : ['answer', 'guess', 'late', 'stranger'],
      );
      await startLan(sandbox);
      expect(await ask(sandbox, AT_ONCE)).toEqual(all);
      for (const [state, pace] of STATES) {
        const [host, backend, ruleset] = [
          sandboxHost(sandbox),
          backendOf(kind),
          compile(POLICIES[state]),
        ];
        apply(host, backend, ruleset);
        expect({ state, ...(await ask(sandbox, kind === 'nftables' ? pace : AT_ONCE)) }).toEqual({
          state,
          ...each(() => expected(kind, state)),
        });
        expect(differencesOf(backend.image(ruleset), look(host, backend).image)).toEqual([]);
      }
    });
  });
});

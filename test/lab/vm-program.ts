import { existsSync } from 'node:fs';
import { PATHS } from '../../src/host/paths.ts';
import { INTERNET, PORTS } from '../../src/proof/addresses.ts';
import type { Probe } from '../../src/proof/probes.ts';
import { setPatience } from '../../src/proof/wait-until.ts';
import { SECOND_BOOT, VM_ROOTS } from '../support/vm.ts';
import { addGuest } from './guest.ts';
import { type Lab, openLab } from './open-lab.ts';
import { EVERY, type Played, type Stage } from './vm-scene.ts';
import { scenesOf } from './vm-scenes.ts';
import { STRANGER } from './vm-way.ts';

// Runs in a virtual machine: plays its scenes, and says of each what came of it.

/** Everything there is ten times slower, and more where others use the processor. */
const PATIENCE = 6;
const DIST = '/srv/dist';
/**
 * The usual probes speak to the server over IPv4 alone. A packet without a marker is named as the
 * capture names it.
 */
const TO_SERVER6: readonly Probe[] = [
  {
    name: 'endpoint-udp6',
    transport: 'udp',
    address: INTERNET.vpn6,
    port: PORTS.vpn,
    question: false,
  },
  {
    name: `ipv6 protocol 6 to ${INTERNET.vpn6} ${PORTS.vpn}`,
    transport: 'tcp',
    address: INTERNET.vpn6,
    port: PORTS.vpn,
    question: false,
  },
];

/**
 * The root's name; then any of: whether every scene is played, whether this is the second boot, and
 * patterns that names must match.
 */
const [name = '', ...more] = process.argv.slice(2);
const boot = more.includes(SECOND_BOOT) ? 'second' : undefined;
const only = more
  .filter((word) => word !== SECOND_BOOT && word !== EVERY)
  .map((word) => new RegExp(word));
const root = VM_ROOTS.find((each) => each === name);
if (root === undefined) throw new Error(`no such root: ${name}`);

let opened: Lab | undefined;
let told: string | undefined;
const stage: Stage = {
  root,
  lab: async () => {
    if (opened === undefined) {
      opened = await openLab(
        {
          dist: DIST,
          plan: { root: '/', show: ['/srv'] },
          backend: 'nftables',
          rate: { payloads: 40, connects: 1 },
          seconds: 3600,
          probing: 50,
          uid: STRANGER,
          probes: TO_SERVER6,
        },
        { clear: 0, vpn: 0 },
      );
      await addGuest(opened.world.sandbox);
    }
    return opened;
  },
  closeLab: async () => {
    if (opened === undefined) return;
    const { world } = opened;
    opened = undefined;
    try {
      const lost = await world.capture.end();
      if (lost > 0) throw new Error(`tcpdump has lost ${lost} packets`);
    } finally {
      world.close();
    }
  },
  tell: (figure) => {
    told = figure;
  },
};

function say(played: Played): void {
  process.stdout.write(`${JSON.stringify(played)}\n`);
}

/** The error, with what was there and what should have been. */
function failureOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const compared =
    'actual' in thrown && 'expected' in thrown
      ? `\n${JSON.stringify({ is: thrown.actual, expected: thrown.expected })}`
      : '';
  return `${thrown.stack ?? thrown.message}${compared}`;
}

/** The machine as a failed scene has left it. */
async function picture(): Promise<string> {
  if (opened === undefined) return '';
  const look = [
    'ip -br address',
    'ip -s link show dev tun0',
    'ip route',
    `${PATHS.command} status`,
    `tail -n 8 ${PATHS.log}`,
  ];
  const { stdout, stderr } = await opened.world.sandbox.ask([
    'sh',
    '-xc',
    `exec 2>&1; ${look.join('; ')}`,
  ]);
  return `${stdout}${stderr}\n${lastClient(opened)}`;
}

function lastClient(lab: Lab): string {
  try {
    return lab.client().said().split('\n').slice(-25).join('\n');
  } catch {
    return '';
  }
}

async function play(): Promise<void> {
  setPatience(PATIENCE);
  for (const scene of scenesOf(stage.root, more.includes(EVERY))) {
    if (scene.boot !== boot || !only.every((each) => each.test(scene.name))) continue;
    told = undefined;
    const started = performance.now();
    const seconds = () => Math.round((performance.now() - started) / 100) / 10;
    try {
      await scene.play(stage);
      say({ name: scene.name, seconds: seconds(), ...(told !== undefined && { told }) });
    } catch (thrown) {
      say({
        name: scene.name,
        seconds: seconds(),
        failure: `${failureOf(thrown)}\n${await picture()}`,
      });
    }
  }
  await stage.closeLab();
}

if (!existsSync(DIST)) throw new Error(`${DIST} is missing`);
await play();
process.exit(0);

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { INSIDE_WORD } from '../support/vm.ts';
import type { Scene } from './vm-scene.ts';

/** The packet that each program sends to the world outside. */
export const WORDS = {
  open: 'said-while-open',
  boot: 'said-at-boot',
  after: 'said-after-unlock',
} as const;

const TALKER = '/usr/local/bin/talker';
const ROUNDS = '/run/talked';
/**
 * Brings the card up with an address, at the earliest that a network manager may: see
 * network-pre.target in systemd.special(7).
 */
const CARD = '/usr/local/bin/card';
const BRING_UP = `#!/bin/sh
modprobe virtio_net
until ip link show dev eth0 >/dev/null 2>&1; do sleep 0.05; done
ip address replace 192.0.2.2/24 dev eth0
ip link set eth0 up
ip neighbour replace 192.0.2.1 lladdr 52:54:00:00:00:01 dev eth0 nud permanent
ip route replace default via 192.0.2.1
`;
const CARD_UNIT = `[Unit]
DefaultDependencies=no
Wants=network-pre.target
After=network-pre.target
[Service]
Type=oneshot
ExecStart=${CARD}
`;
/** Says its word without a pause, from the first moment on. */
const TALK = `#!/bin/bash
while :; do
  echo $1 2>/dev/null >/dev/udp/198.51.100.99/7777
  echo >>${ROUNDS}
  sleep 0.1
done
`;
const TALKER_UNIT = `[Unit]
DefaultDependencies=no
[Service]
ExecStart=${TALKER} ${WORDS.boot}
`;

/** This machine's own first network is used: it must be one that nobody needs. */
function assertInside(): void {
  if (!readFileSync('/proc/cmdline', 'latin1').includes(INSIDE_WORD))
    throw new Error('refused: this is not a machine made for this');
}

function command(...args: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
} {
  const { status, stdout } = spawnSync(PATHS.command, args, { encoding: 'utf8' });
  return { status, stdout };
}

function must(...args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(PATHS.command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: exit status ${status}\n${stdout}${stderr}`);
}

async function talks(word: string): Promise<void> {
  const talker = spawnSync('timeout', ['2', TALKER, word], { encoding: 'utf8' });
  if (talker.status !== 124) throw new Error(`the talker: ${talker.stderr}`);
}

/** Packets that leave are judged outside, by what QEMU saw of the card: see kernels.ts. */
export const BOOT: readonly Scene[] = [
  {
    name: 'the machine itself is locked, and set to boot locked',
    play: async ({ closeLab }) => {
      assertInside();
      await closeLab();
      writeFileSync(TALKER, TALK, { mode: 0o755 });
      writeFileSync(CARD, BRING_UP, { mode: 0o755 });
      mkdirSync('/etc/systemd/system/sysinit.target.wants', { recursive: true });
      for (const [unit, text] of Object.entries({
        'talker.service': TALKER_UNIT,
        'card.service': CARD_UNIT,
      })) {
        writeFileSync(`/etc/systemd/system/${unit}`, text);
        symlinkSync(`../${unit}`, `/etc/systemd/system/sysinit.target.wants/${unit}`);
      }
      execFileSync(CARD);
      await talks(WORDS.open);
      mkdirSync('/etc/ovpn-killswitch', { recursive: true });
      writeFileSync(
        PATHS.settings,
        'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp\nKILLSWITCH_LAN=off\nKILLSWITCH_RESOLVER=off\n',
      );
      execFileSync('/srv/node', ['/srv/dist/cli.js', 'install']);
      must('lock');
      must('boot', 'enable', '--with', 'systemd');
      writeFileSync('/var/lib/second-boot', '');
    },
  },
  {
    name: 'after a restart under systemd it is locked before its network is there, and unlock opens it',
    boot: 'second',
    play: async () => {
      assertInside();
      const rounds = () => readFileSync(ROUNDS, 'latin1').length;
      const route = () =>
        spawnSync('ip', ['route', 'show', 'default'], { encoding: 'utf8' }).stdout;
      await waitUntil('the card to lead somewhere', () => route().includes('eth0'), 60_000);
      const before = rounds();
      await waitUntil('the talker to talk', () => rounds() > before + 30, 60_000);
      const { status, stdout } = command('status', '--json');
      const { state, differences, boot } = JSON.parse(stdout) as {
        readonly [key: string]: unknown;
      };
      expect({ status, state, differences, boot }).toMatchObject({
        status: 0,
        state: 'blocked',
        differences: [],
        boot: { problems: [] },
      });
      execFileSync('systemctl', ['stop', 'talker']);
      await pause(200);
      must('unlock');
      await talks(WORDS.after);
    },
  },
];

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { PROGRAM_FOLDERS } from './paths.ts';
import { programPath } from './program-path.ts';

/** The packets that a tap has seen. */
export interface Tapped {
  /** A line for each packet, as `tcpdump -q` writes it. */
  readonly lines: readonly string[];
  /** Packets that tcpdump missed. */
  readonly lost: number;
}

/** A packet socket on one interface. */
export interface Tap {
  /**
   * Ends it, once no packet has come for a while.
   * @throws Error with tcpdump's message, when it has ended before.
   */
  end(): Promise<Tapped>;
  /** Ends it at once, unless it has ended already. */
  close(): void;
}

const LISTENS_MILLISECONDS = 5_000;
/**
 * The quiet time before the end. tcpdump writes a packet within a few milliseconds, and a busy
 * machine may take longer.
 */
const QUIET_MILLISECONDS = 300;

/**
 * Starts tcpdump on packets that leave by an interface and fit a filter (pcap-filter(7)). It sees
 * packets behind every packet filter (packet(7)), and listens once the promise resolves.
 * @throws Error with tcpdump's message, when it cannot listen.
 */
export async function tapOutgoing(device: string, filter: string): Promise<Tap> {
  // Keeps tcpdump from changing its user, which a user namespace with a single one refuses.
  const args = [
    '-i',
    device,
    '-Q',
    'out',
    '-nn',
    '-q',
    '-t',
    '-l',
    '--immediate-mode',
    '-Z',
    'root',
    filter,
  ];
  const child = spawn(programPath('tcpdump') ?? './tcpdump', args, {
    cwd: '/',
    env: { PATH: PROGRAM_FOLDERS.join(':'), LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let written = '';
  let open = true;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    written += chunk;
  });
  const ended = new Promise<void>((resolve) => {
    child.once('error', ({ message }) => {
      said += message;
      open = false;
      resolve();
    });
    child.once('close', () => {
      open = false;
      resolve();
    });
  });
  const listening = new Promise<void>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('listening on')) resolve();
    });
  });
  await Promise.race([listening, ended, pause(LISTENS_MILLISECONDS, undefined, { ref: false })]);
  if (!open || !said.includes('listening on')) {
    child.kill('SIGKILL');
    throw new Error(said.trim() || 'tcpdump did not listen in time');
  }
  return {
    close: () => void child.kill('SIGKILL'),
    end: async () => {
      for (let before = -1; before < written.length; ) {
        before = written.length;
        await pause(QUIET_MILLISECONDS);
      }
      const early = !open;
      child.kill('SIGTERM');
      await ended;
      const counts = [
        /(\d+) packets? captured/,
        /(\d+) packets? received by filter/,
        /(\d+) packets? dropped by kernel/,
      ].map((what) => Number(what.exec(said)?.[1]));
      const [captured = NaN, received = NaN, dropped = NaN] = counts;
      if (early || counts.some(Number.isNaN))
        throw new Error(`tcpdump ended before its time: ${said.trim()}`);
      return {
        lines: written.split('\n').filter((line) => line !== ''),
        lost: dropped + Math.max(0, received - captured),
      };
    },
  };
}

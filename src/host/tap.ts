import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { PROGRAM_FOLDERS } from './paths.ts';
import { programPath } from './program-path.ts';

/** What a tap has seen. */
export interface Tapped {
  /** A line for each packet, as `tcpdump -q` writes it. */
  readonly lines: readonly string[];
  /** Packets that tcpdump did not get to see. */
  readonly lost: number;
}

/** A packet socket on one interface. */
export interface Tap {
  /**
   * Ends it, once nothing has come for a while.
   * @throws Error with what tcpdump said, when it has ended before.
   */
  end(): Promise<Tapped>;
  /** Ends it at once, if it has not ended yet. */
  close(): void;
}

const LISTENS_MILLISECONDS = 5_000;
/** A packet is written within a few milliseconds of its leaving; a busy machine may take longer. */
const QUIET_MILLISECONDS = 300;

/**
 * Starts tcpdump on what leaves by an interface and fits a filter (pcap-filter(7)), which sees
 * packets behind every packet filter (packet(7)). It listens when this is fulfilled.
 * @throws Error with what tcpdump said, when it cannot listen.
 */
export async function tapOutgoing(device: string, filter: string): Promise<Tap> {
  // tcpdump would become another user, which a user namespace with a single one refuses.
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

import type { ProberReport } from './probes.ts';
import type { Service } from './service.ts';
import { waitUntil } from './wait-until.ts';

/** A prober at work. */
export interface ProberRun {
  /** Returns its counts so far, at most 50 ms old. */
  report(): ProberReport;
  /** Counts the payloads and connects tried so far. */
  tried(): number;
  /** Waits until it has tried this many more. */
  more(count: number): Promise<void>;
  /** Ends it and returns its last report. */
  end(): Promise<ProberReport>;
}

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Reads the lines that a prober writes. */
export function reportReader(): {
  readonly onOutput: (chunk: Buffer) => void;
  readonly report: () => ProberReport | undefined;
} {
  let rest = '';
  let last: ProberReport | undefined;
  return {
    onOutput: (chunk) => {
      const lines = (rest + chunk.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      const line = lines.at(-1);
      if (line !== undefined) last = JSON.parse(line) as ProberReport;
    },
    report: () => last,
  };
}

/** Wraps a started prober, so that its report can be read. */
export function proberRun(service: Service, latest: () => ProberReport | undefined): ProberRun {
  const report = (): ProberReport => {
    const last = latest();
    if (last === undefined) throw new Error(`the prober has not said anything: ${service.said()}`);
    return last;
  };
  const tried = () => total(report().tried);
  return {
    report,
    tried,
    more: async (count) => {
      const least = tried() + count;
      await waitUntil(`${count} more probes`, () => {
        if (!service.running()) throw new Error(`the prober ended: ${service.said()}`);
        return tried() >= least;
      });
    },
    end: async () => {
      await service.end('TERM');
      return report();
    },
  };
}

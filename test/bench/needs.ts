import type { Plan } from './groups.ts';
import { type BenchMachine, hookRun, LIBRARY, openMachine, place } from './machines.ts';
import { type Row, rowsOf } from './measure.ts';
import type { Run } from './stopwatch.ts';

const PROBE = '/run/probe.cjs';

/** Loaded before a program; says at its end, on stderr, how many KiB it had at most. */
const MEMORY = `process.on('exit', () => require('fs').writeSync(2, '\\nneeds ' + process.resourceUsage().maxRSS + '\\n'));`;
/** Says so of its tasks, and the child's one, whenever it starts a child. */
const TASKS = `const children = require('child_process');
const { spawnSync } = children;
children.spawnSync = (...words) => {
  require('fs').writeSync(2, '\\nneeds ' + (require('fs').readdirSync('/proc/self/task').length + 1) + '\\n');
  return spawnSync(...words);
};`;

const NODE = [process.execPath, '--v8-pool-size=0', '--require', PROBE];

async function needs({ stopwatch }: BenchMachine, run: Run): Promise<number> {
  const { stderr } = await stopwatch(run);
  const said = [...stderr.matchAll(/^needs (\d+)$/gm)].map(([, number]) => Number(number));
  if (said.length === 0) throw new Error(`the probe said nothing: ${stderr}`);
  return Math.max(...said);
}

async function measure(
  { tools, repeats }: Plan,
  probe: string,
  base: readonly [string, readonly string[]] | undefined,
): Promise<Row[]> {
  const rows = new Map<string, number[]>();
  for (const backend of ['nftables', 'iptables'] as const) {
    const machine = await openMachine(`${tools}stopwatch.js`, { backend });
    try {
      place(machine.sandbox, PROBE, probe);
      for (let repeat = 0; repeat < repeats; repeat++) {
        if (base !== undefined && backend === 'nftables')
          rows.set(base[0], [
            ...(rows.get(base[0]) ?? []),
            await needs(machine, { argv: [...NODE, ...base[1]] }),
          ]);
        const name = `up, ${backend}`;
        const up = hookRun('up', { program: [...NODE, `${LIBRARY}/hooks/up`] });
        rows.set(name, [...(rows.get(name) ?? []), await needs(machine, up)]);
        await machine.stopwatch(hookRun('down'));
      }
    } finally {
      machine.sandbox.close();
    }
  }
  return [...rowsOf(rows)];
}

export async function measureMemory(plan: Plan): Promise<readonly Row[]> {
  const inMebibytes = ({ low, median, high }: Row['value']) => ({
    low: low / 1024,
    median: median / 1024,
    high: high / 1024,
  });
  const rows = await measure(plan, MEMORY, ['bare node', ['-e', '0']]);
  return rows.map((row) => ({ ...row, value: inMebibytes(row.value) }));
}

export async function measureTasks(plan: Plan): Promise<readonly Row[]> {
  const rows = await measure(plan, TASKS, undefined);
  const one = { low: 1, median: 1, high: 1 };
  return [
    { name: 'one', value: one, ratio: one },
    ...rows.map((row) => ({ ...row, ratio: row.value })),
  ];
}

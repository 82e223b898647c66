import type { Plan } from './groups.ts';
import { hookRun, openMachine, type Shape } from './machines.ts';
import { interleaved, type Row } from './measure.ts';

const SHAPES: readonly (readonly [name: string, shape: Omit<Shape, 'backend'>])[] = [
  ['1 profile', { profiles: 1 }],
  ['1000 profiles', { profiles: 1000 }],
  ['10 other tunnels', { tunnels: 10 }],
  ['50 other tunnels', { tunnels: 50 }],
  ['100 endpoints', { endpoints: 100 }],
  ['10000 endpoints', { endpoints: 10_000 }],
];

export async function measureNumbers({ tools, rounds }: Plan): Promise<readonly Row[]> {
  const machines: {
    readonly name: string;
    readonly machine: Awaited<ReturnType<typeof openMachine>>;
  }[] = [];
  try {
    for (const [name, shape] of SHAPES)
      machines.push({
        name: `up, ${name}`,
        machine: await openMachine(`${tools}stopwatch.js`, { backend: 'nftables', ...shape }),
      });
    return await interleaved(
      machines.map(({ name, machine }) => ({
        name,
        stopwatch: machine.stopwatch,
        prepare: [hookRun('down')],
        run: hookRun('up'),
      })),
      rounds,
    );
  } finally {
    for (const { machine } of machines) machine.sandbox.close();
  }
}

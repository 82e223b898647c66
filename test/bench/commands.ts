import type { Plan } from './groups.ts';
import { COMMAND, LIBRARY, openMachine } from './machines.ts';
import { interleaved, type Row } from './measure.ts';

export async function measureCommands({ tools, rounds }: Plan): Promise<readonly Row[]> {
  const machines = await Promise.all(
    (['nftables', 'iptables'] as const).map(async (backend) => ({
      backend,
      machine: await openMachine(`${tools}stopwatch.js`, { backend }),
    })),
  );
  try {
    const [first] = machines;
    if (first === undefined) return [];
    const bare = {
      name: 'bare node',
      stopwatch: first.machine.stopwatch,
      run: { argv: [process.execPath, '-e', '0'] },
    };
    return await interleaved(
      [
        bare,
        ...machines.flatMap(({ backend, machine: { stopwatch } }) =>
          ['lock', 'status', 'refresh'].map((command) => ({
            name: `${command}, ${backend}`,
            stopwatch,
            run: { argv: [COMMAND, command] },
          })),
        ),
        ...machines.map(({ backend, machine: { stopwatch } }) => ({
          name: `boot, ${backend}`,
          stopwatch,
          run: { argv: [`${LIBRARY}/boot`] },
        })),
      ],
      Math.ceil(rounds / 2),
    );
  } finally {
    for (const { machine } of machines) machine.sandbox.close();
  }
}

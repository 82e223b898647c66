import { execFileSync } from 'node:child_process';
import type { Plan } from './groups.ts';
import { hookRun, openMachine } from './machines.ts';
import { interleaved, type Row } from './measure.ts';

const FETCH = '.ci/node';

/** The path of each Node that the tests run on, oldest first. */
function nodes(): readonly string[] {
  const ask = (argument: string) => execFileSync(FETCH, [argument], { encoding: 'utf8' }).trim();
  return ask('--list').split('\n').map(ask);
}

/** Each Node beside itself doing nothing: what a hook adds to it. */
export async function measureVersions({ tools, rounds }: Plan): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const node of nodes()) {
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    const [nftables, iptables] = await Promise.all([
      openMachine(`${tools}stopwatch.js`, { backend: 'nftables', node }),
      openMachine(`${tools}stopwatch.js`, { backend: 'iptables', node }),
    ]);
    try {
      const [up, down] = [hookRun('up'), hookRun('down')];
      const measured = await interleaved(
        [
          { name: 'bare node', stopwatch: nftables.stopwatch, run: { argv: [node, '-e', '0'] } },
          { name: 'up, fresh, nftables', stopwatch: nftables.stopwatch, prepare: [down], run: up },
          { name: 'up, fresh, iptables', stopwatch: iptables.stopwatch, prepare: [down], run: up },
        ],
        rounds,
      );
      rows.push(...measured.map((row) => ({ ...row, name: `${version}: ${row.name}` })));
    } finally {
      for (const { sandbox } of [nftables, iptables]) sandbox.close();
    }
  }
  return rows;
}

import { openSandbox } from '../../src/host/sandbox.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import type { Plan } from './groups.ts';
import { type BenchMachine, hookRun, openMachine, place } from './machines.ts';
import { interleaved, type Row, type Subject, startStopwatch } from './measure.ts';
import { CALLS_HOOK, EMPTY, RESTORE_HOOK } from './rivals.ts';
import type { Run } from './stopwatch.ts';

const FOLDER = '/run/bench';

/** A program run by hand has the PATH of a root shell. */
export function shell(script: string): Run {
  return { argv: ['/bin/sh', '-c', script], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } };
}

function ours({ stopwatch }: BenchMachine, backend: BackendName): readonly Subject[] {
  const [up, routeUp, down] = [hookRun('up'), hookRun('route-up'), hookRun('down')];
  return [
    { name: `up, fresh, ${backend}`, stopwatch, prepare: [down], run: up },
    {
      name: `up, fresh, ${backend}, 60 remotes`,
      stopwatch,
      prepare: [down],
      run: hookRun('up', { remotes: 60 }),
    },
    { name: `up, re-run, ${backend}`, stopwatch, prepare: [up], run: up },
    { name: `route-up, nothing new, ${backend}`, stopwatch, prepare: [down, up], run: routeUp },
    {
      name: `route-up, one more route, ${backend}`,
      stopwatch,
      prepare: [down, up],
      run: hookRun('route-up', { routes: 1 }),
    },
    { name: `down, ${backend}`, stopwatch, prepare: [up], run: down },
  ];
}

/** The rules of our machine with its tunnel up, as text for the tool alone. */
async function rulesOf({ stopwatch }: BenchMachine, command: string): Promise<string> {
  await stopwatch(hookRun('up'));
  return (await stopwatch(shell(command))).stdout;
}

export async function measureStart({ tools, rounds }: Plan): Promise<readonly Row[]> {
  const tool = `${tools}stopwatch.js`;
  const [nftables, iptables, plain] = await Promise.all([
    openMachine(tool, { backend: 'nftables' }),
    openMachine(tool, { backend: 'iptables' }),
    openSandbox(),
  ]);
  try {
    const stopwatch = startStopwatch(plain, tool);
    const empty = shell(EMPTY);
    plain.run(['mkdir', FOLDER]);
    place(plain, `${FOLDER}/restore`, RESTORE_HOOK);
    place(plain, `${FOLDER}/calls`, CALLS_HOOK);
    place(
      plain,
      `${FOLDER}/rules.nft`,
      await rulesOf(nftables, 'nft list table inet ovpn_killswitch'),
    );
    place(plain, `${FOLDER}/rules.v4`, await rulesOf(iptables, 'iptables-save -t filter'));
    place(plain, `${FOLDER}/rules.v6`, await rulesOf(iptables, 'ip6tables-save -t filter'));
    const runNft = `require('node:child_process').spawnSync('/usr/sbin/nft', ['-f', '${FOLDER}/rules.nft'], { env: {} }).status === 0 || process.exit(1)`;
    const restores = `iptables-restore -w <${FOLDER}/rules.v4 && ip6tables-restore -w <${FOLDER}/rules.v6`;
    const rival = (name: string, program: string, remotes: number): readonly Subject[] => {
      const run = hookRun('up', { remotes, program: [`${FOLDER}/${program}`] });
      return [
        { name: `${name}, fresh, ${remotes} remotes`, stopwatch, prepare: [empty], run },
        { name: `${name}, re-run, ${remotes} remotes`, stopwatch, prepare: [empty, run], run },
      ];
    };
    return await interleaved(
      [
        { name: 'bare node', stopwatch, run: { argv: [process.execPath, '-e', '0'] } },
        ...ours(nftables, 'nftables'),
        ...ours(iptables, 'iptables'),
        {
          name: 'nft alone, the same rules',
          stopwatch,
          prepare: [empty],
          run: { argv: ['/usr/sbin/nft', '-f', `${FOLDER}/rules.nft`] },
        },
        {
          name: 'node, nothing but that nft',
          stopwatch,
          prepare: [empty],
          run: { argv: [process.execPath, '--v8-pool-size=0', '-e', runNft] },
        },
        {
          name: 'iptables-restore alone, the same rules, both families',
          stopwatch,
          prepare: [empty],
          run: shell(restores),
        },
        ...rival('sh hook, one restore for each family', 'restore', 4),
        ...rival('bash hook', 'calls', 4),
        ...rival('bash hook', 'calls', 60).slice(0, 1),
      ],
      rounds,
    );
  } finally {
    for (const { close } of [nftables.sandbox, iptables.sandbox, plain]) close();
  }
}

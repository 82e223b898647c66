import type { Report } from './bench.ts';
import type { Row, Spread } from './measure.ts';

/** A figure that was promised, and what it is. */
export interface Judged {
  readonly figure: string;
  readonly bound: number;
  readonly atLeast: boolean;
  readonly is: number;
  /**
   * How far off: 1 is just met, 2 is twice as bad. `atBest` counts the better quarter of the
   * rounds, which others on the machine slow less.
   */
  readonly missedBy: number;
  readonly atBest: number;
}

type RowName = readonly [group: string, row: string];

/** One figure divided by another of the same group, both as ratios to the group's first row. */
interface Target {
  readonly figure: string;
  readonly of: RowName;
  readonly to: RowName;
  readonly bound: number;
  readonly atLeast?: true;
}

const BARE = ['start', 'bare node'] as const;
export const TARGETS: readonly Target[] = [
  {
    figure: '`up`, fresh / bare node, nftables',
    of: ['start', 'up, fresh, nftables'],
    to: BARE,
    bound: 2.0,
  },
  {
    figure: '`up`, fresh / bare node, iptables',
    of: ['start', 'up, fresh, iptables'],
    to: BARE,
    bound: 2.2,
  },
  ...(['nftables', 'iptables'] as const).flatMap((backend): readonly Target[] => [
    {
      figure: `\`up\`, fresh / bash hook, 4 remotes, ${backend}`,
      of: ['start', `up, fresh, ${backend}`],
      to: ['start', 'bash hook, fresh, 4 remotes'],
      bound: 0.5,
    },
    {
      figure: `\`up\`, fresh / bash hook, 60 remotes, ${backend}`,
      of: ['start', `up, fresh, ${backend}, 60 remotes`],
      to: ['start', 'bash hook, fresh, 60 remotes'],
      bound: 0.08,
    },
  ]),
  {
    figure: '`up`, re-run / bash hook, re-run',
    of: ['start', 'up, re-run, iptables'],
    to: ['start', 'bash hook, re-run, 4 remotes'],
    bound: 0.3,
  },
  {
    figure: '`route-up` that is told nothing new / bare node',
    of: ['start', 'route-up, nothing new, nftables'],
    to: BARE,
    bound: 1.3,
  },
  ...['2.6', '2.7'].map(
    (version): Target => ({
      figure: `a connection with our hooks / without, OpenVPN ${version}`,
      of: ['connect', `OpenVPN ${version}, our hooks`],
      to: ['connect', `OpenVPN ${version}, no hooks`],
      bound: 3.3,
    }),
  ),
  { figure: '`down` / bare node, nftables', of: ['start', 'down, nftables'], to: BARE, bound: 2.8 },
  { figure: '`down` / bare node, iptables', of: ['start', 'down, iptables'], to: BARE, bound: 2.8 },
  {
    figure: 'peak memory, `up` / bare node',
    of: ['memory', 'up, nftables'],
    to: ['memory', 'bare node'],
    bound: 1.3,
  },
  {
    figure: 'tasks at once in a hook',
    of: ['tasks', 'up, nftables'],
    to: ['tasks', 'one'],
    bound: 6,
  },
  {
    figure: '`up`, 1,000 profiles / 1',
    of: ['number', 'up, 1000 profiles'],
    to: ['number', 'up, 1 profile'],
    bound: 1.1,
  },
  ...(
    [
      ['nftables', 0.97],
      ['iptables', 0.93],
    ] as const
  ).map(
    ([backend, bound]): Target => ({
      figure: `encrypted throughput, locked / connections tracked, ${backend}`,
      of: ['tunnel', `stream, locked, ${backend}`],
      to: ['tunnel', 'stream, unlocked, connections tracked'],
      bound,
      atLeast: true,
    }),
  ),
  {
    figure: 'new connections, 10,000 endpoints / 1, nftables',
    of: ['packets', 'connections, nftables, 10000 endpoints'],
    to: ['packets', 'connections, nftables, 1 endpoint'],
    bound: 0.95,
    atLeast: true,
  },
];

function ratioOf(groups: Report['groups'], [group, row]: RowName): Spread | undefined {
  return groups.find(({ name }) => name === group)?.rows.find(({ name }) => name === row)?.ratio;
}

/** The targets whose groups were measured. */
export function judge(groups: Report['groups']): readonly Judged[] {
  return TARGETS.flatMap(({ figure, of, to, bound, atLeast = false }) => {
    const [a, b] = [ratioOf(groups, of), ratioOf(groups, to)];
    if (a === undefined || b === undefined) return [];
    const missedBy = (is: number) => (atLeast ? bound / is : is / bound);
    const is = a.median / b.median;
    return [
      {
        figure,
        bound,
        atLeast,
        is,
        missedBy: missedBy(is),
        atBest: missedBy((atLeast ? a.high : a.low) / b.median),
      },
    ];
  });
}

function figures({ low, median, high }: Spread): string {
  const digits = median < 10 ? 2 : median < 100 ? 1 : 0;
  return `${median.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [
    `| ${heads.join(' | ')} |`,
    `|---|${heads
      .slice(1)
      .map(() => '---:|')
      .join('')}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');
}

const row = ({ name, value, ratio }: Row) => [name, figures(value), figures(ratio)];

/** The tables. A median stands before the quarters beside it. */
export function markdown({ machine, quick, groups, targets }: Report): string {
  const judged = targets.map(({ figure, bound, atLeast, is, missedBy }) => [
    figure,
    `${atLeast ? '≥' : '≤'} ${bound}`,
    is.toFixed(2),
    missedBy <= 1 ? 'met' : 'missed',
  ]);
  return [
    `Node ${machine.node}, Linux ${machine.kernel}, ${machine.processors} × ${machine.processor}${quick ? '; a quick run' : ''}.`,
    ...(judged.length === 0
      ? []
      : [`### Targets\n\n${table(['figure', 'target', 'is', ''], judged)}`]),
    ...groups.map(
      ({ title, unit, rows, base = rows[0]?.name }) =>
        `### ${title}\n\n${table(['', unit, `to "${base}"`], rows.map(row))}`,
    ),
    '',
  ].join('\n\n');
}

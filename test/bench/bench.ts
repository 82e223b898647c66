import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { parseArgs } from 'node:util';
import { sandboxObstacle } from '../../src/host/sandbox.ts';
import { GROUPS, type Group, type Plan } from './groups.ts';
import { cpuModel } from './machines.ts';
import type { Row } from './measure.ts';
import { type Judged, judge, markdown } from './report.ts';

/** The JSON of a run. Rows compare with the first of their group. */
export interface Report {
  readonly version: 1;
  readonly machine: Readonly<Record<'node' | 'kernel' | 'processor', string>> & {
    readonly processors: number;
  };
  readonly quick: boolean;
  readonly groups: readonly (Omit<Group, 'measure'> & { readonly rows: readonly Row[] })[];
  readonly targets: readonly Judged[];
}

/**
 * `--check` fails when even the better quarter of the rounds misses a target against bare Node by
 * more than this factor: machines differ, and others use them too. The rivals' times depend on
 * their own tools, so they are for the page alone.
 */
const MARGIN = 2;
const CHECKED = /bare node/;

const PAGE = 'docs/reference/performance.md';
const JSON_FILE = 'docs/reference/performance.json';
const [FROM, TO] = ['<!-- measured: written by npm run bench -->', '<!-- end of measured -->'];

const USAGE = `npm run bench [-- --quick] [--only NAME,…] [--update] [--json FILE] [--check]
  without --quick, --only or --check it writes ${PAGE} and ${JSON_FILE};
  with --only and --update it writes these groups there, and leaves the others
  groups: ${GROUPS.map(({ name }) => name).join(', ')}
`;

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function measureAll(groups: readonly Group[], plan: Plan): Promise<Report['groups']> {
  const measured: Report['groups'][number][] = [];
  for (const { measure, ...group } of groups) {
    const started = performance.now();
    measured.push({ ...group, rows: await measure(plan) });
    say(`bench: ${group.name}: ${Math.round((performance.now() - started) / 1000)} s`);
  }
  return measured;
}

function writePage(report: Report): void {
  writeFileSync(JSON_FILE, `${JSON.stringify(report, null, 2)}\n`);
  const page = readFileSync(PAGE, 'utf8');
  const [before = '', rest = ''] = page.split(FROM);
  writeFileSync(PAGE, `${before}${FROM}\n\n${markdown(report)}\n${TO}${rest.split(TO)[1] ?? ''}`);
}

/**
 * The content of the page, with the groups of this report in place of its own. A ratio compares
 * rows of one group alone.
 */
function updated(report: Report): Report {
  const old = JSON.parse(readFileSync(JSON_FILE, 'utf8')) as Report;
  const groups = GROUPS.flatMap(({ name }) => {
    const found =
      report.groups.find((each) => each.name === name) ??
      old.groups.find((each) => each.name === name);
    return found === undefined ? [] : [found];
  });
  return { ...report, groups, targets: judge(groups) };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      check: { type: 'boolean' },
      update: { type: 'boolean' },
      only: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return 0;
  }
  const obstacle = sandboxObstacle();
  if (obstacle !== undefined) {
    say(`bench: nothing was measured: ${obstacle}`);
    return values.check === true ? 0 : 1;
  }
  const only = values.check === true ? ['start'] : values.only?.split(',');
  const unknown = only?.find((each) => GROUPS.every(({ name }) => name !== each));
  if (unknown !== undefined) {
    say(`bench: there is no group ${unknown}\n${USAGE}`);
    return 64;
  }
  const quick = values.quick === true || values.check === true;
  const groups = await measureAll(
    GROUPS.filter(({ name }) => only?.includes(name) ?? true),
    {
      tools: process.argv[1]?.replace(/[^/]*$/, '') ?? '',
      rounds: quick ? 8 : 40,
      seconds: quick ? 0.7 : 3,
      repeats: quick ? 2 : 7,
    },
  );
  const report: Report = {
    version: 1,
    machine: {
      node: process.version,
      kernel: release(),
      processor: cpuModel(),
      processors: availableParallelism(),
    },
    quick,
    groups,
    targets: judge(groups),
  };
  const text = markdown(report);
  process.stdout.write(`${text}\n`);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (values.json !== undefined) writeFileSync(values.json, json);
  if (!quick && only === undefined) writePage(report);
  if (!quick && only !== undefined && values.update === true) writePage(updated(report));
  if (values.check !== true) return 0;
  const missed = report.targets.filter(
    ({ figure, atBest }) => CHECKED.test(figure) && atBest > MARGIN,
  );
  for (const { figure, is, bound, atBest } of missed)
    say(
      `bench: ${figure} is ${is.toFixed(2)}; ${atBest.toFixed(2)} times off ${bound} in the better quarter of the rounds`,
    );
  return missed.length === 0 ? 0 : 1;
}

void main().then((status) => process.exit(status));

import { EXIT, KillswitchError } from '../errors.ts';
import { ownProgram, runningInterpreter } from '../host/program-files.ts';
import { offloadText } from '../tunnel/tunnel.ts';
import { CHECKS } from '../view/doctor/checks.ts';
import { type DoctorFacts, readDoctorFacts } from '../view/doctor/facts.ts';
import type { Finding } from '../view/doctor/finding.ts';
import type { PictureLine } from '../view/picture.ts';
import type { CliCommand, Flags } from './command.ts';
import { parseArguments } from './parse-arguments.ts';
import { drawn } from './screen.ts';

const counted = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;

/** Renders a check: its title where it found nothing, else each finding and its fix. */
export function findingLines({
  title,
  findings,
}: {
  readonly title: string;
  readonly findings: readonly Finding[];
}): readonly PictureLine[] {
  if (findings.length === 0) return [{ text: `ok       ${title}`, tone: 'good' }];
  // The title states the good case: print the finding instead.
  return findings.flatMap(({ weight, what, fix }): readonly PictureLine[] => [
    weight === 'problem'
      ? { text: `PROBLEM  ${what}`, tone: 'bad' }
      : { text: `warning  ${what}`, tone: 'warning' },
    { label: 'fix', text: fix, tone: 'plain' },
  ]);
}

function offloadLines(report: DoctorFacts['report']): readonly string[] {
  if (report instanceof KillswitchError) return [];
  return report.intended.live.flatMap(({ tunnel }) =>
    tunnel.offloaded === true ? [offloadText(tunnel)] : [],
  );
}

const FLAGS = {
  json: { type: 'boolean', what: 'for programs: a list of check, weight, what, fix' },
} as const satisfies Flags;

export const doctor: CliCommand = {
  name: 'doctor',
  usage: 'doctor [--json]',
  group: 'look',
  brief: 'check for common problems, and print what fixes each',
  summary:
    'Check for common problems, and print the command that fixes each. Changes nothing; exit 1 when something must be fixed.',
  flags: FLAGS,
  words: [],
  exits: [[EXIT.failed, 'something must be fixed']],
  examples: [
    ['doctor', 'after the installation, and whenever something does not work'],
    ['doctor --json', 'the same for programs: a list of check, weight, what, fix'],
  ],
  needsRoot: true,
  run: ({ host, args, print, printExactly, draw, screen }) => {
    const { values } = parseArguments(doctor, args, FLAGS);
    const facts = readDoctorFacts(host, [runningInterpreter(), ownProgram()]);
    const found = CHECKS.map(({ title, find }) => ({ title, findings: find(facts) }));
    const all = found.flatMap(({ title, findings }) =>
      findings.map((finding) => ({ check: title, ...finding })),
    );
    const problems = all.filter(({ weight }) => weight === 'problem').length;
    const exit = problems > 0 ? EXIT.failed : EXIT.ok;
    if (values.json === true) {
      printExactly(JSON.stringify(all, null, 2));
      return exit;
    }
    for (const line of found.flatMap(findingLines).flatMap((each) => drawn(each, screen)))
      draw(line);
    for (const line of offloadLines(facts.report)) print(line);
    print(
      all.length === 0
        ? 'Nothing to fix.'
        : `${counted(problems, 'problem')}, ${counted(all.length - problems, 'warning')}.`,
    );
    return exit;
  },
};

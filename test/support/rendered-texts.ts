import { findingLines } from '../../src/cli/doctor.ts';
import { commandHelp, type HelpLine, programHelp } from '../../src/cli/help.ts';
import { COMMANDS } from '../../src/cli/main.ts';
import { manPage, settingsPage } from '../../src/cli/man-page.ts';
import { drawn, fitted } from '../../src/cli/screen.ts';
import { VERSION } from '../../src/cli/version.ts';
import { ERRORS, explainError, orElse } from '../../src/errors.ts';
import { readSettingsFile } from '../../src/machine/load-settings.ts';
import { KEYS } from '../../src/policy/settings.ts';
import type { Traffic } from '../../src/record/traffic.ts';
import { REASONS } from '../../src/ruleset/reasons.ts';
import { CHECKS } from '../../src/view/doctor/checks.ts';
import { type PictureLine, picture, shortText } from '../../src/view/picture.ts';
import { statusMetrics } from '../../src/view/status-metrics.ts';
import type { View } from '../../src/view/view.ts';
import { AILMENTS, HEALTHY } from './ailments.ts';
import { COLUMNS, folded } from './catalogue.ts';
import { errorTexts } from './error-texts.ts';
import { POLICY_NAMES } from './policies.ts';
import { FULL_VIEW, viewOf } from './views.ts';

const screen = { columns: COLUMNS, colour: false };
const lines = (all: Iterable<PictureLine>) =>
  [...all].flatMap((line) => drawn(line, screen)).join('\n');

const helpText = (help: readonly HelpLine[]) =>
  help.flatMap(({ text, indent }) => fitted(text, screen, indent)).join('\n');

function help(): string {
  const commands = COMMANDS.map((each) => `== ${each.name} --help\n${helpText(commandHelp(each))}`);
  return [`== --help\n${helpText(programHelp(COMMANDS))}`, ...commands].join('\n\n');
}

/** The text of a manual page, as roff(7) has it, without its macros. */
function plainPage(page: string): string {
  const text = page
    .replaceAll(`killswitch ${VERSION}"`, 'killswitch VERSION"')
    .split('\n')
    .filter((line) => !/^\.(TP|RS|RE|PP)\b/.test(line))
    .map((line) => line.replace(/^\.SH /, '\n').replace(/^\.(B|I|BR|TH) /, ''))
    .join('\n');
  return text
    .replaceAll('\\(dq', '"')
    .replaceAll('\\(aq', "'")
    .replaceAll('\\&', '')
    .replaceAll('\\-', '-')
    .replaceAll('\\e', '\\');
}

function findings(): string {
  const entries = AILMENTS.map(([ailment, change]) => {
    const found = CHECKS.map(({ title, find }) => ({
      title,
      findings: find({ ...HEALTHY, ...change }),
    }));
    const shown = found.filter((each) => each.findings.length > 0).flatMap(findingLines);
    return `== ${ailment}\n${lines(shown)}`;
  });
  return entries.join('\n\n');
}

const CONNECTED = viewOf('connected, two tunnels');
const { report: LOCKED } = CONNECTED;
const traffic = (state: Traffic['state']) =>
  new Map([['tun0', { state, seconds: 40 }]]) as View['connection']['traffic'];

/** States that no policy of the tests has. */
const OTHER_STATES: readonly (readonly [name: string, view: View])[] = [
  ['rules missing, watched, an earlier connection kept shut', FULL_VIEW],
  ['unlocked', { ...CONNECTED, report: { ...LOCKED, state: 'unlocked' } }],
  ['unlocked for a time', { ...CONNECTED, turnsIn: 240, report: { ...LOCKED, state: 'unlocked' } }],
  ['locked, and no rule is loaded', { ...CONNECTED, report: { ...LOCKED, state: 'open' } }],
  [
    'rules that could not be read',
    {
      ...CONNECTED,
      unknown: ['rules: nft fails (broken)'],
      report: { ...LOCKED, state: 'unknown' },
    },
  ],
  ['a lock for a time', { ...CONNECTED, turnsIn: 50 }],
  ['a lock on trial', { ...CONNECTED, goesBackIn: 50 }],
  [
    'a server that does not answer',
    { ...CONNECTED, connection: { kind: 'silent', traffic: traffic('silent') } },
  ],
  ['a quiet tunnel', { ...CONNECTED, connection: { kind: 'quiet', traffic: traffic('quiet') } }],
  ['a client connects', { ...CONNECTED, connection: { kind: 'connecting', traffic: new Map() } }],
  ['a VPN server alone', { ...CONNECTED, connection: { kind: 'server', traffic: new Map() } }],
  [
    'a tunnel that vanished, and changed settings',
    { ...CONNECTED, report: { ...LOCKED, stale: LOCKED.intended.live, settingsChanged: true } },
  ],
  [
    'a record that is not believed',
    { ...CONNECTED, refused: [{ path: '/run/ovpn-killswitch/tunnels/tun0', why: 'no JSON' }] },
  ],
  [
    'a watch that ended, and problems at boot',
    {
      ...CONNECTED,
      watch: { enabled: true, running: false },
      boot: { strategy: undefined, sysctl: true, problems: ['a file is missing'] },
    },
  ],
];

/** A line without its values: those of two states differ. */
const shape = (line: PictureLine) =>
  `${line.label} ${line.text.replace(/[\w.:/-]*\d[\w.:/-]*/g, '#')}`;

function states(): string {
  const seen = new Set<string>();
  const all = [...POLICY_NAMES.map((name) => [name, viewOf(name)] as const), ...OTHER_STATES];
  const pictures = all.flatMap(([name, view]) => {
    const fresh = [...picture(view)].filter((line) => !seen.has(shape(line)));
    for (const line of fresh) seen.add(shape(line));
    return fresh.length === 0 ? [] : [`== ${name}\n$ --short: ${shortText(view)}\n${lines(fresh)}`];
  });
  const metrics = statusMetrics(FULL_VIEW)
    .split('\n')
    .filter((line) => line.startsWith('# HELP'));
  return `${pictures.join('\n\n')}\n\n== metrics\n${metrics.join('\n')}`;
}

function errors(): string {
  const all = errorTexts();
  return Object.entries(ERRORS)
    .map(([code, { exit, safe }]) => {
      const texts = all
        .filter((each) => each.code === code)
        .map(({ message, next }) => `${message}\n  What to do: ${next}`);
      return [`== ${code} (exit ${exit}). ${safe}`, ...new Set(texts)].join('\n');
    })
    .join('\n\n');
}

const reasons = () =>
  Object.entries(REASONS)
    .map(([rule, { why }]) => `== ${rule}\n${why}`)
    .join('\n\n');

function settings(): string {
  const text = [...Object.keys(KEYS).map((key) => `${key}=?`), 'KILLSWITCH_LANS=off', 'off'];
  const twice = ['KILLSWITCH_LAN=off', 'KILLSWITCH_LAN=private'];
  const shut = ['KILLSWITCH_LAN=off', 'KILLSWITCH_LAN_INBOUND=22/tcp'];
  return [text, twice, shut]
    .map((each) =>
      orElse(
        () => {
          readSettingsFile('/etc/ovpn-killswitch/killswitch.env', `${each.join('\n')}\n`);
          throw new Error('these settings are accepted');
        },
        (error) => explainError(error).join('\n'),
      ),
    )
    .join('\n\n');
}

/** A file of the catalogue that is made from the code: its name, and the texts in it. */
export interface RenderedTexts {
  readonly name: string;
  readonly header: string;
  text(): string;
}

/** Files whose texts need no machine. */
export const RENDERED: readonly RenderedTexts[] = [
  {
    name: 'doctor-findings.txt',
    header:
      'Each finding of "doctor" with its fix, from example facts, as a terminal of 80 columns shows it.',
    text: findings,
  },
  {
    name: 'errors.txt',
    header:
      'Every error as it stands in the code: … is a value, " / " stands between alternatives. The line of a code says what is still safe; a command that can read the kernel prints the state in its place.',
    text: errors,
  },
  {
    name: 'help.txt',
    header: 'The help of the program and of each command, as a terminal of 80 columns shows it.',
    text: help,
  },
  {
    name: 'man-page.txt',
    header:
      'The two manual pages, without the macros of roff. They wrap lines by themselves: these are folded here.',
    text: () => `${plainPage(manPage(COMMANDS))}\n${plainPage(settingsPage())}`,
  },
  {
    name: 'rule-reasons.txt',
    header: 'The reason of each rule, as "explain" and docs/reference/rules.md print it.',
    text: reasons,
  },
  {
    name: 'settings-errors.txt',
    header: 'Mistakes in the settings file: one in each key, from files made for it.',
    text: settings,
  },
  {
    name: 'status-states.txt',
    header:
      'The short line and the picture of "status" in each state, from example facts, as a terminal of 80 columns shows them: each line once. Then the texts of its metrics.',
    text: states,
  },
];

/** Renders a file of the catalogue, folded at 80 columns. */
export function renderedText({ header, text }: RenderedTexts): string {
  const all = `# ${header}\n\n${text()}`.split('\n').flatMap(folded);
  return `${all.join('\n').trimEnd()}\n`;
}

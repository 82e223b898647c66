import { type Chapter, THINGS } from './story.ts';

/** The terminal's style: with colours, or plain. */
export interface Style {
  readonly colour: boolean;
}

const BAR = 12;
const TITLE = 26;
const CODES = { red: 31, green: 32, dim: 2, bold: 1 } as const;
export type Ink = keyof typeof CODES;

export function ink(text: string, which: Ink, { colour }: Style): string {
  return colour ? `\u001b[${CODES[which]}m${text}\u001b[0m` : text;
}

export function number(count: number): string {
  return count.toLocaleString('en');
}

/**
 * Draws the share of sent packets that left in clear as a bar: a share above zero never looks
 * empty.
 */
function side({ tally, tried, worked }: Chapter, style: Style): string {
  const share = Math.min(1, tally.clear / Math.max(1, tried));
  const length = tally.clear === 0 ? 0 : Math.max(1, Math.round(share * BAR));
  const bar = '█'.repeat(length).padEnd(BAR, '·');
  const works = worked === undefined ? '' : ` ${worked}/${THINGS}`;
  return `${ink(`${bar} ${number(tally.clear).padStart(6)}`, tally.clear === 0 ? 'green' : 'red', style)}${works.padEnd(4)}`;
}

export function heading(style: Style): readonly string[] {
  const columns = `${''.padStart(7)}${''.padEnd(TITLE)}${'without the switch'.padEnd(BAR + 11)} with the switch`;
  return [ink(columns, 'bold', style)];
}

/**
 * Renders one line of the timeline, at most 80 columns: when, what, and on each side the packets
 * that left in clear and the visits that worked.
 */
export function row(without: Chapter, guarded: Chapter, style: Style): string {
  const at = `${Math.max(without.at, guarded.at).toFixed(0)} s`.padStart(5);
  return `${ink(at, 'dim', style)}  ${without.title.padEnd(TITLE)}${side(without, style)} ${side(guarded, style)}`.trimEnd();
}

/** Wraps a text into lines of at most 80 columns. */
export function wrap(text: string): string {
  return text.replace(/(?![^\n]{1,80}$)([^\n]{1,80})\s/g, '$1\n');
}

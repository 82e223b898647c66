import { visibleLine } from '../net/visible.ts';
import type { PictureLine, Tone } from '../view/picture.ts';

/** The screen that shows a command's answer. */
export interface Screen {
  /** Characters in a line; undefined where a line may have any length: in a pipe or a file. */
  readonly columns: number | undefined;
  readonly colour: boolean;
}

/** Select Graphic Rendition (ECMA-48 8.3.117). */
const SGR: Readonly<Record<Tone, string>> = {
  good: '1;32',
  warning: '33',
  bad: '1;31',
  plain: '',
  waiting: '1;34',
  idle: '36',
};
const LABEL_WIDTH = 12;

/**
 * Returns the screen of a stream. Colour is for terminals, and only while NO_COLOR is unset or
 * empty (no-color.org).
 */
export function screenOf(
  { isTTY, columns }: { readonly isTTY?: boolean; readonly columns?: number },
  noColour: string | undefined,
): Screen {
  if (isTTY !== true) return { columns: undefined, colour: false };
  // A serial line reports a width of 0 until a program sets one.
  return {
    columns: columns === undefined || columns === 0 ? 80 : columns,
    colour: (noColour ?? '') === '',
  };
}

/**
 * Wraps a text to a width, cut at spaces where possible. `first` is the width of the first line.
 */
function wrapped(text: string, width: number, first: number = width): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  for (let room = first; rest.length > room; room = width) {
    const space = rest.lastIndexOf(' ', room);
    const cut = space > 0 ? space : room;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  return [...lines, rest];
}

/**
 * Fits a text to the width of a screen. A continued line starts below its own start, or `indent`
 * characters in. Leaves lines with control sequences alone: they were fitted before.
 */
export function fitted(
  text: string,
  { columns }: Pick<Screen, 'columns'>,
  indent?: number,
): readonly string[] {
  return text.split('\n').flatMap((line) => {
    if (columns === undefined || line.length <= columns || line.includes('\x1b')) return [line];
    const start = line.length - line.trimStart().length;
    const further = indent ?? start;
    const parts = wrapped(
      line.trimStart(),
      Math.max(20, columns - further),
      Math.max(20, columns - start),
    );
    return parts.map((part, index) => ' '.repeat(index === 0 ? start : further) + part);
  });
}

/** Draws one line of a picture as lines of a screen. */
export function drawn(
  { label, text: given, tone }: PictureLine,
  { columns, colour }: Screen,
): readonly string[] {
  const text = visibleLine(given);
  const indent = label === undefined ? 0 : LABEL_WIDTH;
  const parts = columns === undefined ? [text] : wrapped(text, Math.max(20, columns - indent));
  const sgr = SGR[tone];
  return parts.map((part, index) => {
    const margin =
      index === 0 && label !== undefined ? `  ${label}`.padEnd(indent) : ' '.repeat(indent);
    return margin + (colour && sgr !== '' ? `\x1b[${sgr}m${part}\x1b[0m` : part);
  });
}

import type { PictureLine, Tone } from '../view/picture.ts';

/** Where the answer of a command is shown. */
export interface Screen {
  /** Characters in a line; undefined where lines may have any length: in a pipe or a file. */
  readonly columns: number | undefined;
  readonly colour: boolean;
}

/** Select Graphic Rendition (ECMA-48 8.3.117). */
const SGR: Readonly<Record<Tone, string>> = { good: '1;32', warning: '33', bad: '1;31', plain: '' };
const LABEL_WIDTH = 12;

/** The screen that a stream is. Colour is for terminals, and only while NO_COLOR is unset or empty (no-color.org). */
export function screenOf(
  { isTTY, columns }: { readonly isTTY?: boolean; readonly columns?: number },
  noColour: string | undefined,
): Screen {
  return isTTY === true ? { columns: columns ?? 80, colour: (noColour ?? '') === '' } : { columns: undefined, colour: false };
}

/** A text in lines of a width, cut at spaces where it can be. */
export function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width);
    const cut = space > 0 ? space : width;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  return [...lines, rest];
}

/** One line of a picture as lines of a screen. */
export function drawn({ label, text, tone }: PictureLine, { columns, colour }: Screen): readonly string[] {
  const indent = label === undefined ? 0 : LABEL_WIDTH;
  const parts = columns === undefined ? [text] : wrapped(text, Math.max(20, columns - indent));
  const sgr = SGR[tone];
  return parts.map((part, index) => {
    const margin = index === 0 && label !== undefined ? `  ${label}`.padEnd(indent) : ' '.repeat(indent);
    return margin + (colour && sgr !== '' ? `\x1b[${sgr}m${part}\x1b[0m` : part);
  });
}

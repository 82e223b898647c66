/**
 * Opens this product's block in a file that it shares with the file's owner: the line starts with
 * these words.
 */
export const BLOCK_OPENS = '# >>> ovpn-killswitch';
/** Closes the block: exactly this line. */
export const BLOCK_CLOSES = '# <<< ovpn-killswitch';

type Place = 'outside' | 'inside';

/**
 * Maps a marker to the next place, by the place it stands in. A file that breaks this table, or
 * ends inside a block, is damaged. Nobody can then tell which lines are this product's, so all of
 * them stay. The script `recover` is built from the same table.
 */
export const MARKER_RULE: Readonly<
  Record<Place, Readonly<Record<'opens' | 'closes', Place | 'damaged'>>>
> = {
  outside: { opens: 'inside', closes: 'damaged' },
  inside: { opens: 'damaged', closes: 'outside' },
};

/** Returns a line without its line break, whichever kind it is. */
export function bareLine(line: string): string {
  return line.replace(/\r?\n$|\r$/, '');
}

/** Tells which marker a line is; undefined when it is none. */
export function markerOf(line: string): 'opens' | 'closes' | undefined {
  const text = bareLine(line);
  if (text.startsWith(BLOCK_OPENS)) return 'opens';
  return text === BLOCK_CLOSES ? 'closes' : undefined;
}

/** Tells why the markers do not show which lines are this product's; undefined when they do. */
export function markerDamage(text: string): string | undefined {
  let place: Place = 'outside';
  let opened = 0;
  for (const [index, line] of text.split('\n').entries()) {
    const marker = markerOf(line);
    if (marker === undefined) continue;
    const next: Place | 'damaged' = MARKER_RULE[place][marker];
    if (next === 'damaged' && place === 'outside')
      return `line ${index + 1} ends lines of ovpn-killswitch, but none begin above it`;
    if (next === 'damaged') break;
    if (next === 'inside') opened = index + 1;
    place = next;
  }
  return place === 'outside'
    ? undefined
    : `line ${opened} begins lines of ovpn-killswitch that end nowhere`;
}

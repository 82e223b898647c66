/**
 * Characters that move a cursor, end a line, or hide and reorder what stands beside them: C0 and C1
 * controls, format characters (bidirectional overrides among them), line and paragraph separators.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** UTF-16 units as JSON writes them, so that JSON stays JSON. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** Text as one line that a terminal shows as it stands; letters of every script stay. */
export function visibleLine(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** The same for text of several lines, in which tabs may stand. */
export function visibleText(text: string): string {
  return text.replace(UNSEEN, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

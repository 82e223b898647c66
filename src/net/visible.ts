/**
 * Characters that move a cursor, end a line, or hide and reorder the text beside them: C0 and C1
 * controls, format characters (bidirectional overrides among them), line and paragraph separators.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes UTF-16 units as JSON writes them, so that JSON stays JSON. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}

/** Returns text as one line that a terminal shows unchanged. Keeps letters of every script. */
export function visibleLine(text: string): string {
  return text.replace(UNSEEN, escaped);
}

/** Like `visibleLine`, for text of several lines; keeps tabs. */
export function visibleText(text: string): string {
  return text.replace(UNSEEN, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** Quotes a text as one word for sh(1), in single quotes. The text must not hold NUL. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Writes the bytes of a text for `printf %b`: three octal digits after `\0`, except for letters and
 * digits.
 */
function octal(text: string): string {
  const bytes = [...Buffer.from(text, 'utf8')];
  return bytes
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /^[A-Za-z0-9/.]$/.test(character)
        ? character
        : `\\0${byte.toString(8).padStart(3, '0')}`;
    })
    .join('');
}

/**
 * Writes a text as one word of a command that a person pastes into sh(1), without a character that
 * a terminal would act on. A text that ends in a line break becomes the empty word, which names no
 * file: $() would drop that line break.
 */
export function shellWord(text: string): string {
  if (/^[\w./@+:,=-]+$/.test(text)) return text;
  if (/^[\x20-\x7e]*$/.test(text)) return singleQuoted(text);
  return text.endsWith('\n') || text.includes('\0') ? "''" : `"$(printf %b '${octal(text)}')"`;
}

/** Like `shellWord`, for the name of a file: no program takes it for an option. */
export function shellFile(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

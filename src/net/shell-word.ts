/** In single quotes, as sh(1) takes any text without NUL as one word. */
export function singleQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The bytes of a text as `printf %b` reads them: three octal digits after `\0`, but for letters and
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
 * A text as one word of a command that a person pastes into sh(1), without a character that a
 * terminal would act on. What ends in a line break cannot be written so, because $() takes that
 * away: it becomes the empty word, which names no file.
 */
export function shellWord(text: string): string {
  if (/^[\w./@+:,=-]+$/.test(text)) return text;
  if (/^[\x20-\x7e]*$/.test(text)) return singleQuoted(text);
  return text.endsWith('\n') || text.includes('\0') ? "''" : `"$(printf %b '${octal(text)}')"`;
}

/** The same for the name of a file: no program takes it for an option. */
export function shellFile(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

/**
 * Makes foreign text safe for one line of a log or terminal: keeps printable ASCII, writes the rest
 * as `\xNN`, and cuts at 120 characters.
 */
export function printable(text: string): string {
  const characters = [...Buffer.from(text.slice(0, 480), 'utf8')].map((byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  );
  const line = characters.join('');
  return line.length > 120 ? `${line.slice(0, 117)}...` : line;
}

/** Returns the first line of a tool's output, escaped. */
export function firstPrintableLine(text: string): string {
  return printable(text.trim().split('\n')[0] ?? '');
}

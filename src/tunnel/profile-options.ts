/** The blanks of isspace(3); JavaScript's own class has more. */
const BLANK = /[ \t\n\v\f\r]/;

/**
 * Cuts one line into words, as OpenVPN's `parse_line` does (options_parse.c). Blanks separate
 * words, and `#` or `;` at the start of a word ends the line. A quote at the start of a word groups
 * up to the next one. Outside single quotes, a backslash escapes a blank, a quotation mark or a
 * backslash. Returns nothing for a line that OpenVPN refuses: unclosed quotes, or another character
 * after a backslash.
 */
export function words(line: string): readonly string[] {
  const found: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  let escaped = false;
  for (const character of line) {
    if (!escaped && character === '\\' && quote !== "'") {
      escaped = true;
      continue;
    }
    const plain = !escaped;
    escaped = false;
    const blank = BLANK.test(character);
    const ends = quote === undefined ? word !== undefined && blank : character === quote;
    if (plain && ends) {
      found.push(word ?? '');
      word = undefined;
      quote = undefined;
      continue;
    }
    if (word === undefined && quote === undefined) {
      if (blank) continue;
      if (character === '#' || character === ';') return found;
      if (plain && (character === '"' || character === "'")) {
        quote = character;
        continue;
      }
    }
    if (!plain && !blank && character !== '"' && character !== '\\') return [];
    word = (word ?? '') + character;
  }
  if (quote !== undefined || (escaped && word !== undefined)) return [];
  return word === undefined ? found : [...found, word];
}

/** Quotes a word so that `words` reads it back unchanged. */
export function quoted(word: string): string {
  if (/^[^\s"'\\#;][^\s\\]*$/.test(word)) return word;
  return word.includes("'") ? `"${word.replace(/["\\]/g, '\\$&')}"` : `'${word}'`;
}

/**
 * Unwraps `setenv opt OPTION …`: the same as the option, except that OpenVPN goes on without one
 * that it does not know (options.c, add_option).
 */
function withoutOpt(option: readonly string[]): readonly string[] {
  const [name, first, ...rest] = option;
  return name === 'setenv' && first === 'opt' && rest.length > 0 ? rest : option;
}

/**
 * Yields the options of a profile in order, without inline files (`<ca>…</ca>`). Yields the tags
 * that open and close a `<connection>` block. As in OpenVPN (read_inline_file), a line that only
 * starts with a closing tag closes too.
 */
export function* options(text: string): Generator<readonly string[]> {
  let block = false;
  let inline: string | undefined;
  for (const line of text.replace(/^\uFEFF/, '').split('\n')) {
    const content = line.replace(/^[ \t\v\f\r]+/, '');
    if (block && content.startsWith('</connection>')) {
      block = false;
      inline = undefined;
      yield ['</connection>'];
      continue;
    }
    if (inline !== undefined) {
      if (content.startsWith(`</${inline}>`)) inline = undefined;
      continue;
    }
    const [first, ...values] = words(line);
    if (first === undefined) continue;
    const name = first.replace(/^--(?=.)/, '');
    const [, tag] = values.length === 0 ? (/^<(.*)>$/.exec(name) ?? []) : [];
    if (tag === 'connection' && !block) {
      block = true;
      yield [name];
    } else if (tag !== undefined) inline = tag;
    else yield withoutOpt([name, ...values]);
  }
}

/** Tells whether a profile ends inside an inline file or a block. */
export function endsInside(text: string): boolean {
  const mark = 'end-of-profile';
  let block = false;
  let last: string | undefined;
  for (const [name] of options(`${text}\n${mark}`)) {
    if (name === '<connection>' || name === '</connection>') block = name === '<connection>';
    last = name;
  }
  return block || last !== mark;
}

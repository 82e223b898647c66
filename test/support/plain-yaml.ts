/** The values in the YAML of the examples. */
export type Yaml = string | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

function fail({ number, text }: Line, why: string): never {
  throw new Error(`line ${number}: ${why}: ${text}`);
}

/** A key, then a value: a name or a quoted text, a colon, and a space or the end. */
const PAIR = /^([\w./-]+):(?: +(.*))?$/;

function scalar(line: Line, text: string): string {
  if (text.startsWith("'")) {
    const [, inner] = /^'((?:[^']|'')*)'$/.exec(text) ?? fail(line, 'a quote is not closed');
    return (inner ?? '').replaceAll("''", "'");
  }
  // A plain scalar: YAML 1.2, 7.3.3. These would start or end something else.
  if (/^[[\]{}"&*!|>%@`?,#]|^-( |$)|: |:$| #|\t/.test(text)) fail(line, 'not a plain scalar');
  return text;
}

/**
 * Reads the part of YAML 1.2 that the examples keep to: block mappings and sequences, literal
 * blocks, plain and single-quoted scalars. Scalars stay texts.
 * @throws Error on everything else, with the line's number
 */
export function parsePlainYaml(source: string): Yaml {
  const lines: Line[] = source.split('\n').map((text, index) => ({
    number: index + 1,
    indent: text.length - text.trimStart().length,
    text: text.trim(),
  }));
  let at = 0;

  /** The next line that says something, which is not consumed. */
  function peek(): Line | undefined {
    for (; at < lines.length; at++) {
      const line = lines[at];
      if (line !== undefined && line.text !== '' && !line.text.startsWith('#')) return line;
    }
    return undefined;
  }

  /** The lines that are further in than `indent`, without their common margin. */
  function literal(indent: number): string {
    const taken: string[] = [];
    let margin: number | undefined;
    for (; at < lines.length; at++) {
      const line = lines[at];
      if (line === undefined || (line.text !== '' && line.indent <= indent)) break;
      if (line.text !== '') margin ??= line.indent;
      taken.push(source.split('\n')[line.number - 1]?.slice(margin) ?? '');
    }
    return `${taken.join('\n').trimEnd()}\n`;
  }

  function value(line: Line, text: string | undefined, indent: number): Yaml {
    if (text === '|') return literal(indent);
    if (text !== undefined && text !== '') return scalar(line, text);
    const next = peek();
    const further = next !== undefined && next.indent > indent;
    if (!further) fail(line, 'nothing stands below');
    return node(next.indent);
  }

  function mapping(indent: number): Yaml {
    const pairs = new Map<string, Yaml>();
    for (let line = peek(); line !== undefined && line.indent === indent; line = peek()) {
      const [, key = '', text] = PAIR.exec(line.text) ?? fail(line, 'not a key and its value');
      if (pairs.has(key)) fail(line, 'the key stands twice');
      at++;
      pairs.set(key, value(line, text, indent));
    }
    return Object.fromEntries(pairs);
  }

  function sequence(indent: number): Yaml {
    const items: Yaml[] = [];
    for (let line = peek(); line !== undefined && line.indent === indent; line = peek()) {
      const [, text = ''] = /^- +(.+)$/.exec(line.text) ?? fail(line, 'not an item');
      if (PAIR.test(text)) {
        // The item's first key stands where the others below it do.
        const inner = indent + line.text.length - text.length;
        lines[at] = { ...line, indent: inner, text };
        items.push(mapping(inner));
        continue;
      }
      at++;
      items.push(value(line, text, indent));
    }
    return items;
  }

  function node(indent: number): Yaml {
    return peek()?.text.startsWith('- ') === true ? sequence(indent) : mapping(indent);
  }

  const first = peek();
  const all = first === undefined ? {} : node(first.indent);
  const rest = peek();
  if (rest !== undefined) fail(rest, 'not in line with what stands above');
  return all;
}

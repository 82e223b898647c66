import jsTokens from 'js-tokens';

/** Text that a person reads as one piece, and the line of its file on which it begins. */
export interface Passage {
  readonly line: number;
  readonly kind: 'prose' | 'cell' | 'heading' | 'comment' | 'string' | 'title';
  readonly text: string;
}

/** Text without code: a code span reads as one word, a link as its own text. */
function withoutCode(text: string): string {
  return text
    .replace(/`[^`]*`/g, '`code`')
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .replace(/\*\*/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Reads a page: paragraphs, list items, headings and the cells of tables, without code blocks. */
export function proseOfPage(page: string): readonly Passage[] {
  const passages: Passage[] = [];
  let open: { line: number; lines: string[] } | undefined;
  const close = () => {
    if (open !== undefined)
      passages.push({ line: open.line, kind: 'prose', text: withoutCode(open.lines.join(' ')) });
    open = undefined;
  };
  const blank = (text: string) => text.replace(/[^\n]/g, '');
  const lines = page
    .replace(/<!--[\s\S]*?-->/g, blank)
    .replace(/^ *```[\s\S]*?^ *```/gm, blank)
    .split('\n');
  for (const [index, text] of lines.entries()) {
    const line = index + 1;
    const [, marks, heading] = /^(#+) (.+)$/.exec(text) ?? [];
    // A deeply indented line goes on with an open paragraph, else it is code (CommonMark 4.4).
    const isCode = open === undefined && /^ {4,}\S/.test(text);
    if (/^\s*$|^\|[-|: ]+$/.test(text) || marks !== undefined) close();
    if (marks !== undefined)
      passages.push({ line, kind: 'heading', text: withoutCode(heading ?? '') });
    else if (text.startsWith('|')) {
      close();
      for (const cell of text.split('|').slice(1, -1))
        passages.push({ line, kind: 'cell', text: withoutCode(cell) });
    } else if (!isCode && !/^\s*$/.test(text)) {
      const [, item] = /^\s*(?:[*-]|\d+\.) (.*)$/.exec(text) ?? [];
      if (item !== undefined) close();
      open ??= { line, lines: [] };
      open.lines.push(item ?? text);
    }
  }
  close();
  return passages.filter(({ text }) => text !== '');
}

/** The text of a comment without its marks. */
function commentText(comment: string): string {
  return comment.replace(/^\/\*+|\*+\/$|^\/\/+|^#!?/g, '').replace(/^\s*\* ?/gm, '');
}

/** A string as it reads: without escapes. */
const unescaped = (text: string) => text.replace(/\\n/g, '\n').replace(/\\(.)/g, '$1');

/**
 * Reads a program: its comments, and its strings with an ellipsis for each value in them. With
 * `titles` only those strings that name a test or a group of tests.
 */
export function proseOfProgram(program: string, only: 'strings' | 'titles'): readonly Passage[] {
  const passages: Passage[] = [];
  const templates: { line: number; isTitle: boolean; text: string }[] = [];
  let [line, before, lastComment] = [1, '', 0];
  const add = (at: number, isTitle: boolean, text: string) => {
    if (only === 'titles' && !isTitle) return;
    for (const part of unescaped(text).split('\n'))
      passages.push({ line: at, kind: isTitle ? 'title' : 'string', text: withoutCode(part) });
  };
  for (const { type, value } of jsTokens(program)) {
    const isTitle = /(?:\b(?:test|describe)(?:\.\w+)?|\))\($/.test(before);
    const last = passages.at(-1);
    switch (type) {
      case 'SingleLineComment':
        if (last?.kind === 'comment' && lastComment === line - 1)
          passages[passages.length - 1] = {
            ...last,
            text: withoutCode(`${last.text} ${commentText(value)}`),
          };
        else passages.push({ line, kind: 'comment', text: withoutCode(commentText(value)) });
        lastComment = line;
        break;
      case 'MultiLineComment':
        for (const part of commentText(value).split(/(?=@\w+ )|\n\s*\n/))
          passages.push({ line, kind: 'comment', text: withoutCode(part) });
        break;
      case 'StringLiteral':
      case 'NoSubstitutionTemplate':
        add(line, isTitle, value.slice(1, -1));
        break;
      case 'TemplateHead':
        templates.push({ line, isTitle, text: `${value.slice(1, -2)}…` });
        break;
      case 'TemplateMiddle':
      case 'TemplateTail': {
        const template = templates.at(-1);
        if (template === undefined) break;
        template.text += type === 'TemplateTail' ? value.slice(1, -1) : `${value.slice(1, -2)}…`;
        if (type === 'TemplateTail') {
          templates.pop();
          add(template.line, template.isTitle, template.text);
        }
        break;
      }
      default:
    }
    line += value.split('\n').length - 1;
    if (!/^\s*$/.test(value) && !type.endsWith('Comment')) before = `${before}${value}`.slice(-40);
  }
  return passages.filter(({ text }) => /\w/.test(text));
}

/** Reads a shell script: its comments, consecutive ones together, and its quoted strings. */
export function proseOfScript(script: string): readonly Passage[] {
  const passages: Passage[] = [];
  let lastComment = 0;
  for (const [index, text] of script.split('\n').entries()) {
    const line = index + 1;
    const [, comment] = /(?:^|\s)#+!?\s(.*)$/.exec(text) ?? [];
    const last = passages.at(-1);
    if (comment !== undefined && last?.kind === 'comment' && lastComment === index)
      passages[passages.length - 1] = { ...last, text: withoutCode(`${last.text} ${comment}`) };
    else if (comment !== undefined)
      passages.push({ line, kind: 'comment', text: withoutCode(comment) });
    if (comment !== undefined) lastComment = line;
    const code = text.replace(/(?:^|\s)#+!?\s.*$/, '');
    for (const [, plain, quoted] of code.matchAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"/g))
      passages.push({ line, kind: 'string', text: withoutCode(unescaped(plain ?? quoted ?? '')) });
  }
  return passages.filter(({ text }) => /\w/.test(text));
}

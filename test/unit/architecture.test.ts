import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;

/**
 * The rooms of src/ from the first, which knows nobody, to the last. A file may import its own room
 * and those before it.
 */
const ROOMS = [
  'errors',
  'net',
  'tunnel',
  'policy',
  'ruleset',
  'backend',
  'machine',
  'record',
  'transaction',
  'dns',
  'boot',
  'watch',
  'view',
  'proof',
  'cli',
  'hook',
  'hooks',
];
/**
 * Rooms beside the pipeline: the door to the system, and what makes a hook start fast. See the
 * tests below.
 */
const HOST = 'host';
const LAUNCH = 'launch';
/** The files that the door offers: these are types, texts and values, and touch nothing. */
const OFFERED = [
  'clock',
  'command',
  'files',
  'host',
  'listener',
  'log-entry',
  'network',
  'paths',
  'processes',
].map((name) => `src/host/${name}.ts`);
/** A command is a value: a backend makes one, and nothing runs it before `machine`. */
const COMMAND = 'src/host/command.ts';
const isBeside = (file: string) => [HOST, LAUNCH].includes(roomOf(file));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typesOnly: boolean;
}

const files = (folder: string): readonly string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file));
const SOURCES = [...files('src'), ...files('hooks')];
const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const withoutComments = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');

function importsOf(file: string): readonly Import[] {
  const statements = withoutComments(textOf(file)).matchAll(
    /^\s*(?:import|export)\s+(type\s)?([^;'"]*?from\s+)?['"]([^'"]+)['"]/gm,
  );
  return [...statements].map(([, type, names = '', to = '']) => ({
    from: file,
    to: to.startsWith('.') ? relative(ROOT, join(ROOT, dirname(file), to)) : to,
    typesOnly:
      type !== undefined || /^\{\s*(type\s+\w+(\s+as\s+\w+)?\s*,?\s*)+\}\s*from\s+$/.test(names),
  }));
}

function roomOf(file: string): string {
  const [top = '', room = ''] = file.split('/');
  return top === 'hooks' ? 'hooks' : room.replace(/\.ts$/, '');
}

const IMPORTS = SOURCES.flatMap(importsOf);
const OWN = IMPORTS.filter(({ to }) => /^(src|hooks)\//.test(to));
const shown = (imports: readonly Import[]) =>
  imports.map(({ from, to }) => `${from} imports ${to}`);

describe('the rooms of the source', () => {
  test('are all known', () => {
    expect(
      [...new Set(SOURCES.map(roomOf))].filter((room) => ![HOST, LAUNCH, ...ROOMS].includes(room)),
    ).toEqual([]);
  });

  test('are found by their imports', () => {
    // Not vacuous: the pipeline is there.
    expect(shown(OWN)).toEqual(
      expect.arrayContaining([
        'src/ruleset/compile.ts imports src/policy/policy.ts',
        'hooks/hooks.ts imports src/hook/run-hook.ts',
      ]),
    );
  });

  test('import one way only: nothing before knows what comes after', () => {
    const backwards = OWN.filter(
      ({ from, to }) =>
        !isBeside(from) && !isBeside(to) && ROOMS.indexOf(roomOf(to)) > ROOMS.indexOf(roomOf(from)),
    );
    expect(shown(backwards)).toEqual([]);
  });

  test('have no circle of files', () => {
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].join(' > '));
        return;
      }
      state.set(file, 'open');
      for (const { to } of OWN.filter(({ from, typesOnly }) => from === file && !typesOnly))
        visit(to, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of SOURCES) visit(file, []);
    expect(circles).toEqual([]);
  });
});

describe('the host, the only door to the system', () => {
  const fromOthers = OWN.filter(({ from, to }) => roomOf(to) === HOST && !isBeside(from));

  test('is known as a type and by its paths from machine on, and not before', () => {
    const early = fromOthers.filter(
      ({ from }) => ROOMS.indexOf(roomOf(from)) < ROOMS.indexOf('machine'),
    );
    expect(shown(early.filter(({ to, typesOnly }) => to !== COMMAND || !typesOnly))).toEqual([]);
    // Not vacuous: a backend makes commands.
    expect(shown(early)).toContain(`src/backend/backend.ts imports ${COMMAND}`);
  });

  test('is opened by commands, proofs and the hooks’ body alone', () => {
    const openers = ['proof', 'cli', 'hook', 'hooks'];
    const opened = fromOthers.filter(
      ({ from, to }) => !OFFERED.includes(to) && !openers.includes(roomOf(from)),
    );
    expect(shown(opened)).toEqual([]);
  });

  test('offers small doors, of which none knows how Linux opens it', () => {
    const known = OWN.filter(
      ({ from, to }) => OFFERED.includes(from) && roomOf(to) === HOST && !OFFERED.includes(to),
    );
    expect(shown(known)).toEqual([]);
  });

  test('takes from the other rooms types, errors, and what is only text and values', () => {
    const taken = OWN.filter(
      ({ from, to, typesOnly }) => roomOf(from) === HOST && roomOf(to) !== HOST && !typesOnly,
    );
    expect(shown(taken.filter(({ to }) => !['errors', 'net'].includes(roomOf(to))))).toEqual([]);
  });

  test('and what starts the hooks are the only rooms that reach for files and processes', () => {
    const reaching = IMPORTS.filter(
      ({ from, to }) =>
        !isBeside(from) &&
        /^(node:)?(fs|child_process|os|worker_threads)(\/|$)|^(execa|pino)(\/|$)/.test(to),
    );
    expect(shown(reaching)).toEqual([]);
  });

  test('and the proofs, which send the packets that must not get through, are the only rooms that may open sockets', () => {
    const sockets = IMPORTS.filter(
      ({ from, to }) =>
        ![HOST, 'proof'].includes(roomOf(from)) &&
        /^(node:)?(net|dgram|dns|http|https|http2|tls)(\/|$)/.test(to),
    );
    expect(shown(sockets)).toEqual([]);
  });
});

describe('what makes a hook start fast', () => {
  test('is known to the command that installs it alone', () => {
    const users = OWN.filter(({ from, to }) => roomOf(to) === LAUNCH && roomOf(from) !== LAUNCH);
    expect(users.length).toBeGreaterThan(0);
    expect(shown(users.filter(({ from }) => from !== 'src/cli/install.ts'))).toEqual([]);
  });

  test('takes from the pipeline types alone', () => {
    const taken = OWN.filter(
      ({ from, to, typesOnly }) => roomOf(from) === LAUNCH && !isBeside(to) && !typesOnly,
    );
    expect(shown(taken)).toEqual([]);
  });
});

describe('docs/explanation/architecture.md', () => {
  const [FROM, TO] = [
    '<!-- rooms: written by npx vitest run test/unit/architecture.test.ts -u -->',
    '<!-- end of rooms -->',
  ];

  /** Which room needs which: an arrow for each that no longer way makes known already. */
  function picture(): string {
    const needs = new Map(
      [...ROOMS, LAUNCH]
        .filter((room) => room !== 'errors')
        .map((room) => [
          room,
          new Set(
            OWN.filter(({ from }) => roomOf(from) === room)
              .map(({ to }) => roomOf(to))
              .filter((other) => ![room, 'errors', HOST].includes(other)),
          ),
        ]),
    );
    const reaches = (from: string, to: string, without: string): boolean =>
      [...(needs.get(from) ?? [])].some(
        (next) => !(from === without && next === to) && (next === to || reaches(next, to, '')),
      );
    const arrows = [...needs].flatMap(([room, others]) =>
      [...others]
        .filter((other) => other !== HOST && room !== HOST && !reaches(room, other, room))
        .map((other) => `    ${room} --> ${other}`),
    );
    return ['```mermaid', 'graph TD', ...arrows.sort(), '```'].join('\n');
  }

  test('shows the rooms as they are', async () => {
    const page = textOf('docs/explanation/architecture.md');
    const [before, rest = ''] = page.split(FROM);
    const [, after] = rest.split(TO);
    expect(after).toBeDefined();
    await expect(`${before}${FROM}\n\n${picture()}\n\n${TO}${after}`).toMatchFileSnapshot(
      '../../docs/explanation/architecture.md',
    );
  });
});

describe('the source', () => {
  test.each(SOURCES.filter((file) => !/^(src\/(hook|host|launch)\/.*|hooks\/.*)\.ts$/.test(file)))(
    '%s reads no environment variable of its process',
    (file) => {
      // A person's environment decides one thing: whether a terminal shows colour
      // (no-color.org).
      const text = withoutComments(textOf(file)).replaceAll("process.env['NO_COLOR']", '');
      expect(text).not.toMatch(/process\.env|process\[['"]env/);
    },
  );

  test.each(SOURCES)('%s keeps the rules of the house', (file) => {
    const text = withoutComments(textOf(file));
    expect(text).not.toMatch(/^export default/m);
    expect(text).not.toMatch(/\bas any\b|: any\b|<any>/);
    expect(text).not.toMatch(/^\s*(export )?(const )?enum\s/m);
    expect(text).not.toMatch(/\bshell:\s*(true|['"])|\beval\(|new Function\(/);
    for (const { to } of importsOf(file))
      if (to.startsWith('src/') || to.startsWith('hooks/')) expect(to).toMatch(/\.ts$/);
    for (const [, name] of text.matchAll(/^\s*export (?:abstract )?class (\w+)/gm))
      expect(name).toMatch(/Error$/);
  });

  test('has no place for what has no name', () => {
    expect(
      SOURCES.filter(
        (file) =>
          /(^|\/)(utils?|helpers?|managers?|common|misc|index)(\.ts|\/)/.test(file) &&
          file !== 'src/index.ts',
      ),
    ).toEqual([]);
  });
});

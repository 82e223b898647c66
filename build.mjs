// node build.mjs [--prefix /usr|/usr/local] [--out FOLDER]
// Builds dist/, or another folder: one CommonJS file for all hooks, and one for each program.
// CommonJS starts faster than ESM, and a bundle needs no node_modules. Each file is renamed into
// place, so that a running test or hook never reads half of one.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const programs = {
  'hooks.js': 'hooks/hooks.ts',
  'start.js': 'src/launch/start.ts',
  'rehearsal.js': 'src/launch/rehearsal.ts',
  'cli.js': 'src/cli/bin.ts',
  'resolver.js': 'src/host/resolver.ts',
  'prove.js': 'src/proof/here-prober.ts',
  'progress.js': 'src/host/progress-thread.ts',
  'demo.js': 'src/proof/demo.ts',
  'proof/prober.js': 'src/proof/prober.ts',
  'proof/responder.js': 'src/proof/responder.ts',
  'proof/visitor.js': 'src/proof/visitor.ts',
};

/**
 * No programs by themselves: `install` makes hooks of them. Their text is compiled as it stands:
 * wrapping a quarter of a megabyte at each start would copy it.
 */
const wrappers = {
  'hooks.js': { banner: { js: '(function(module,require){' }, footer: { js: '})' } },
  'start.js': {},
};

/** Plain sh, for when there is no Node. */
const scripts = {
  boot: 'src/boot/boot.sh',
  recover: 'src/cli/recover.sh',
  'nm-dispatcher': 'src/cli/nm-dispatcher.sh',
  'route-up': 'src/launch/route-up.sh',
};

/**
 * Modules of Node that hooks reach only in rare cases: loaded when something of theirs is first
 * used (docs/decisions/0180).
 */
const LAZY = new Set(['node:crypto', 'node:timers/promises', 'node:v8']);
const STAND_IN = `const standIn = (get) => new Proxy(function () {}, {
  get: (_, key) => get()[key],
  apply: (_, self, words) => get().apply(self, words),
  construct: (_, words) => new (get())(...words),
});`;

/**
 * The parts of a module that libraries do not see. Node makes the three streams of a process, files
 * and sockets with all that belongs to them, when they are first asked for. execa asks when it is
 * loaded, and needs them for children that it starts asynchronously.
 */
const HIDDEN = new Map([['node:process', ['stdin', 'stdout', 'stderr']]]);

/**
 * A module of Node as its importers see it, asked for once. esbuild would ask for it at every
 * import, and make a copy of it with a getter for each of its names where its default is imported.
 */
async function builtin(name) {
  const hidden = HIDDEN.get(name) ?? [];
  const names = Object.keys(await import(name)).filter(
    (each) => each !== 'default' && !hidden.includes(each),
  );
  // esbuild leaves out what nobody imports, when nothing says that a getter is asked.
  const value = LAZY.has(name)
    ? (get) => `/* @__PURE__ */ standIn(${get})`
    : (get) => `/* @__PURE__ */ (${get})()`;
  const all =
    hidden.length === 0
      ? `require('${name}')`
      : `Object.create(require('${name}'), { ${hidden.map((each) => `${each}: {}`).join(', ')} })`;
  return [
    LAZY.has(name) ? STAND_IN : '',
    `export default ${value(`() => ${all}`)};`,
    ...names.map(
      (each, index) =>
        `const own${index} = ${value(`() => require('${name}').${each}`)}; export { own${index} as ${each} };`,
    ),
  ].join('\n');
}

/** @type {import('esbuild').Plugin} */
const builtins = {
  name: 'builtins',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin', sideEffects: false } : undefined,
    );
    onLoad({ filter: /./, namespace: 'builtin' }, async ({ path }) => ({
      contents: await builtin(path),
    }));
  },
};

/** The value that follows a flag. */
function flag(name, initial) {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? initial : process.argv[at + 1];
}

/** Where the programs will lie: in a package /usr (src/host/paths.ts). */
const prefix = flag('prefix', '/usr/local');
if (!['/usr', '/usr/local'].includes(prefix)) throw new Error('--prefix is /usr or /usr/local');
const define = { KILLSWITCH_PREFIX: JSON.stringify(prefix) };
const out = flag('out', 'dist');

/** Returns the words that the plain scripts share with the code: src/cli/script-words.ts. */
async function scriptWords() {
  const { outputFiles } = await build({
    entryPoints: ['src/cli/script-words.ts'],
    bundle: true,
    platform: 'node',
    format: 'esm',
    define,
    write: false,
  });
  const url = `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`;
  return (await import(url)).SCRIPT_WORDS;
}

/**
 * A plain script with its words filled in, and with each file that a line "#include FILE" names.
 */
function scriptText(source, words) {
  return readFileSync(source, 'utf8')
    .replace(/^#include (\S+)$/gm, (_, file) =>
      readFileSync(join(dirname(source), file), 'utf8').replace(/^# shellcheck shell=sh\n/, ''),
    )
    .replace(/@([A-Z_]+)@/g, (_, name) => {
      if (words[name] === undefined)
        throw new Error(`${source}: src/cli/script-words.ts has no ${name}`);
      return words[name];
    });
}

/** @returns {import('esbuild').BuildOptions} */
const bundle = (entry) => ({
  entryPoints: [entry],
  bundle: true,
  platform: 'node',
  target: 'node18.19',
  format: 'cjs',
  minify: true,
  legalComments: 'none',
  define,
  plugins: [builtins],
});

/**
 * Prints the packages and Node modules of the hooks' programs, as JSON for the test of the budget:
 * `node build.mjs --loads`; with `--all` those of every program.
 */
async function loads(file) {
  const { metafile } = await build({
    ...bundle(programs[file]),
    metafile: true,
    write: false,
    outfile: file,
  });
  const [{ bytes, inputs, imports }] = Object.values(metafile.outputs);
  const packages = Object.keys(inputs).flatMap(
    (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
  );
  const builtins = imports.map(({ path }) => path.replace(/^node:/, ''));
  return {
    bytes,
    packages: [...new Set(packages)].sort(),
    builtins: [...new Set(builtins)].sort(),
  };
}

if (process.argv.includes('--loads')) {
  process.stdout.write(
    JSON.stringify(
      Object.fromEntries(
        await Promise.all(
          Object.keys(process.argv.includes('--all') ? programs : wrappers).map(async (file) => [
            file,
            await loads(file),
          ]),
        ),
      ),
    ),
  );
  process.exit();
}

mkdirSync(out, { recursive: true });
const draft = mkdtempSync(join(out, '.build-'));
try {
  await Promise.all(
    Object.entries(programs).map(([file, entry]) =>
      build({
        ...bundle(entry),
        outfile: join(draft, file),
        ...(wrappers[file] ?? { banner: { js: '#!/usr/bin/env -S node --v8-pool-size=0' } }),
      }),
    ),
  );
  writeFileSync(join(draft, 'package.json'), '{ "type": "commonjs" }\n');
  const words = await scriptWords();
  for (const [script, source] of Object.entries(scripts))
    writeFileSync(join(draft, script), scriptText(source, words));
  for (const file of [...Object.keys(programs), ...Object.keys(scripts), 'package.json']) {
    if (file !== 'package.json') chmodSync(join(draft, file), 0o755);
    const folder = dirname(join(out, file));
    mkdirSync(folder, { recursive: true });
    // Whatever the umask: programs of the proof run as nobody.
    chmodSync(folder, 0o755);
    renameSync(join(draft, file), join(out, file));
  }
} finally {
  rmSync(draft, { recursive: true, force: true });
}

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
import { fileURLToPath } from 'node:url';
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

const EXECA = fileURLToPath(new URL('.', import.meta.resolve('execa')));
/**
 * In place of a module: text that loads as much of it as a hook uses, when it uses it
 * (docs/decisions/0070).
 */
const LEAN = {
  // Its synchronous half, called as its own execaSync calls it: the other half is streams, timers
  // and messages.
  execa: `import { execaCoreSync } from '${EXECA}lib/methods/main-sync.js';
    import { normalizeParameters } from '${EXECA}lib/methods/parameters.js';
    export const execaSync = (...words) => execaCoreSync(...normalizeParameters(...words));`,
  // For base texts alone, which no hook writes but one that locks.
  'node:crypto': `exports.createHash = (...words) => require('crypto').createHash(...words);`,
  // For a child that is given the terminal itself.
  'node:tty': `export default { isatty: (...words) => require('tty').isatty(...words) };`,
  // For messages between processes: no program of ours sends any.
  'node:v8': `exports.serialize = (...words) => require('v8').serialize(...words);`,
  // For a log that another thread writes: ours is written where it is said.
  worker_threads: `exports.isMainThread = true;`,
  assert: `module.exports = (...words) => require('node:assert')(...words);`,
  // For the words of an error: a signal is called by its name alone.
  'human-signals': `export const signalsByName = new Proxy({}, { get: (_, description) => ({ description }) });`,
  // For execa's own report of what it runs: no program of ours asks for it.
  figures: `export default {};`,
  'pretty-ms': `export default String;`,
  yoctocolors: `export const gray = String, bold = String, redBright = String, yellowBright = String;`,
};

/** Parts of modules, and what stands in their place. */
const LEANER = [
  // Node makes the three streams when they are first asked for, stdin with all of node:net or
  // node:tty.
  {
    file: 'execa/lib/utils/standard-stream.js',
    found: 'export const STANDARD_STREAMS = [process.stdin, process.stdout, process.stderr];',
    instead: `export const STANDARD_STREAMS = {
      get 0() { return process.stdin; }, get 1() { return process.stdout; }, get 2() { return process.stderr; },
      indexOf(stream) { return [0, 1, 2].includes(stream?.fd) && this[stream.fd] === stream ? stream.fd : -1; },
      includes(stream) { return this.indexOf(stream) !== -1; },
    };`,
  },
  // For the words of an error. Classes of Unicode take V8 a third of a millisecond; this is what
  // execa takes where Node has none.
  {
    file: 'execa/lib/arguments/escape.js',
    found: String.raw`new RegExp('\\p{Separator}|\\p{Other}', 'gu')`,
    instead: String.raw`/[\s\u0000-\u001F\u007F-\u009F\u00AD]/g`,
  },
];

/**
 * Files of modules that no program of ours uses: pino's logs in other threads and in several
 * places.
 */
const UNUSED = /\/pino\/lib\/(transport|multistream)\.js$/;

/**
 * A module of Node as its importers see it, asked for once. esbuild would ask for it at every
 * import, and make a copy of it with a getter for each of its names where its default is imported.
 */
const builtin = async (name) => {
  const names = Object.keys(await import(name)).filter((each) => each !== 'default');
  return [
    `const all = require('${name}');`,
    'export default all;',
    // esbuild leaves out what nobody imports, when nothing says that a getter is asked.
    ...names.map(
      (each, index) =>
        `const own${index} = /* @__PURE__ */ (() => all.${each})(); export { own${index} as ${each} };`,
    ),
  ].join('\n');
};

/** @type {import('esbuild').Plugin} */
const lean = {
  name: 'lean',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^node:/ }, ({ path, kind }) => {
      if (kind !== 'import-statement' || path in LEAN) return undefined;
      return { path, namespace: 'builtin', sideEffects: false };
    });
    onLoad({ filter: /./, namespace: 'builtin' }, async ({ path }) => ({
      contents: await builtin(path),
    }));
    onResolve({ filter: new RegExp(`^(${Object.keys(LEAN).join('|')})$`) }, ({ path }) => ({
      path,
      namespace: 'lean',
    }));
    onLoad({ filter: /./, namespace: 'lean' }, ({ path }) => ({
      contents: LEAN[path],
      resolveDir: EXECA,
    }));
    onLoad({ filter: UNUSED }, () => ({ contents: '' }));
    for (const { file, found, instead } of LEANER)
      onLoad({ filter: new RegExp(`/${file}$`) }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!text.includes(found)) throw new Error(`${path} is not as this build knows it`);
        return { contents: text.replace(found, () => instead) };
      });
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

/** What the plain scripts share with the code: src/cli/script-words.ts, as it stands. */
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
  plugins: [lean],
});

/**
 * What a part of the hooks is made of and asks Node for, as JSON for the test of the budget: `node
 * build.mjs --loads`.
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
        await Promise.all(Object.keys(wrappers).map(async (file) => [file, await loads(file)])),
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

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const DOC = '/usr/share/doc/ovpn-killswitch';

/** Loads the texts of packaging/texts.ts for the prefix /usr. */
export async function loadTexts(draft) {
  const outfile = join(draft, 'texts.cjs');
  await build({
    entryPoints: ['packaging/texts.ts'],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { KILLSWITCH_PREFIX: '"/usr"' },
    logLevel: 'error',
    outfile,
  });
  return createRequire(import.meta.url)(outfile).TEXTS;
}

/** As gzip -9n: without name and time. The last of the ten first bytes names this system. */
export const zipped = (text) => {
  const bytes = gzipSync(text, { level: 9 });
  bytes[9] = 3;
  return bytes;
};

/** Documents and examples name the places of an installation from source. */
const placed = (text) =>
  text.replaceAll('/usr/local/lib/ovpn-killswitch', '/usr/lib/ovpn-killswitch');

function folder(from, to) {
  return Object.fromEntries(
    readdirSync(from, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, path, name }) => join(parentPath ?? path, name))
      .sort()
      .map((file) => [
        join(to, file.slice(from.length + 1)),
        { text: placed(readFileSync(file, 'utf8')) },
      ]),
  );
}

/**
 * Every file of a package, by its path: what `install` places, as far as it is the same on each
 * machine, and the documents. The hooks and their code caches are made where they run.
 */
export function packageFiles(texts, built) {
  const { library, programs, scripts, firstLine, settings, manuals, completions } = texts;
  const textOf = (name) => readFileSync(join(built, name), 'utf8');
  const entries = (names, toFile) => Object.fromEntries(names.map(toFile));
  return {
    ...entries(programs, (name) => [
      `${library}/${name}`,
      { text: textOf(name).replace(/^#!.*/, firstLine), mode: 0o755 },
    ]),
    ...entries(scripts, (name) => [`${library}/${name}`, { text: textOf(name), mode: 0o755 }]),
    [`${library}/hooks/route-up`]: { text: textOf('route-up'), mode: 0o755 },
    ...entries(['hooks.js', 'start.js', 'package.json'], (name) => [
      `${library}/${name}`,
      { text: textOf(name) },
    ]),
    [texts.command]: { link: `../lib/${basename(library)}/cli.js` },
    [settings.path]: { text: settings.text },
    ...entries(Object.entries(manuals), ([name, text]) => [
      `/usr/share/man/${name}.gz`,
      { text: zipped(text) },
    ]),
    '/usr/share/bash-completion/completions/ovpn-killswitch': { text: completions.bash },
    '/usr/share/fish/vendor_completions.d/ovpn-killswitch.fish': { text: completions.fish },
    ...entries(['README.md', 'SECURITY.md'], (name) => [
      `${DOC}/${name}`,
      { text: placed(readFileSync(name, 'utf8')) },
    ]),
    [`${DOC}/changelog.gz`]: { text: zipped(readFileSync('CHANGELOG.md')) },
    ...folder('docs', `${DOC}/docs`),
    ...folder('openvpn-examples', `${DOC}/examples`),
  };
}

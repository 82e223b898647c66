import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OUT = mkdtempSync(join(tmpdir(), 'killswitch-prefix-'));
afterAll(() => rmSync(OUT, { recursive: true, force: true }));

/** Where programs and units are looked for on every machine. */
const SEARCHED = /\/usr\/local\/(s?bin|lib\/systemd\/system)\b/g;

test('a build for packages names no place under /usr/local as its own', () => {
  execFileSync(process.execPath, ['build.mjs', '--prefix', '/usr', '--out', OUT], { cwd: ROOT });
  const texts = new Map(
    readdirSync(OUT, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'utf8')]),
  );
  expect(texts.size).toBeGreaterThan(10);
  // The command knows the other prefix by name: it refuses a second installation.
  const others = [...texts].flatMap(([name, text]) =>
    name === 'cli.js'
      ? []
      : [...text.replace(SEARCHED, '').matchAll(/.{0,30}\/usr\/local.{0,20}/g)].map(
          ([found]) => `${name}: ${found}`,
        ),
  );
  expect(others).toEqual([]);
  for (const script of ['boot', 'recover', 'nm-dispatcher'])
    expect(texts.get(script)?.includes('/usr/lib/ovpn-killswitch'), script).toBe(true);
  const help = execFileSync(process.execPath, [join(OUT, 'cli.js'), 'install', '--help']);
  expect(String(help)).toContain('/usr/lib/ovpn-killswitch');
});

// npm run package [-- --out FOLDER] [--only rpm]
// Makes what a release consists of. The same sources give the same bytes, whatever the folder, the
// time and the umask: SOURCE_DATE_EPOCH, or the time of the last commit, is the time of every file.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeArch } from './arch.mjs';
import { makeDeb } from './deb.mjs';
import { placeFiles } from './files.mjs';
import { REPOSITORY_FIELDS } from './homepage.mjs';
import { makeRpm } from './rpm.mjs';
import { sbom } from './sbom.mjs';
import { loadTexts, packageFiles } from './tree.mjs';

const ROOT = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..');
process.chdir(ROOT);
const at = process.argv.indexOf('--out');
const out = resolve(at === -1 ? 'packages' : process.argv[at + 1]);
// For a machine that has rpmbuild, and neither npm nor dpkg.
const onlyRpm = process.argv.join(' ').includes('--only rpm');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? lastCommit());
const name = `ovpn-killswitch-${version}`;

function lastCommit() {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).trim();
  } catch {
    throw new Error('there is no commit here to take the time from: set SOURCE_DATE_EPOCH');
  }
}

const run = (program, args, env = {}) =>
  execFileSync(program, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC', LC_ALL: 'C', ...env },
  });

const hasRpmbuild = () => {
  try {
    run('rpmbuild', ['--version']);
    return true;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
};

/** The headings and lines of one version in the changelog, or of what is not released yet. */
function changesOf(text) {
  const parts = text.split(/^(?=## \[)/m);
  const part = parts.find((each) => each.startsWith(`## [${version}]`)) ?? parts[1];
  return `${part.trimEnd()}\n`;
}

process.umask(0o022);
const draft = mkdtempSync(join(tmpdir(), 'killswitch-package-'));
try {
  const made = join(draft, 'out');
  mkdirSync(made);
  run(process.execPath, ['build.mjs', '--prefix', '/usr', '--out', join(draft, 'usr')]);
  const texts = await loadTexts(draft);
  const files = packageFiles(texts, join(draft, 'usr'));

  const rest = { files, texts, version, epoch, draft, made, run };

  if (!onlyRpm) {
    // From source: npm, and the same files without npm.
    run('npm', ['pack', '--silent', '--pack-destination', made]);
    renameSync(join(made, `${name}.tgz`), join(made, `${name}-npm.tgz`));
    run('tar', ['-xzf', join(made, `${name}-npm.tgz`), '-C', draft]);
    if (Object.keys(REPOSITORY_FIELDS).length > 0) {
      const path = join(draft, 'package/package.json');
      const fields = { ...JSON.parse(readFileSync(path, 'utf8')), ...REPOSITORY_FIELDS };
      placeFiles(draft, {
        'package/package.json': { text: `${JSON.stringify(fields, null, 2)}\n` },
      });
      archive(join(draft, 'npm.tar.gz'), draft, 'package');
      renameSync(join(draft, 'npm.tar.gz'), join(made, `${name}-npm.tgz`));
    }
    renameSync(join(draft, 'package'), join(draft, name));
    archive(join(made, `${name}.tar.gz`), draft, name);

    makeArch({ ...rest, archive, deb: makeDeb(rest) });

    placeFiles(made, {
      [`${name}.cdx.json`]: { text: await sbom(version, epoch) },
      [`${name}.CHANGELOG.md`]: { text: changesOf(readFileSync('CHANGELOG.md', 'utf8')) },
    });
  }
  if (onlyRpm || hasRpmbuild()) makeRpm(rest);
  else process.stderr.write('No .rpm was made: rpmbuild is missing (sudo apt install rpm).\n');

  const sums = readdirSync(made)
    .sort()
    .map((file) => {
      const sum = createHash('sha256')
        .update(readFileSync(join(made, file)))
        .digest('hex');
      return `${sum}  ${file}\n`;
    });
  placeFiles(made, { SHA256SUMS: { text: sums.join('') } });
  mkdirSync(out, { recursive: true });
  run('cp', ['-r', `${made}/.`, out]);
  process.stdout.write(`${readdirSync(made).sort().join('\n')}\n`);
} finally {
  rmSync(draft, { recursive: true, force: true });
}

/** A folder as a tar file that says nothing of who made it, and when. */
function archive(file, folder, inside) {
  const tar = file.replace(/\.gz$/, '');
  run('tar', [
    ...['--sort=name', '--format=ustar', `--mtime=@${epoch}`, '--owner=0', '--group=0'],
    ...['--numeric-owner', '--mode=u+rw,go+r,go-w', '-cf', tar, '-C', folder, inside],
  ]);
  run('gzip', ['-9n', tar]);
}

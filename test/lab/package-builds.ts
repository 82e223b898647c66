import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** Debian packages in a folder: ours, and variants that a test wants. */
export interface PackageBuilds {
  /** Where every package of this version is, with the checksums. */
  readonly made: string;
  /** Of this version. */
  readonly deb: string;
  /** The plain tarball of this version. */
  readonly tarball: string;
  /**
   * Ours as another version, also by its program's own word, with a line at the head of one of its
   * maintainer scripts.
   */
  variant(version: string, script: string, line: string): string;
  /** Node's own program as a package `nodejs` of a version, as other archives have it. */
  nodejs(version: string, program: string): string;
}

/** Builds every package of the sources in a folder, as of one moment in the future. */
export function makePackages(
  sources: string,
  out: string,
  umask = '022',
  env: Readonly<Record<string, string>> = {},
): void {
  execFileSync(
    'sh',
    ['-c', `umask ${umask}; exec "$0" packaging/package.mjs --out "$1"`, process.execPath, out],
    {
      cwd: sources,
      env: { ...process.env, ...env, SOURCE_DATE_EPOCH: '1800000000' },
      stdio: 'pipe',
    },
  );
}

/** The last commit of version 0.1.0 that knows of no package. */
const BEFORE_PACKAGES = 'c0ba3216a3';

/**
 * Builds version 0.1.0 from the history of this repository, and returns its folder. Undefined where
 * the history is not here, as in a tarball.
 */
export function buildFormerVersion(out: string): string | undefined {
  const sources = join(out, 'former');
  const packed = join(out, 'former.tar');
  try {
    execFileSync('git', ['archive', '--output', packed, BEFORE_PACKAGES], {
      cwd: ROOT,
      stdio: 'pipe',
    });
  } catch {
    return undefined;
  }
  mkdirSync(sources);
  execFileSync('tar', ['-xf', packed, '-C', sources]);
  symlinkSync(join(ROOT, 'node_modules'), join(sources, 'node_modules'));
  execFileSync(process.execPath, ['build.mjs'], { cwd: sources, stdio: 'pipe' });
  return sources;
}

/** Builds the packages of this repository into a folder. */
export function buildPackages(folder: string): PackageBuilds {
  const made = join(folder, 'made');
  makePackages(ROOT, made);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const deb = join(made, `ovpn-killswitch_${version}_all.deb`);
  const pack = (tree: string, out: string, ...more: readonly string[]) => {
    execFileSync('dpkg-deb', ['--root-owner-group', ...more, '--build', tree, out]);
    return out;
  };
  return {
    made,
    deb,
    tarball: join(made, `ovpn-killswitch-${version}.tar.gz`),
    variant: (other, script, line) => {
      const tree = join(mkdtempSync(join(folder, 'tree-')), 'deb');
      execFileSync('dpkg-deb', ['-R', deb, tree]);
      const control = join(tree, 'DEBIAN/control');
      const text = readFileSync(control, 'utf8').replace(/^Version: .*$/m, `Version: ${other}`);
      writeFileSync(control, text);
      const program = join(tree, 'usr/lib/ovpn-killswitch/cli.js');
      const code = readFileSync(program, 'utf8');
      if (!code.includes(`"${version}"`)) throw new Error(`${program} names no ${version}`);
      writeFileSync(program, code.replaceAll(`"${version}"`, `"${other}"`));
      const path = join(tree, 'DEBIAN', script);
      writeFileSync(path, readFileSync(path, 'utf8').replace(/^set -e$/m, `set -e\n${line}`));
      return pack(tree, join(folder, `${other}.deb`), '-Zgzip', '-z1');
    },
    nodejs: (other, program) => {
      const tree = mkdtempSync(join(folder, 'nodejs-'));
      mkdirSync(join(tree, 'DEBIAN'));
      mkdirSync(join(tree, 'usr/bin'), { recursive: true });
      execFileSync('cp', [program, join(tree, 'usr/bin/node')]);
      execFileSync('chmod', ['-R', 'u=rwX,go=rX', tree]);
      const architecture = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' });
      const control = `Package: nodejs\nVersion: ${other}\nArchitecture: ${architecture.trim()}\nMaintainer: a test <test@example.org>\nDescription: Node for a test\n`;
      writeFileSync(join(tree, 'DEBIAN/control'), control);
      return pack(tree, join(folder, `nodejs-${other}.deb`), '-Znone');
    },
  };
}

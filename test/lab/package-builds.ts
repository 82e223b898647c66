import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
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
  /** Ours as another version, with a line at the head of one of its maintainer scripts. */
  variant(version: string, script: string, line: string): string;
  /** Node's own program as a package `nodejs` of a version, as other archives have it. */
  nodejs(version: string, program: string): string;
}

/** Builds every package of the sources in a folder, as of one moment in the future. */
export function makePackages(sources: string, out: string, umask = '022'): void {
  execFileSync(
    'sh',
    ['-c', `umask ${umask}; exec "$0" packaging/package.mjs --out "$1"`, process.execPath, out],
    { cwd: sources, env: { ...process.env, SOURCE_DATE_EPOCH: '1800000000' }, stdio: 'pipe' },
  );
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

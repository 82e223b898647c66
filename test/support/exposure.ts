import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Whether systemd-analyze can count a unit that is not installed: `--offline` came with systemd
 * 250.
 */
export function countsExposure(): boolean {
  return (
    spawnSync('systemd-analyze', ['security', '--help'], { encoding: 'utf8' }).stdout?.includes(
      '--offline',
    ) === true
  );
}

/** The exposure that systemd-analyze(1) prints, from 0 to 10. */
export function exposureIn(printed: string): number {
  const [, exposure] = /Overall exposure level for \S+: (\d+\.\d+)/.exec(printed) ?? [];
  return Number(exposure);
}

/** The exposure of a unit by its text alone. */
export function exposureOf(text: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'unit-'));
  const file = join(folder, 'exposed.service');
  // It looks for the program, which need not be installed here.
  writeFileSync(file, text.replace(/^ExecStart=.*$/m, 'ExecStart=/bin/true'));
  const { stdout } = spawnSync(
    'systemd-analyze',
    ['security', '--offline=true', '--no-pager', file],
    { encoding: 'utf8' },
  );
  rmSync(folder, { recursive: true });
  return exposureIn(stdout);
}

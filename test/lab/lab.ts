import { afterAll, beforeAll, expect, type TestContext } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import type { Probe } from '../../src/proof/probes.ts';
import { DIST } from '../e2e/stage.ts';
import { debianRoot, type OpenvpnVersion } from '../support/debian-root.ts';
import { type Lab, openLab } from './open-lab.ts';

export interface LabSetting {
  readonly version: OpenvpnVersion;
  readonly backend: BackendName;
  /** Sent besides the usual probes. */
  readonly probes?: readonly Probe[];
}

/**
 * One lab for the tests around the call; a test that asks for it where none can be made is skipped,
 * with the reason.
 */
export function labWith(setting: LabSetting): (context: TestContext) => Lab {
  const { version, backend } = setting;
  let opened: Lab | undefined;
  let obstacle: string | undefined;
  const seen = { clear: 0, vpn: 0 };
  beforeAll(async () => {
    obstacle = missingRequirements() ?? debianRoot(version).obstacle;
    if (obstacle === undefined)
      opened = await openLab({ dist: DIST, plan: debianRoot(version), ...setting }, seen);
  });
  afterAll(async () => {
    if (opened === undefined) return;
    const { world, prober } = opened;
    const [probes, clear, vpn] = [prober.tried(), seen.clear, seen.vpn].map((count) =>
      count.toLocaleString('en'),
    );
    process.stdout.write(
      `OpenVPN ${version}, ${backend}: ${probes} probes sent; captured: ${clear} in clear, ${vpn} of the VPN\n`,
    );
    const lost = await world.capture.end();
    world.close();
    expect(lost, 'packets that the capture lost').toBe(0);
  });
  return (context) => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('the lab was not made');
    return opened;
  };
}

import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files of the lab that take longest, most of it waiting: four to nine minutes each. */
export const LONGEST: readonly string[] = [
  'reconnects-openvpn-2.7.test.ts',
  'neighbours-iptables.test.ts',
  'neighbours-nftables.test.ts',
  'node-versions.test.ts',
  'boot-minute.test.ts',
  'stock-units.test.ts',
  'tools.test.ts',
  'lifecycle-openvpn-2.5.test.ts',
  'lifecycle-openvpn-2.7.test.ts',
];

/**
 * Starts what takes longest first: vitest goes by the size of a file, and a run would end with one
 * test that everything else waits for.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.indexOf(basename(moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

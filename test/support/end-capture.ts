import { expect, type TestContext } from 'vitest';
import type { Capture } from '../../src/proof/capture.ts';

/** The part of all packets that an overloaded machine may keep from tcpdump. */
const MOST_LOST = 1 / 1000;

/**
 * Ends a capture, which must have lost nothing: else its counts prove nothing. Skips the test with
 * that reason where the machine was too busy for single packets.
 */
export async function endCapture(context: TestContext, capture: Capture): Promise<void> {
  const { clear, vpn, lan, neighbour } = capture.soFar();
  const lost = await capture.end();
  expect(lost).toBeLessThanOrEqual((clear + vpn + lan + neighbour) * MOST_LOST);
  if (lost > 0) context.skip(`tcpdump lost ${lost} packets: this machine was too busy`);
}

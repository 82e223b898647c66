import { asKillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { readKernelState } from '../machine/kernel-state.ts';
import { learner } from '../machine/learner.ts';
import { printable } from '../net/printable.ts';
import { defaultSettings } from '../policy/settings.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { lookOrSay } from '../transaction/look-or-say.ts';
import { type Report, readReport } from './report.ts';

/** The state after a command, read from the kernel again. Its reader changes nothing. */
export interface MachineState {
  readonly state: Report['state'];
  /** Whether the kernel holds exactly the intended rules. */
  readonly exact: boolean;
  readonly backend: string | null;
  /** Tables that hold rules of this product, as the tools name them. */
  readonly rules: readonly string[];
  /**
   * Chains outside of this product's own table whose policy drops: with iptables also those that
   * `lock` has set.
   */
  readonly dropPolicies: readonly string[];
  /** One line for each part that could not be read, and why, escaped. */
  readonly unknown: readonly string[];
}

function reportOf(host: Host): Pick<MachineState, 'state' | 'exact' | 'backend' | 'unknown'> {
  const reader = learner();
  const record = readLockRecord(host);
  const settings = reader.learn(() => settingsInForce(host, record), defaultSettings());
  const { state, exact, choice, unread } = readReport(
    host,
    settings,
    record,
    lookOrSay(host),
    reader,
  );
  const unknown = [...(unread === undefined ? [] : [unread]), ...reader.unknown];
  return { state, exact, backend: choice.backend.name, unknown };
}

/** Reads the state. Never throws: what cannot be read is unknown. */
export function readMachineState(host: Host): MachineState {
  const failed = (thrown: unknown) => printable(asKillswitchError(thrown).message);
  let found: ReturnType<typeof reportOf>;
  try {
    found = reportOf(host);
  } catch (thrown) {
    found = { state: 'unknown', exact: false, backend: null, unknown: [failed(thrown)] };
  }
  try {
    const { ours, drops, unread } = readKernelState(host);
    const unknown = [...new Set([...found.unknown, ...unread])];
    return { ...found, rules: ours, dropPolicies: drops, unknown };
  } catch (thrown) {
    const unknown = [...new Set([...found.unknown, failed(thrown)])];
    return { ...found, state: 'unknown', exact: false, rules: [], dropPolicies: [], unknown };
  }
}

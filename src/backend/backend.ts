import type { Command, Output, Program } from '../host/command.ts';
import type { Family } from '../net/address.ts';
import type { BackendName } from '../policy/settings.ts';
import type { Amendment } from '../ruleset/amendment.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { Image } from './image.ts';

/**
 * A change of the rules: commands that only check, then commands that each commit one packet-filter
 * family whole, in this order.
 */
export interface Transaction {
  readonly check: readonly Command[];
  readonly commit: readonly Command[];
}

/** A builtin chain's policy before the lock. */
export interface ChainPolicy {
  readonly family: Family;
  readonly chain: 'INPUT' | 'FORWARD' | 'OUTPUT';
  readonly policy: 'ACCEPT' | 'DROP';
}

/** This product's rules in the kernel. */
export interface Survey {
  readonly image: Image;
  /** The policies of the builtin chains; empty with nftables, which has no builtin chains. */
  readonly policies: readonly ChainPolicy[];
  /** Whether any rule or chain of ours exists. */
  readonly present: boolean;
}

/**
 * One way to load a ruleset into the kernel. Pure: it turns text into values and values into text.
 */
export interface Backend {
  readonly name: BackendName;
  /** Commands that only read. */
  readonly look: readonly Command[];
  /** The programs that a short look runs (iptables-short-look.ts); none where `look` is short. */
  readonly restores: readonly (readonly [family: Family, restore: Program])[];
  /** @throws KillswitchError COMMAND when an output cannot be read. */
  survey(outputs: readonly Output[]): Survey;
  /** Returns the ruleset as the kernel should list it. */
  image(ruleset: Ruleset): Image;
  /** Brings any found state to exactly this ruleset, in one commit per packet-filter family. */
  replace(ruleset: Ruleset, found: Survey): Transaction;
  /**
   * Adds the rules that `to` has beyond `from` and touches nothing else; undefined when adding is
   * not enough.
   */
  add(from: Ruleset, to: Ruleset): Transaction | undefined;
  /** Commands whose outputs identify the present rules; none where `amend` itself checks rules. */
  readonly fingerprint: readonly Command[];
  /**
   * Returns these outputs and this ruleset as one comparable text, by which the next `amend`
   * recognises the rules.
   */
  fingerprintOf(outputs: readonly Output[], ruleset: Ruleset): string;
  /**
   * Makes a change that leads to `to`, on top of the last transaction, in one run per packet-filter
   * family. Without a change it only checks. None when the fingerprint is not one of this
   * backend's.
   */
  amend(change: Amendment, fingerprint: string, to: Ruleset): readonly Command[];
  /**
   * Returns the fingerprint after `amend`; undefined when the rules did not match `fingerprint`, or
   * were not amended. Leaves out long lists of endpoints.
   */
  amended(
    fingerprint: string,
    to: Ruleset,
    change: Amendment,
    outputs: readonly Output[],
  ): string | undefined;
  /** Removes everything of ours and restores the builtin chains' policies. */
  remove(found: Survey, before: readonly ChainPolicy[]): Transaction;
  /**
   * Returns the text that loads this ruleset at boot, whatever is loaded then: file name to
   * content.
   */
  bootText(ruleset: Ruleset): Readonly<Record<string, string>>;
}

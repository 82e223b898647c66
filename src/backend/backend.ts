import type { Command, Output, Program } from '../host/command.ts';
import type { Family } from '../net/address.ts';
import type { BackendName } from '../policy/settings.ts';
import type { Amendment } from '../ruleset/amendment.ts';
import type { Ruleset } from '../ruleset/ruleset.ts';
import type { Image } from './image.ts';

/**
 * Commands that only check, then commands that each commit one packet-filter family whole, in this
 * order.
 */
export interface Transaction {
  readonly check: readonly Command[];
  readonly commit: readonly Command[];
}

/** A builtin chain's policy before us. */
export interface ChainPolicy {
  readonly family: Family;
  readonly chain: 'INPUT' | 'FORWARD' | 'OUTPUT';
  readonly policy: 'ACCEPT' | 'DROP';
}

/** What of ours is in the kernel. */
export interface Survey {
  readonly image: Image;
  /** The policies of the builtin chains; empty with nftables, which has no builtin chains. */
  readonly policies: readonly ChainPolicy[];
  /** Whether anything of ours is there at all. */
  readonly present: boolean;
}

/**
 * One way to put a ruleset into the kernel. Pure: everything here is text to values and values to
 * text.
 */
export interface Backend {
  readonly name: BackendName;
  /** Commands that only read. */
  readonly look: readonly Command[];
  /** The programs that a short look asks (iptables-short-look.ts); none where `look` is short. */
  readonly restores: readonly (readonly [family: Family, restore: Program])[];
  /** @throws KillswitchError COMMAND when an output cannot be read. */
  survey(outputs: readonly Output[]): Survey;
  /** The ruleset as the kernel should list it. */
  image(ruleset: Ruleset): Image;
  /** Brings whatever was found to exactly this ruleset, in one commit per packet-filter family. */
  replace(ruleset: Ruleset, found: Survey): Transaction;
  /**
   * Adds what `to` has over `from` and touches nothing else; undefined when adding is not enough.
   */
  add(from: Ruleset, to: Ruleset): Transaction | undefined;
  /**
   * Commands whose outputs stand for the rules as they are; none where `amend` itself asks for
   * rules.
   */
  readonly fingerprint: readonly Command[];
  /**
   * What the next `amend` knows this ruleset by, which these outputs stand for, as one text that
   * compares.
   */
  fingerprintOf(outputs: readonly Output[], ruleset: Ruleset): string;
  /**
   * Makes a change that leads to `to`, on the word of the last transaction, in one run per
   * packet-filter family; without a change it only asks. None when the fingerprint is not one of
   * this backend's.
   */
  amend(change: Amendment, fingerprint: string, to: Ruleset): readonly Command[];
  /**
   * The fingerprint after `amend`; undefined when the rules were not as `fingerprint` says, or were
   * not amended. Long lists of endpoints are left out of it.
   */
  amended(
    fingerprint: string,
    to: Ruleset,
    change: Amendment,
    outputs: readonly Output[],
  ): string | undefined;
  /** Takes everything of ours away and puts the builtin chains' policies back. */
  remove(found: Survey, before: readonly ChainPolicy[]): Transaction;
  /**
   * The text that loads this ruleset at boot, without knowing what is there: file name to content.
   */
  bootText(ruleset: Ruleset): Readonly<Record<string, string>>;
}

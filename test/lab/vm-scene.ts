import type { VmRoot } from '../support/vm.ts';
import type { Lab } from './open-lab.ts';

/**
 * Where a scene plays: inside a virtual machine, with the product installed in namespaces there,
 * and in the machine itself.
 */
export interface Stage {
  readonly root: VmRoot;
  /**
   * The lab, with a guest whose packets this machine forwards. Made when it is first asked for; it
   * ends before the machine itself is used.
   */
  lab(): Promise<Lab>;
  /** @throws Error when its capture has lost packets. */
  closeLab(): Promise<void>;
  /** Adds a figure to the report outside. */
  tell(figure: string): void;
}

/** Something that must hold, under the name that the tests outside show. */
export interface Scene {
  readonly name: string;
  /** After a restart of the machine, under systemd; else before, with nothing but the scenes. */
  readonly boot?: 'second';
  play(stage: Stage): Promise<void>;
}

/** Said to a machine that is to play every scene. */
export const EVERY = 'every';

/** The machine's report of a scene: one line of JSON. */
export interface Played {
  readonly name: string;
  readonly seconds: number;
  /** A figure. */
  readonly told?: string;
  /** The claims that did not hold; missing when all did. */
  readonly failure?: string;
}

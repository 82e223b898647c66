import type { DoctorWorld } from './world.ts';

/** Something that will go wrong, and the command that fixes it. */
export interface Finding {
  /** `problem`: it does not work, or does not guard, now. `warning`: it will hurt some day. */
  readonly weight: 'problem' | 'warning';
  readonly what: string;
  readonly fix: string;
}

/** One thing that is looked at. Pure: what it may look at was read before. */
export interface Check {
  /** What is looked at, as `doctor` lists it. */
  readonly title: string;
  find(world: DoctorWorld): readonly Finding[];
}

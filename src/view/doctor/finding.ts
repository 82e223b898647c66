import type { DoctorFacts } from './facts.ts';

/** A problem, now or to come, and the command that fixes it. */
export interface Finding {
  /**
   * `problem`: it does not work, or does not guard, now. `warning`: it will cause a problem some
   * day.
   */
  readonly weight: 'problem' | 'warning';
  readonly what: string;
  readonly fix: string;
}

/** One check. Pure: the facts it looks at were read before. */
export interface Check {
  /** The name of the check, as `doctor` lists it. */
  readonly title: string;
  find(facts: DoctorFacts): readonly Finding[];
}

import type { Backend } from '../backend/backend.ts';
import { chooseBackend } from '../backend/choose-backend.ts';
import type { Files } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { readBackendFacts } from '../machine/backend-facts.ts';
import { type Base, baseOf, decide } from '../policy/policy.ts';
import { keepBaseTexts } from '../record/base-texts.ts';
import { gatherKnown } from '../record/gather-known.ts';
import { readAfterLock } from '../record/kept-shut.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { savedKnown } from '../record/saved-known.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { keptFolder } from '../record/trial.ts';
import { compile } from '../ruleset/compile.ts';

/**
 * Returns the base rules as text for the boot. It has no live tunnel, and keeps the last
 * connections' networks shut.
 */
export function baseTexts(
  files: Files,
  backend: Backend,
  base: Base,
): Readonly<Record<string, string>> {
  const { former } = readAfterLock(files, []);
  return backend.bootText(compile(decide({ ...base, sessions: [] }, [], undefined, former)));
}

/**
 * Rewrites the base rules for the boot on a locked machine: a connection may bring other networks
 * than the previous one.
 */
export function renewBaseTexts(host: Host): void {
  host.exclusively(() => {
    const record = readLockRecord(host);
    if (record?.locked !== true) return;
    const settings = settingsInForce(host, record);
    const { backend } = chooseBackend(readBackendFacts(host, settings.backend, record));
    const known = savedKnown(host, record) ?? gatherKnown(host, settings, record);
    const base = baseOf(settings, known);
    keepBaseTexts(host, baseTexts(host, backend, base), keptFolder(record));
  });
}

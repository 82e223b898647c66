import { orElse } from '../errors.ts';
import type { Files } from '../host/files.ts';

/** From the lowest precedence to the highest (systemd.unit(5)). */
const FOLDERS = [
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/system',
  '/etc/systemd/system',
];

/**
 * Lists the units that start OpenVPN with a profile, enabled or not: templates, and instances with
 * files of their own.
 */
export function openvpnUnits(files: Files): readonly string[] {
  const named = FOLDERS.flatMap((folder) => files.list(folder)).map((name) =>
    name.replace(/\.d$/, ''),
  );
  return [...new Set(named)].filter((name) => /^openvpn(-client)?@.*\.service$/.test(name)).sort();
}

/** Returns every value of a unit's key, drop-ins included. For most keys the last one counts. */
export type UnitValues = (key: string) => readonly string[];

/**
 * Reads a unit as systemd composes it: one file, an instance's before its template's, and drop-ins
 * by name. `read` returns a file's text, empty for an untrusted file.
 */
export function unitValues(files: Files, name: string, read: (path: string) => string): UnitValues {
  const paths = [...new Set([name.replace(/@.*/, '@.service'), name])].flatMap((unit) =>
    FOLDERS.map((folder) => `${folder}/${unit}`),
  );
  const dropIns = new Map(
    paths.flatMap((path) => files.list(`${path}.d`).map((each) => [each, `${path}.d/${each}`])),
  );
  const texts = [
    ...paths.filter((path) => files.exists(path)).slice(-1),
    ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path),
  ].map(read);
  return (key) =>
    texts.flatMap((text) =>
      [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value.trim()),
    );
}

/**
 * Returns the accounts that units start OpenVPN as (systemd.exec(5), User=): Arch's units use
 * `openvpn` with capabilities. Ignores files that non-root users can change.
 */
export function unitAccounts(files: Files): readonly string[] {
  const rootsText = (path: string) =>
    orElse(
      () => files.read(path) ?? '',
      () => '',
    );
  return openvpnUnits(files).flatMap((name) => {
    const account = unitValues(files, name, rootsText)('User').at(-1);
    return account === undefined || account === '' ? [] : [account];
  });
}

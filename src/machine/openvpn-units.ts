import { orElse } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** From the least to the most important (systemd.unit(5)). */
const FOLDERS = [
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/system',
  '/etc/systemd/system',
];

/**
 * The units that start OpenVPN with a profile, enabled or not: the templates, and the instances
 * that have files of their own.
 */
export function openvpnUnits(host: Host): readonly string[] {
  const named = FOLDERS.flatMap((folder) => host.list(folder)).map((name) =>
    name.replace(/\.d$/, ''),
  );
  return [...new Set(named)].filter((name) => /^openvpn(-client)?@.*\.service$/.test(name)).sort();
}

/** Every value that a unit has for a key, drop-ins included; the last one counts for most keys. */
export type UnitValues = (key: string) => readonly string[];

/**
 * A unit as systemd puts it together: one file, an instance's in place of its template's, and
 * drop-ins by name. `read` gives the text of a file, or none where it is not to be believed.
 */
export function unitValues(host: Host, name: string, read: (path: string) => string): UnitValues {
  const paths = [...new Set([name.replace(/@.*/, '@.service'), name])].flatMap((unit) =>
    FOLDERS.map((folder) => `${folder}/${unit}`),
  );
  const dropIns = new Map(
    paths.flatMap((path) => host.list(`${path}.d`).map((each) => [each, `${path}.d/${each}`])),
  );
  const texts = [
    ...paths.filter((path) => host.exists(path)).slice(-1),
    ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path),
  ].map(read);
  return (key) =>
    texts.flatMap((text) =>
      [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value.trim()),
    );
}

/**
 * The accounts that units start OpenVPN as (systemd.exec(5), User=): Arch's start it as `openvpn`
 * with capabilities. Files that others than root can change name nobody.
 */
export function unitAccounts(host: Host): readonly string[] {
  const rootsText = (path: string) =>
    orElse(
      () => host.read(path) ?? '',
      () => '',
    );
  return openvpnUnits(host).flatMap((name) => {
    const account = unitValues(host, name, rootsText)('User').at(-1);
    return account === undefined || account === '' ? [] : [account];
  });
}

import type { Host } from '../../host/host.ts';
import { readAnybodys } from '../../machine/read-anybodys.ts';

/**
 * What a service that starts OpenVPN lets a hook do (systemd.exec(5)); undefined where it does not
 * say.
 */
export interface OpenvpnUnit {
  readonly name: string;
  readonly tasks: number | undefined;
  readonly processes: number | undefined;
  /**
   * Whether it refuses memory that is written and then executed, as Node does with what it
   * compiles.
   */
  readonly refusesCompilers: boolean;
  /** Folders that a hook writes to and that are read-only there. */
  readonly readOnly: readonly string[];
}

/** From the least to the most important (systemd.unit(5)). */
const FOLDERS = [
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/system',
  '/etc/systemd/system',
];
const TEMPLATES = ['openvpn', 'openvpn-client'];
/** What of a hook's folders ProtectSystem= makes read-only. */
const PROTECTED: Readonly<Record<string, readonly string[]>> = {
  full: ['/etc'],
  strict: ['/etc', '/run', '/var'],
};

/** The templates, and the instances that have files of their own. */
function unitNames(host: Host): readonly string[] {
  const named = FOLDERS.flatMap((folder) => host.list(folder)).map((name) =>
    name.replace(/\.d$/, ''),
  );
  return [...new Set(named)].filter((name) => /^openvpn(-client)?@.*\.service$/.test(name)).sort();
}

/** The texts of a unit, drop-ins included; those of an instance come after its template's. */
function textsOf(host: Host, name: string): readonly string[] {
  const template =
    TEMPLATES.map((each) => `${each}@.service`).find((each) =>
      name.startsWith(each.replace('.service', '')),
    ) ?? name;
  return [...new Set([template, name])].flatMap((unit) =>
    FOLDERS.flatMap((folder) => [
      readAnybodys(host, `${folder}/${unit}`),
      ...host
        .list(`${folder}/${unit}.d`)
        .map((each) => readAnybodys(host, `${folder}/${unit}.d/${each}`)),
    ]),
  );
}

export function readOpenvpnUnits(host: Host): readonly OpenvpnUnit[] {
  return unitNames(host).map((name) => {
    const texts = textsOf(host, name);
    const all = (key: string) =>
      texts.flatMap((text) =>
        [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value.trim()),
      );
    const limit = (key: string) => {
      const last = all(key).at(-1);
      return last !== undefined && /^\d+$/.test(last) ? Number(last) : undefined;
    };
    const writable = all('ReadWritePaths').flatMap((value) =>
      value.split(/\s+/).map((path) => path.replace(/^[-+]+/, '')),
    );
    return {
      name,
      tasks: limit('TasksMax'),
      processes: limit('LimitNPROC'),
      refusesCompilers: /^(yes|true|on|1)$/i.test(all('MemoryDenyWriteExecute').at(-1) ?? ''),
      readOnly: (PROTECTED[all('ProtectSystem').at(-1) ?? ''] ?? []).filter(
        (folder) => !writable.includes(folder),
      ),
    };
  });
}

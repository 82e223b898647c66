import type { Files } from '../../host/files.ts';
import { openvpnUnits, unitValues } from '../../machine/openvpn-units.ts';
import { readAnybodys } from '../../machine/read-anybodys.ts';

/**
 * The limits that a service which starts OpenVPN puts on a hook (systemd.exec(5)); undefined where
 * it sets none.
 */
export interface OpenvpnUnit {
  readonly name: string;
  readonly tasks: number | undefined;
  readonly processes: number | undefined;
  /**
   * Whether it refuses memory that is written and then executed, which Node needs for compiled
   * code.
   */
  readonly refusesCompilers: boolean;
  /** The account that it starts OpenVPN as, unless that is root. */
  readonly account: string | undefined;
  /** Folders that a hook writes to and that are read-only there. */
  readonly readOnly: readonly string[];
}

/** The folders of a hook that ProtectSystem= makes read-only. */
const PROTECTED: Readonly<Record<string, readonly string[]>> = {
  full: ['/etc'],
  strict: ['/etc', '/run', '/var'],
};

export function readOpenvpnUnits(files: Files): readonly OpenvpnUnit[] {
  return openvpnUnits(files).map((name) => {
    const all = unitValues(files, name, (path) => readAnybodys(files, path));
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
      account: ['', 'root', '0', undefined].includes(all('User').at(-1))
        ? undefined
        : all('User').at(-1),
      refusesCompilers: /^(yes|true|on|1)$/i.test(all('MemoryDenyWriteExecute').at(-1) ?? ''),
      readOnly: (PROTECTED[all('ProtectSystem').at(-1) ?? ''] ?? []).filter(
        (folder) => !writable.includes(folder),
      ),
    };
  });
}

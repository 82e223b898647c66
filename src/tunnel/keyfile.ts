/** The groups of a keyfile, with their keys and values. */
export type Keyfile = ReadonlyMap<string, ReadonlyMap<string, string>>;

const ESCAPES: Readonly<Record<string, string>> = { s: ' ', n: '\n', t: '\t', r: '\r', '\\': '\\' };

/**
 * Parses a keyfile as GLib does (Desktop Entry Specification; nm-settings-keyfile(5)): `[group]`,
 * `key=value`, `#` comments. Merges groups of one name; of two equal keys the last counts. Skips
 * any other line.
 */
export function readKeyfile(text: string): Keyfile {
  const groups = new Map<string, Map<string, string>>();
  let group = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name] = /^\s*\[([^[\]]+)\]\s*$/.exec(line) ?? [];
    if (name !== undefined) {
      group = groups.get(name) ?? new Map();
      groups.set(name, group);
      continue;
    }
    const [, key, value = ''] = /^\s*([^#=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined)
      group.set(
        key,
        value.replace(/\\(.?)/g, (all, letter: string) => ESCAPES[letter] ?? all),
      );
  }
  return groups;
}

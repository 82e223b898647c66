import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Writes files below a folder.
 * @param {string} folder
 * @param {Record<string, { text?: string | Uint8Array, mode?: number, link?: string }>} files
 */
export function placeFiles(folder, files) {
  for (const [path, { text = '', mode = 0o644, link }] of Object.entries(files)) {
    const place = join(folder, path);
    mkdirSync(dirname(place), { recursive: true, mode: 0o755 });
    if (link !== undefined) symlinkSync(link, place);
    else {
      writeFileSync(place, text);
      chmodSync(place, mode);
    }
  }
}

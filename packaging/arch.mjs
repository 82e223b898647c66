import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { placeFiles } from './files.mjs';
import { HOMEPAGE } from './homepage.mjs';
import { filledScript } from './script.mjs';

const SOURCE = 'packaging/arch';

/** Writes what makepkg(8) reads beside the Debian package, as one archive. */
export function makeArch({ texts, version, draft, made, archive, deb }) {
  const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const filled = (name, words) => filledScript(`${SOURCE}/${name}`, words);
  const hook = filled('ovpn-killswitch.hook', texts.words);
  const name = `ovpn-killswitch-${version}.arch`;
  placeFiles(join(draft, name), {
    PKGBUILD: {
      text: filled('PKGBUILD', {
        VERSION: version,
        HOMEPAGE: HOMEPAGE ?? '',
        DEB_SUM: sha256(readFileSync(join(made, deb))),
        HOOK_SUM: sha256(hook),
      }),
    },
    'ovpn-killswitch.install': { text: filled('ovpn-killswitch.install', texts.words) },
    'ovpn-killswitch.hook': { text: hook },
  });
  archive(join(made, `${name}.tar.gz`), draft, name);
}

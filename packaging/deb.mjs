import { createHash } from 'node:crypto';
import { lstatSync, lutimesSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { placeFiles } from './files.mjs';
import { HOMEPAGE } from './homepage.mjs';
import { MAINTAINER } from './maintainer.mjs';
import { filledScript } from './script.mjs';
import { zipped } from './tree.mjs';

const SCRIPTS = ['preinst', 'postinst', 'prerm', 'postrm'];
const SOURCE = 'packaging/deb';

const control = (version, kibibytes) => `Package: ovpn-killswitch
Version: ${version}
Architecture: all
Maintainer: ${MAINTAINER}
Installed-Size: ${kibibytes}
Depends: nodejs (>= 18.19), nftables | iptables
Recommends: openvpn, iproute2
Suggests: conntrack, network-manager-openvpn
Section: net
Priority: optional${HOMEPAGE === undefined ? '' : `\nHomepage: ${HOMEPAGE}`}
Description: kill switch for OpenVPN
 Hooks for OpenVPN and NetworkManager, and a command that locks a machine:
 nothing leaves it but the encrypted packets of the VPN client, what the
 settings allow on the LAN, and what goes through the tunnel. It does not
 matter whether OpenVPN runs, reconnects, crashes or is stopped.
 .
 The rules are those of nftables or iptables. Installing, upgrading and
 removing this package never changes them.
`;

const rfc2822 = (epoch) => new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');

const changelog = (version, epoch) => `ovpn-killswitch (${version}) unstable; urgency=medium

  * The changes are in changelog.md.gz beside this file.

 -- ${MAINTAINER}  ${rfc2822(epoch)}
`;

const DOC = '/usr/share/doc/ovpn-killswitch';

/** Paths below a folder, folders first. */
function pathsOf(folder) {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

/** Builds ovpn-killswitch_VERSION_all.deb, and returns its name. */
export function makeDeb({ files, texts, version, epoch, draft, made, run }) {
  const root = join(draft, 'deb');
  mkdirSync(root, { mode: 0o755 });
  const { [`${DOC}/changelog.gz`]: changes, ...others } = files;
  placeFiles(root, {
    ...others,
    [`${DOC}/changelog.md.gz`]: changes,
    [`${DOC}/changelog.gz`]: { text: zipped(changelog(version, epoch)) },
    [`${DOC}/copyright`]: { text: copyright(epoch) },
    '/usr/share/lintian/overrides/ovpn-killswitch': {
      text: readFileSync('packaging/lintian-overrides'),
    },
    [`${texts.library}/package`]: { text: 'deb\n' },
    '/usr/share/zsh/vendor-completions/_ovpn-killswitch': { text: texts.completions.zsh },
  });
  const all = pathsOf(root).map((path) => ({ path, stat: lstatSync(join(root, path)) }));
  const kibibytes = all.reduce(
    (sum, { stat }) => sum + (stat.isFile() ? Math.ceil(stat.size / 1024) : 1),
    0,
  );
  const sums = all
    .filter(({ path, stat }) => stat.isFile() && !path.startsWith('etc/'))
    .map(({ path }) => {
      const sum = createHash('md5')
        .update(readFileSync(join(root, path)))
        .digest('hex');
      return `${sum}  ${path}\n`;
    });
  placeFiles(join(root, 'DEBIAN'), {
    control: { text: control(version, kibibytes) },
    conffiles: { text: `${texts.settings.path}\n` },
    md5sums: { text: sums.join('') },
    triggers: { text: 'interest-noawait /usr/bin/node\n' },
    ...Object.fromEntries(
      SCRIPTS.map((name) => [
        name,
        { text: filledScript(`${SOURCE}/${name}`, texts.words), mode: 0o755 },
      ]),
    ),
  });
  for (const path of ['.', ...pathsOf(root)].reverse()) lutimesSync(join(root, path), epoch, epoch);
  const name = `ovpn-killswitch_${version}_all.deb`;
  // One thread: how many there are would be seen in the bytes.
  run('dpkg-deb', [
    ...['--root-owner-group', '-Zxz', '-z9', '--threads-max=1', '--build', root, join(made, name)],
  ]);
  return name;
}

function copyright(epoch) {
  const license = readFileSync('LICENSE', 'utf8').trimEnd().split('\n').slice(4);
  const indented = license.map((line) => (line === '' ? ' .' : ` ${line}`)).join('\n');
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ovpn-killswitch

Files: *
Copyright: ${new Date(epoch * 1000).getUTCFullYear()} the ovpn-killswitch authors
License: Expat
${indented}
`;
}

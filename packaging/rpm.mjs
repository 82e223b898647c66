import {
  copyFileSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { placeFiles } from './files.mjs';
import { HOMEPAGE } from './homepage.mjs';
import { MAINTAINER } from './maintainer.mjs';
import { filledScript } from './script.mjs';

const SOURCE = 'packaging/rpm';
/**
 * As rpm calls them (rpm-spec(5)). The trigger: a package brings a file into this folder. rpm 4.20
 * looks up folders alone, so that a trigger on /usr/bin/node never fires.
 */
const SCRIPTS = {
  pre: '%pre',
  post: '%post',
  preun: '%preun',
  postun: '%postun',
  transfiletriggerin: '%transfiletriggerin -- /usr/bin/',
};
/** Files that "install" writes again, the same. */
const REWRITTEN = /\/(hooks\.js|hooks\/route-up)$/;
/** Folders that belong to this package alone. */
const OWN_FOLDER = /\/ovpn-killswitch(\/|$)/;

/** A percent sign is rpm's own, also in a comment. */
const plain = (text) => text.replaceAll('%', '%%');

function fileLine(root, path, settings) {
  const stat = lstatSync(join(root, path));
  const flags = [
    ...(stat.isDirectory() ? ['%dir'] : []),
    ...(path === settings ? ['%config(noreplace)'] : []),
    ...(REWRITTEN.test(path) ? ['%verify(not mtime)'] : []),
    ...(path.startsWith('/usr/share/licenses/') && !stat.isDirectory() ? ['%license'] : []),
    ...(stat.isSymbolicLink() ? [] : [`%attr(0${(stat.mode & 0o777).toString(8)}, root, root)`]),
  ];
  return `${[...flags, `"${plain(path)}"`].join(' ')}\n`;
}

/** The day of a changelog's entry, as rpm-spec(5) wants it: Sun Nov 29 2026. */
const dayOf = (epoch) =>
  new Date(epoch * 1000).toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+) .*/, '$1 $3 $2 $4');

/** The description of a package for rpmbuild(8), whose files lie in `root`. */
function spec({ version, epoch, root, texts, paths }) {
  const scripts = Object.entries(SCRIPTS).map(
    ([name, section]) =>
      `${section}\n${plain(filledScript(`${SOURCE}/${name}`, texts.words).replace(/^#!.*\n/, ''))}\n`,
  );
  return `Name: ovpn-killswitch
Version: ${version}
Release: 1
Summary: Kill switch for OpenVPN
License: MIT${HOMEPAGE === undefined ? '' : `\nURL: ${HOMEPAGE}`}
BuildArch: noarch
AutoReqProv: no
Requires: nodejs >= 18.19
Requires: (nftables or iptables)
Requires: /usr/bin/env
Recommends: openvpn

%description
Hooks for OpenVPN and NetworkManager, and a command that locks a machine:
nothing leaves it but the encrypted packets of the VPN client, what the
settings allow on the LAN, and what goes through the tunnel. It does not
matter whether OpenVPN runs, reconnects, crashes or is stopped.

The rules are those of nftables or iptables. Installing, upgrading and
removing this package never changes them.

%install
mkdir -p %{buildroot}
cp -a "${root}/." %{buildroot}

${scripts.join('')}%files
${paths.map((path) => fileLine(root, path, texts.settings.path)).join('')}
%changelog
* ${dayOf(epoch)} ${MAINTAINER} - ${version}-1
- The changes are in /usr/share/doc/ovpn-killswitch.
`;
}

/** Settings of rpmbuild, in place of those of the distribution: the same bytes everywhere. */
const macros = (topdir) => ({
  _topdir: topdir,
  _buildhost: 'reproducible',
  use_source_date_epoch_as_buildtime: '1',
  // One is of rpm before 4.20, the other of those since.
  clamp_mtime_to_source_date_epoch: '1',
  build_mtime_policy: 'clamp_to_source_date_epoch',
  source_date_epoch_from_changelog: '0',
  _binary_payload: 'w9.xzdio',
  _build_id_links: 'none',
  optflags: '%{nil}',
  debug_package: '%{nil}',
  // Nothing is to be stripped, packed or named anew.
  __os_install_post: '%{nil}',
});

/** Builds ovpn-killswitch-VERSION-1.noarch.rpm; `run` throws where there is no rpmbuild. */
export function makeRpm({ files, texts, version, epoch, draft, made, run }) {
  const root = join(draft, 'rpm', 'root');
  placeFiles(root, {
    ...files,
    [`${texts.library}/package`]: { text: 'rpm\n' },
    '/usr/share/zsh/site-functions/_ovpn-killswitch': { text: texts.completions.zsh },
    '/usr/share/licenses/ovpn-killswitch/LICENSE': { text: readFileSync('LICENSE') },
  });
  const below = readdirSync(root, { recursive: true }).map(String).sort();
  for (const path of ['.', ...below].reverse()) lutimesSync(join(root, path), epoch, epoch);
  const paths = below
    .map((path) => `/${path}`)
    .filter((path) => !lstatSync(join(root, path)).isDirectory() || OWN_FOLDER.test(path));
  const topdir = join(draft, 'rpm', 'top');
  mkdirSync(topdir);
  placeFiles(topdir, { 'one.spec': { text: spec({ version, epoch, root, texts, paths }) } });
  run('rpmbuild', [
    ...['-bb', '--quiet', '--target', 'noarch-unknown-linux', '--nodeps'],
    ...Object.entries(macros(topdir)).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
    join(topdir, 'one.spec'),
  ]);
  const name = `ovpn-killswitch-${version}-1.noarch.rpm`;
  copyFileSync(join(topdir, 'RPMS', 'noarch', name), join(made, name));
}

import { execFileSync } from 'node:child_process';
import type { Ran, Sandbox } from '../../src/host/sandbox.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { TRACES } from './traces.ts';

/** Where a package of any kind has its files. */
export const LIBRARY = '/usr/lib/ovpn-killswitch';
export const COMMAND = '/usr/sbin/ovpn-killswitch';
export const CACHES = `${LIBRARY}/hooks-nftables.cache`;

/** Prints every packet filter rule, without counters. */
export const RULES = [
  'nft -s list ruleset',
  ...['iptables-save', 'ip6tables-save'].map((tool) => `${tool} | sed '/^#/d; s/\\[[0-9:]*\\]//'`),
].join('; ');

/** Files that dpkg(1), rpm(8) and mount(8) write. */
const OTHERS = /\/var\/(lib\/dpkg|log\/dpkg\.log|lib\/apt|cache)|\/run\/(mount|rpm)/;

export interface PackageMachine {
  readonly sh: (text: string) => Ran;
  /** @throws Error when the shell ends with anything but 0. */
  readonly must: (text: string) => string;
  readonly there: (...paths: readonly string[]) => readonly boolean[];
  /** Traces that a package could leave, below /usr too. */
  readonly traces: () => string;
}

/** Shell commands in a sandbox in which a package is installed and removed. */
export function packageMachine(sandbox: Sandbox): PackageMachine {
  const sh = (text: string): Ran => sandbox.run(['sh', '-c', text], { milliseconds: 600_000 });
  const must = (text: string): string => {
    const { status, stdout, stderr } = sh(text);
    if (status !== 0) throw new Error(`${text}: ${status}\n${stdout}${stderr}`);
    return stdout;
  };
  return {
    sh,
    must,
    there: (...paths) => paths.map((path) => sh(`test -e ${path}`).status === 0),
    traces: () =>
      must(
        `${TRACES}\nfind /usr -xdev -name '*killswitch*' -printf 'file %p %u:%g %m %l\\n' | sort`,
      )
        .split('\n')
        .filter((line) => !OTHERS.test(line))
        .join('\n'),
  };
}

const { argv, env } = tunnelCall('tun0');

/** The shell line by which OpenVPN would call the installed `up` for the device tun0. */
export const UP: string = [
  'env -i',
  ...Object.entries(env).map(([key, value]) => `'${key}=${value.replaceAll("'", "'\\''")}'`),
  `daemon_pid=$$ ${LIBRARY}/hooks/up ${argv.map((word) => `'${word}'`).join(' ')}`,
].join(' ');

/** The files of a Debian package, where other distributions want them. */
export function filesElsewhere(deb: string, command: string): readonly string[] {
  const moved = new Map([
    [
      '/usr/share/zsh/vendor-completions/_ovpn-killswitch',
      '/usr/share/zsh/site-functions/_ovpn-killswitch',
    ],
    ['/usr/share/doc/ovpn-killswitch/copyright', '/usr/share/licenses/ovpn-killswitch/LICENSE'],
    [
      '/usr/share/doc/ovpn-killswitch/changelog.md.gz',
      '/usr/share/doc/ovpn-killswitch/changelog.gz',
    ],
    [COMMAND, command],
  ]);
  const own = /^\/usr\/share\/(lintian\/|doc\/ovpn-killswitch\/changelog\.gz$)/;
  return execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('d'))
    .map((line) => line.replace(/ -> .*/, '').replace(/^.* \./, ''))
    .filter((path) => !own.test(path))
    .map((path) => moved.get(path) ?? path)
    .sort();
}

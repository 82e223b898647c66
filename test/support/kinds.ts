import type { Backend } from '../../src/backend/backend.ts';
import { iptables } from '../../src/backend/iptables.ts';
import { nftables } from '../../src/backend/nftables.ts';
import type { Sandbox } from '../../src/host/sandbox.ts';

/**
 * A backend with the implementation behind it: iptables comes in two that do not see each other's
 * rules.
 */
export const KINDS = ['nftables', 'iptables-nft', 'iptables-legacy'] as const;
export type Kind = (typeof KINDS)[number];

export function backendOf(kind: Kind): Backend {
  switch (kind) {
    case 'nftables':
      return nftables;
    case 'iptables-nft':
    case 'iptables-legacy':
      return iptables();
    default:
      return kind satisfies never;
  }
}

const PROGRAMS = ['', '-restore', '-save'].flatMap((end) => [`iptables${end}`, `ip6tables${end}`]);
const ALTERNATIVES = '/etc/alternatives';

/** The implementation that `iptables-restore --version` names. */
function implementation(sandbox: Sandbox): string {
  return (
    /\((nf_tables|legacy)\)/.exec(sandbox.run(['iptables-restore', '--version']).stdout)?.[1] ??
    'unknown'
  );
}

/**
 * Makes `iptables` inside a sandbox be of this kind, by Debian's alternatives. Returns why it
 * cannot be, undefined when it is.
 */
export function useKind(sandbox: Sandbox, kind: Kind): string | undefined {
  if (kind === 'nftables')
    return sandbox.run(['nft', 'list', 'tables']).status === 0
      ? undefined
      : 'nft does not work here';
  const wanted = kind === 'iptables-nft' ? 'nf_tables' : 'legacy';
  if (implementation(sandbox) !== wanted) {
    // A copy laid over it: in a user namespace the folder itself belongs to nobody there, and
    // cannot be changed.
    sandbox.run([
      'sh',
      '-c',
      `cp -rP ${ALTERNATIVES} /run/alternatives && mount --bind /run/alternatives ${ALTERNATIVES}`,
    ]);
    for (const program of PROGRAMS) {
      const target = `/usr/sbin/${program.replace(/tables/, `tables-${kind === 'iptables-nft' ? 'nft' : 'legacy'}`)}`;
      if (
        sandbox.run(['test', '-x', target, '-a', '-L', `${ALTERNATIVES}/${program}`]).status !== 0
      )
        return `${target} is not installed, or ${ALTERNATIVES}/${program} does not choose it`;
      sandbox.run(['ln', '-sfn', target, `${ALTERNATIVES}/${program}`]);
    }
  }
  if (implementation(sandbox) !== wanted)
    return `iptables is ${implementation(sandbox)} here and cannot be ${wanted}`;
  const works = ['iptables-save', 'ip6tables-save'].flatMap((program) => [
    sandbox.run([program, '-t', 'filter']),
    sandbox.run([program]),
  ]);
  const failed = works.find(({ status }) => status !== 0);
  return failed === undefined ? undefined : `${kind} does not work here: ${failed.stderr.trim()}`;
}

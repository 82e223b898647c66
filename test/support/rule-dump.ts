import type { Sandbox } from '../../src/host/sandbox.ts';

/** Every packet filter rule of a machine, in the words of the tools, without counters and dates. */
export interface RuleDump {
  readonly ipv4: string;
  readonly ipv6: string;
  readonly nft: string;
}

/**
 * The table mangle without a rule is as if it were not there: iptables-legacy cannot take away what
 * was asked for once.
 */
const UNUSED =
  /^\*mangle\n(?::(?:PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) (?:ACCEPT|POLICY)\n)*COMMIT\n/m;

/** Reads iptables-save, ip6tables-save and nft. @throws Error when one of them fails. */
export function dumpRules(sandbox: Sandbox): RuleDump {
  const read = (...argv: readonly string[]) => {
    const { status, stdout, stderr } = sandbox.run(argv);
    if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
    return stdout
      .split('\n')
      .filter((line) => !line.startsWith('#'))
      .map((line) => line.replace(/ \[\d+:\d+\]$/, ''))
      .join('\n')
      .replace(UNUSED, '');
  };
  return {
    ipv4: read('iptables-save'),
    ipv6: read('ip6tables-save'),
    nft: read('nft', '-s', 'list', 'ruleset'),
  };
}

function othersOfSave(text: string): string {
  return text
    .split('\n')
    .filter((line) => !/^(-A|:)\s?\S*KILLSWITCH-|-j KILLSWITCH-/.test(line))
    .map((line) => line.replace(/^:(INPUT|FORWARD|OUTPUT) (ACCEPT|DROP)$/, ':$1 POLICY'))
    .join('\n')
    .replace(UNUSED, '');
}

function othersOfNft(text: string): string {
  return (
    text
      .replace(/^table inet ovpn_killswitch \{\n[\s\S]*?\n\}\n/m, '')
      .replace(/^\tchain KILLSWITCH-\S+ \{\n[\s\S]*?^\t\}\n/gm, '')
      .replace(/^.* jump KILLSWITCH-.*\n/gm, '')
      .replace(
        /^(\t\ttype filter hook (?:input|forward|output) priority filter; policy) (?:accept|drop);$/gm,
        '$1 any;',
      )
      .replace(/\n{2,}/g, '\n')
      // Chains of mangle that our jumps needed: empty without them, and gone after unlock.
      .replace(
        /^\tchain (?:INPUT|FORWARD|POSTROUTING) \{\n\t\ttype filter hook \w+ priority mangle; policy accept;\n\t\}\n/gm,
        '',
      )
      .replace(
        /^table ip6? mangle \{\n(?:\tchain \w+ \{\n\t\ttype filter hook .* policy accept;\n\t\}\n)*\}\n/gm,
        '',
      )
  );
}

/**
 * The rest of a dump without all that is ours; the policies of the builtin chains are ours
 * while it is locked.
 */
export function othersOf({ ipv4, ipv6, nft }: RuleDump): RuleDump {
  return { ipv4: othersOfSave(ipv4), ipv6: othersOfSave(ipv6), nft: othersOfNft(nft) };
}

/**
 * A listing without the rules that keep shut what belonged to a tunnel: it may have gone, and come
 * back with other facts. nft does not list the comments of iptables-nft.
 */
export function withoutKeptShut(listing: string): string {
  return listing
    .replace(
      /^.*(?:drop comment "tunnel-(?:address|source|networks)"|--comment tunnel-(?:address|source|networks) -j DROP)$\n?/gm,
      '',
    )
    .replace(/^\s*(?:[io]ifname != "[^"]+" )?ip6? [sd]addr \S+ +counter drop$\n?/gm, '');
}

/** A dump without the rules that keep shut what belonged to a tunnel. */
export function dumpWithoutKeptShut(sandbox: Sandbox): RuleDump {
  const { ipv4, ipv6, nft } = dumpRules(sandbox);
  return { ipv4: withoutKeptShut(ipv4), ipv6: withoutKeptShut(ipv6), nft: withoutKeptShut(nft) };
}

import type { Sandbox } from '../../src/host/sandbox.ts';

const IPTABLES = ['iptables', 'ip6tables']
  .map(
    (tool) => `
${tool} -N MINE
${tool} -A MINE -p tcp --dport 9 -m comment --comment "mine; yours {}" -j ACCEPT
${tool} -A MINE -m limit --limit 3/hour -j LOG --log-prefix "mine: "
${tool} -A INPUT -i lo -j ACCEPT
${tool} -A INPUT -j MINE
${tool} -A OUTPUT -j MINE
${tool} -A FORWARD -i docker0 -j ACCEPT
${tool} -t nat -A POSTROUTING -o eth9 -j MASQUERADE
${tool} -t mangle -A PREROUTING -i eth9 -j MARK --set-mark 7
`,
  )
  .join('');

/**
 * A user's own rules: chains, jumps, policies that differ between the families, other tables of
 * iptables, and tables of nft.
 */
export function addOthersRules(sandbox: Sandbox): void {
  const script = `set -e
${IPTABLES}
iptables -P FORWARD DROP
ip6tables -P INPUT DROP
ip6tables -P FORWARD DROP
nft -f - <<'END'
table inet theirs {
  set bad { type ipv4_addr; elements = { 198.51.100.66 } }
  chain out { type filter hook output priority filter + 10; policy accept; ip daddr @bad counter drop; }
}
table ip6 theirs { chain pre { type filter hook prerouting priority raw; policy accept; iifname "eth9" notrack; } ; }
END
`;
  const { status, stderr } = sandbox.run(['sh', '-s'], { stdin: script });
  if (status !== 0) throw new Error(stderr);
}

/**
 * How hooks are written without us: the same rules as ours in spirit, with fewer of them. Both lock
 * with the connection's `remote_N`.
 */

/** One restore for each family, as a careful POSIX script does it. */
export const RESTORE_HOOK = `#!/bin/sh
PATH=/usr/sbin:/usr/bin:/sbin:/bin
remotes=
n=1
while eval "address=\\\${remote_$n:-}"; [ -n "$address" ]; do
  eval "port=\\\${remote_port_$n:-1194} proto=\\\${proto_$n:-udp}"
  remotes="$remotes-A VPN-OUT -d $address/32 -p $proto --dport $port -j ACCEPT
"
  n=$((n + 1))
done
rules() {
  cat <<END
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:VPN-IN - [0:0]
:VPN-OUT - [0:0]
-A INPUT -j VPN-IN
-A OUTPUT -j VPN-OUT
-A VPN-IN -i lo -j ACCEPT
-A VPN-IN -i $dev -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A VPN-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A VPN-IN -j DROP
-A VPN-OUT -o lo -j ACCEPT
$1-A VPN-OUT -o $dev -j ACCEPT
-A VPN-OUT -j DROP
COMMIT
END
}
rules "$remotes" | iptables-restore -w && rules '' | ip6tables-restore -w
`;

/**
 * One iptables call for each rule, IPv4 alone, as today's scripts do it: a server is let in and
 * out, may be pinged, and no rule stands twice. 42 calls with four remotes; each remote is six.
 */
export const CALLS_HOOK = `#!/bin/bash
PATH=/usr/sbin:/usr/bin:/sbin:/bin
for chain in INPUT OUTPUT FORWARD; do
  if iptables -w -C $chain -j VPN_$chain 2>/dev/null; then
    iptables -w -D $chain -j VPN_$chain
    iptables -w -F VPN_$chain
    iptables -w -X VPN_$chain
  fi
  iptables -w -N VPN_$chain || exit 1
  iptables -w -I $chain -j VPN_$chain
done
n=1
while remote=remote_$n port=remote_port_$n proto=proto_$n; [ -n "\${!remote}" ]; do
  iptables -w -A VPN_INPUT -s "\${!remote}" -p "\${!proto}" --sport "\${!port}" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -w -A VPN_OUTPUT -d "\${!remote}" -p "\${!proto}" --dport "\${!port}" -j ACCEPT
  ping=(VPN_INPUT -s "\${!remote}" -p icmp --icmp-type echo-reply -j ACCEPT)
  iptables -w -C "\${ping[@]}" 2>/dev/null || iptables -w -A "\${ping[@]}"
  ping=(VPN_OUTPUT -d "\${!remote}" -p icmp --icmp-type echo-request -j ACCEPT)
  iptables -w -C "\${ping[@]}" 2>/dev/null || iptables -w -A "\${ping[@]}"
  n=$((n + 1))
done
iptables -w -A VPN_INPUT -i lo -j ACCEPT
iptables -w -A VPN_OUTPUT -o lo -j ACCEPT
iptables -w -A VPN_INPUT -s 192.168.0.0/16 -j ACCEPT
iptables -w -A VPN_OUTPUT -d 192.168.0.0/16 -j ACCEPT
iptables -w -A VPN_INPUT -i "$dev" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
iptables -w -A VPN_OUTPUT -o "$dev" -j ACCEPT
for chain in INPUT OUTPUT FORWARD; do
  iptables -w -A VPN_$chain -j DROP
done
`;

/**
 * A table in the manner of the big VPN providers' own programs: about 40 rules; packets of excluded
 * programs are known by their cgroup and marked, the client's own by its mark, and every hook that
 * a packet meets has a chain. Written for this page after what those programs say of themselves.
 */
export function providerTable({
  server,
  port,
}: {
  readonly server: string;
  readonly port: number;
}): string {
  const [excluded, own] = ['0x000000ab', '0x000000cd'];
  const lan = '{ 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16 }';
  const lan6 = '{ fe80::/10, fc00::/7 }';
  const groups = '{ 224.0.0.0/24, 239.255.0.0/16, 255.255.255.255 }';
  const groups6 = '{ ff01::/16, ff02::/16, ff05::/16 }';
  return `table inet provider {
  chain prerouting {
    type filter hook prerouting priority -199; policy accept;
    iifname != "tun0" ct mark ${excluded} meta mark set ${own}
    iifname "tun0" ip saddr ${server} drop
    ip saddr ${server} udp sport ${port} meta mark set ${own}
  }
  chain mangle {
    type route hook output priority -199; policy accept;
    meta cgroup 5087042 ct mark set ${excluded} meta mark set ${own}
    oifname "tun0" udp dport 53 ip daddr 10.8.0.1 accept
  }
  chain nat {
    type nat hook postrouting priority 100; policy accept;
    oifname "lo" accept
    ct mark ${excluded} masquerade
  }
  chain output {
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ct mark ${excluded} accept
    udp sport 68 ip daddr 255.255.255.255 udp dport 67 accept
    ip6 saddr fe80::/10 udp sport 546 ip6 daddr ff02::1:2 udp dport 547 accept
    ip6 saddr fe80::/10 udp sport 546 ip6 daddr ff05::1:3 udp dport 547 accept
    ip6 daddr ff02::2 icmpv6 type nd-router-solicit accept
    ip6 daddr ff02::1:ff00:0/104 icmpv6 type nd-neighbor-solicit accept
    ip6 daddr fe80::/10 icmpv6 type nd-neighbor-solicit accept
    ip6 daddr fe80::/10 icmpv6 type nd-neighbor-advert accept
    ip daddr ${server} udp dport ${port} meta mark ${own} accept
    ip daddr ${server} udp dport ${port} meta skuid 0 accept
    oifname "tun0" udp dport 53 ip daddr 10.8.0.1 accept
    oifname "tun0" tcp dport 53 ip daddr 10.8.0.1 accept
    udp dport 53 reject
    tcp dport 53 reject with tcp reset
    oifname "tun0" meta nfproto ipv4 ip daddr 10.8.0.1 udp dport 67 drop
    oifname "tun0" accept
    ip daddr ${lan} accept
    ip daddr ${groups} accept
    ip6 daddr ${lan6} accept
    ip6 daddr ${groups6} accept
    reject
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct mark ${excluded} ct state established,related accept
    udp sport 67 udp dport 68 accept
    ip6 saddr fe80::/10 udp sport 547 ip6 daddr fe80::/10 udp dport 546 accept
    ip6 saddr fe80::/10 icmpv6 type nd-router-advert accept
    ip6 saddr fe80::/10 icmpv6 type nd-redirect accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip saddr ${server} udp sport ${port} ct state established accept
    iifname "tun0" ct state established,related accept
    ip saddr ${lan} accept
    ip6 saddr ${lan6} accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct mark ${excluded} accept
    udp dport 53 reject
    tcp dport 53 reject with tcp reset
    oifname "tun0" accept
    iifname "tun0" ct state established,related accept
    ip daddr ${lan} accept
    reject
  }
}
`;
}

/** The look of a namespace that none of them has touched. */
export const EMPTY =
  'for each in iptables ip6tables; do $each -P FORWARD ACCEPT; $each -F; $each -X; done; nft flush ruleset';

/** How hooks are written without us: the same rules as ours in spirit, with fewer of them. Both lock with the connection's `remote_N`. */

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
 * One iptables call for each rule, IPv4 alone, as today's scripts do it: a server is let in and out, may be pinged, and no rule stands twice. 42
 * calls with four remotes; each remote is six.
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

/** What a namespace looks like that none of them has touched. */
export const EMPTY = 'for each in iptables ip6tables; do $each -P FORWARD ACCEPT; $each -F; $each -X; done; nft flush ruleset';

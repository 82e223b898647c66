#!/bin/sh
# Opens a machine that ovpn-killswitch has locked: takes away its rules, in nftables and in every kind of iptables that is installed, and
# gives the chain policies and the system's resolvers back. Needs nothing but this file: no Node, no network, nothing of the package. Run it as
# often as you like.
#   recover             opens
#   recover resolvers   gives back only the resolvers, as after a power cut: the rules stay
PATH=/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin
LC_ALL=C
export PATH LC_ALL
state=/var/lib/ovpn-killswitch
dns=/run/ovpn-killswitch/dns
failed=0
stuck=0

if [ "$(id -u)" != 0 ]; then
  echo "recover: this needs root: sudo $0" >&2
  exit 77
fi

case $*:$# in
  :0 | resolvers:1) ;;
  *) echo "recover: the only argument is: resolvers" >&2; exit 64 ;;
esac

say() { echo "recover: $*"; }

# outcome STATUS TOOL
outcome() {
  if [ "$1" = 0 ]; then say "$2: open"; else say "$2: could not remove the rules" >&2; failed=1; fi
}

# policies FAMILY: the chain policies from before the lock, as iptables-restore lines
policies() {
  if [ -s "$state/before.policies" ]; then
    while read -r family chain policy; do
      [ "$family" = "$1" ] && echo ":$chain $policy [0:0]"
    done < "$state/before.policies"
  else
    printf ':INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n'
  fi
}

# open FAMILY TOOL: one restore script that removes our jumps and chains
open() {
  command -v "$2-save" >/dev/null 2>&1 || return 0
  command -v "$2-restore" >/dev/null 2>&1 || return 0
  rules=$("$2-save" -t filter 2>/dev/null) || return 0
  chains=$(printf '%s\n' "$rules" | sed -n 's/^:\(KILLSWITCH-[^ ]*\) .*/\1/p')
  jumps=$(printf '%s\n' "$rules" | sed -n 's/^-A \([A-Z]* -j KILLSWITCH-[A-Z]*\)$/-D \1/p')
  # Chains that somebody flushed leave the policies behind: those go back too, where the record says that we set them.
  if [ -z "$chains$jumps" ] && { [ "$2" != iptables ] && [ "$2" != ip6tables ] || [ ! -s "$state/before.policies" ]; }; then
    return 0
  fi
  {
    echo '*filter'
    policies "$1"
    for chain in $chains; do echo ":$chain - [0:0]"; done
    [ -z "$jumps" ] || printf '%s\n' "$jumps"
    for chain in $chains; do echo "-X $chain"; done
    echo COMMIT
  } | "$2-restore" --noflush -w 5
  outcome $? "$2"
}

# give_back_resolvers: each who was told of a tunnel's is told to forget them, and a file that we wrote becomes what it was.
give_back_resolvers() {
  if [ -s "$dns/resolved" ]; then
    while IFS='	' read -r device link _; do
      [ "$(cat "/sys/class/net/$device/ifindex" 2>/dev/null)" != "$link" ] || resolvectl revert "$device" >/dev/null 2>&1
    done < "$dns/resolved"
  fi
  if [ -e "$dns/openresolv" ] || [ -e "$dns/resolvconf" ]; then resolvconf -d tun.ovpn-killswitch >/dev/null 2>&1; fi
  if [ -s "$dns/networkmanager" ]; then
    rm -f "$(cat "$dns/networkmanager")"
    nmcli general reload conf >/dev/null 2>&1
  fi
  for kept in "$state/dns" "$dns"; do
    [ -s "$kept/place" ] || continue
    place=$(cat "$kept/place")
    case $(head -n 1 "$place" 2>/dev/null) in
      '# ovpn-killswitch: '*) ours=yes ;;
      *) ours=no; if [ -e "$kept/written" ] && cmp -s "$place" "$kept/written"; then ours=yes; fi ;;
    esac
    # Written in place, so that owner, mode and mounts stay.
    if [ "$ours" = no ]; then :
    elif [ -e "$kept/before" ]; then cat "$kept/before" > "$place" || { say "$place: could not be given back" >&2; stuck=1; continue; }
    else rm -f "$place"
    fi
    rm -rf "$kept"
  done
  [ "$stuck" != 0 ] || rm -rf "$dns"
}

# A hook that runs meanwhile would load its rules again: it waits for the same lock, and then finds the machine unlocked.
if [ -d /run/ovpn-killswitch ] && command -v flock >/dev/null 2>&1; then
  exec 9>>/run/ovpn-killswitch/lock
  flock -w 20 9 || say 'somebody holds the lock for 20 seconds: going on without it' >&2
fi

if [ "${1:-}" = resolvers ]; then
  give_back_resolvers
  exit "$stuck"
fi

for kind in '' -nft -legacy; do
  # Asking for legacy tables makes them: only where the kernel has them already.
  [ "$kind" != -legacy ] || [ -s /proc/net/ip_tables_names ] || [ -s /proc/net/ip6_tables_names ] || continue
  open ipv6 "ip6tables$kind"
  open ipv4 "iptables$kind"
done

if command -v nft >/dev/null 2>&1 && nft list table inet ovpn_killswitch >/dev/null 2>&1; then
  nft delete table inet ovpn_killswitch
  outcome $? nft
fi

# The pinned names of VPN servers. Written in place, so that owner, mode and mounts stay.
hosts=/etc/hosts
if grep -q '^# >>> ovpn-killswitch' "$hosts" 2>/dev/null; then
  kept=$(sed '/^# >>> ovpn-killswitch/,/^# <<< ovpn-killswitch$/d' "$hosts"; echo .)
  printf '%s' "${kept%.}" > "$hosts"
fi

give_back_resolvers

if [ "$failed" = 0 ]; then
  # Hooks then leave the firewall alone until the next lock, and nothing loads the base at the next boot.
  if mkdir -p "$state" 2>/dev/null; then
    rm -f "$state/base.nft" "$state/base.v4" "$state/base.v6" "$state/before.policies" "$state/endpoints.json" "$state/settings.env"
    printf '{"version":1,"locked":false,"since":%s,"backend":"nftables","before":[]}\n' "$(date +%s)" > "$state/lock.json"
  fi
  say 'done: nothing is guarded until the next "ovpn-killswitch lock".'
fi
[ "$stuck" = 0 ] || failed=1
exit "$failed"

#!/bin/sh
# Opens a machine that ovpn-killswitch has locked: takes away its rules, in nftables and in every kind of iptables that is installed, and
# gives the chain policies and the system's resolvers back, and takes away what loads the rules at boot or puts them back. Needs nothing but this file: no Node,
# no network, nothing of the package. Run it as often as you like.
#   recover                    opens
#   recover resolvers          gives back only the resolvers, as after a power cut: the rules stay
#   recover --boot-off NAME…   takes away only these: systemd, netfilter-persistent, sysconfig, openrc; nftables and
#                              nftables-now, its drop-ins; sysctl; and watch
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
  :0 | resolvers:1 | --boot-off\ *) ;;
  *) echo 'recover: the only arguments are: resolvers, or --boot-off NAME…' >&2; exit 64 ;;
esac

say() { echo "recover: $*"; }

systemd_off() {
  units=/etc/systemd/system
  found=
  for path in "$units"/ovpn-killswitch.service "$units"/ovpn-killswitch-early.service "$units"/*.d/ovpn-killswitch-boot.conf; do
    case $path in */nftables.service.d/*) continue ;; esac
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
    found=yes
    rm -f "$path"
    case $path in *.d/*) rmdir "${path%/*}" 2>/dev/null ;; esac
  done
  if [ -z "$found" ] || [ ! -d /run/systemd/system ]; then return 0; fi
  systemctl daemon-reload
  # They would stay active without a file. Alone: a stop would take with it whoever still requires them, as docker may by a drop-in of the examples.
  for name in ovpn-killswitch ovpn-killswitch-early; do
    systemctl --job-mode=ignore-dependencies stop "$name.service" 2>/dev/null
  done
  return 0
}

# nftables_off FOLDER: what has nftables.service load the base. A systemd that cannot be told has it load what is not there any more: nothing.
nftables_off() {
  if [ ! -e "$1/nftables.service.d/ovpn-killswitch-boot.conf" ]; then return 0; fi
  rm -f "$1/nftables.service.d/ovpn-killswitch-boot.conf"
  rmdir "$1/nftables.service.d" 2>/dev/null
  if [ -d /run/systemd/system ]; then systemctl daemon-reload || say 'systemd did not read its units again' >&2; fi
}

netfilter_persistent_off() { rm -f /usr/share/netfilter-persistent/plugins.d/50-ovpn-killswitch; }

openrc_off() {
  [ -e /etc/init.d/ovpn-killswitch ] || return 0
  rm -f /etc/runlevels/*/ovpn-killswitch /etc/init.d/ovpn-killswitch
  if command -v rc-update >/dev/null 2>&1; then rc-update -u >/dev/null 2>&1; fi
}

# What is still as we wrote it becomes what it was; of what somebody has saved since, our lines go.
sysconfig_off() {
  for name in iptables ip6tables iptables-config ip6tables-config; do
    ours=$state/boot/sysconfig/$name.ours
    file=/etc/sysconfig/$name
    [ -e "$ours" ] || continue
    if cmp -s "$ours" "$file"; then
      if [ -e "$ours.before" ]; then cat "$ours.before" >"$file"; else rm -f "$file"; fi
    elif [ "${name%-config}" != "$name" ]; then
      say "$file was changed since: look at its lines IPTABLES_SAVE_ON_STOP and IPTABLES_SAVE_ON_RESTART yourself" >&2
    elif grep -q KILLSWITCH- "$file" 2>/dev/null; then
      kept=$(sed -e '/KILLSWITCH-/d' -e 's/^:\(INPUT\|FORWARD\|OUTPUT\) DROP/:\1 ACCEPT/' "$file")
      printf '%s\n' "$kept" >"$file"
      say "$file was changed since: our lines are out of it and its policies are ACCEPT, the rest is as it was saved" >&2
    fi
    rm -f "$ours" "$ours.before"
  done
}

# Kernel settings as they were: those that another program has changed since stay.
sysctl_off() {
  rm -f /etc/sysctl.d/99-ovpn-killswitch.conf
  [ -e "$state/boot/sysctl" ] || return 0
  # First look at all: the settings for "all" change others.
  while read -r key ours before; do
    if [ "$(cat "/proc/sys/$key" 2>/dev/null)" = "$ours" ]; then echo "$key $before"; fi
  done <"$state/boot/sysctl" >"$state/boot/sysctl.back"
  while read -r key before; do
    echo "$before" >"/proc/sys/$key"
  done <"$state/boot/sysctl.back"
  rm -f "$state/boot/sysctl" "$state/boot/sysctl.back"
}

# The service that would put the rules back.
watch_off() {
  name=ovpn-killswitch-watch
  units=/etc/systemd/system
  if [ -e "$units/$name.service" ] || [ -e "$units/multi-user.target.d/$name.conf" ]; then
    if [ -d /run/systemd/system ]; then systemctl stop "$name.service" 2>/dev/null; fi
    rm -f "$units/$name.service" "$units/multi-user.target.d/$name.conf"
    rmdir "$units/multi-user.target.d" 2>/dev/null
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
  fi
  if [ -e "/etc/init.d/$name" ]; then
    # Nobody who must get out waits for a supervisor that hangs.
    if command -v rc-service >/dev/null 2>&1; then timeout 10 rc-service "$name" stop >/dev/null 2>&1; fi
    rm -f /etc/runlevels/*/"$name" "/etc/init.d/$name"
    if command -v rc-update >/dev/null 2>&1; then rc-update -u >/dev/null 2>&1; fi
  fi
}

boot_off() {
  for name; do
    case $name in
      systemd) systemd_off ;;
      netfilter-persistent) netfilter_persistent_off ;;
      openrc) openrc_off ;;
      sysconfig) sysconfig_off ;;
      nftables) nftables_off /etc/systemd/system ;;
      nftables-now) nftables_off /run/systemd/system ;;
      sysctl) sysctl_off ;;
      watch) watch_off ;;
      *) say "nothing of ours is called $name" >&2; return 64 ;;
    esac
  done
}

if [ "${1:-}" = --boot-off ]; then
  shift
  boot_off "$@"
  exit
fi

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

# open_table FAMILY TOOL TABLE: one restore script that removes our jumps and chains
open_table() {
  rules=$(printf '%s\n' "$saved" | sed -n "/^\*$3\$/,/^COMMIT\$/p")
  chains=$(printf '%s\n' "$rules" | sed -n 's/^:\(KILLSWITCH-[^ ]*\) .*/\1/p')
  jumps=$(printf '%s\n' "$rules" | sed -n 's/^-A \([A-Z]* -j KILLSWITCH-[A-Z]*\)$/-D \1/p')
  # Chains that somebody flushed leave the policies behind: those go back too, where the record says that we set them.
  if [ -z "$chains$jumps" ]; then
    case $3:$2 in filter:iptables | filter:ip6tables) [ -s "$state/before.policies" ] || return 0 ;; *) return 0 ;; esac
  fi
  {
    echo "*$3"
    if [ "$3" = filter ]; then policies "$1"; fi
    for chain in $chains; do echo ":$chain - [0:0]"; done
    [ -z "$jumps" ] || printf '%s\n' "$jumps"
    for chain in $chains; do echo "-X $chain"; done
    echo COMMIT
  } | "$2-restore" --noflush -w 5
  outcome $? "$2 ($3)"
}

# open FAMILY TOOL
open() {
  command -v "$2-save" >/dev/null 2>&1 || return 0
  command -v "$2-restore" >/dev/null 2>&1 || return 0
  # All tables: asking for one of legacy makes it.
  saved=$("$2-save" 2>/dev/null) || return 0
  for table in security filter; do open_table "$1" "$2" "$table"; done
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
# A redirection that fails, as where /run is full, would end this shell at "exec".
if [ -w /run/ovpn-killswitch ] && command -v flock >/dev/null 2>&1 && (: >>/run/ovpn-killswitch/lock) 2>/dev/null; then
  exec 9>>/run/ovpn-killswitch/lock
  flock -w 20 9 || say 'somebody holds the lock for 20 seconds: going on without it' >&2
fi

if [ "${1:-}" = resolvers ]; then
  give_back_resolvers
  exit "$stuck"
fi

watch_off

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

# What the boot script did on a machine without a tool that loads rules.
if [ -e /run/ovpn-killswitch/no-network ]; then
  for family in -6 -4; do ip $family rule del pref 1 prohibit; done
  say 'interfaces that were set down stay down: start your network again, or restart the machine' >&2
fi
rm -f /run/ovpn-killswitch/no-network /run/ovpn-killswitch/boot.problem /run/motd.d/ovpn-killswitch

# Builtin chains that iptables made for us, and their table, when nobody uses them by now: what nft lists of an empty one is five lines.
if [ -s "$state/before.made" ] && command -v nft >/dev/null 2>&1; then
  while read -r family chain table; do
    table=${table:-filter}
    of=ip
    if [ "$family" = ipv6 ]; then of=ip6; fi
    listed=$(nft list chain $of "$table" "$chain" 2>/dev/null) || continue
    case $listed in *'policy accept;'*) ;; *) continue ;; esac
    if [ "$(printf '%s\n' "$listed" | wc -l)" = 5 ]; then nft delete chain $of "$table" "$chain" 2>/dev/null; fi
  done <"$state/before.made"
  for each in 'ip security' 'ip6 security' 'ip filter' 'ip6 filter'; do
    # shellcheck disable=SC2086
    if [ "$(nft list table $each 2>/dev/null | wc -l)" = 2 ]; then nft delete table $each; fi
  done
fi

# The pinned names of VPN servers. Written in place, so that owner, mode and mounts stay.
hosts=/etc/hosts
if grep -q '^# >>> ovpn-killswitch' "$hosts" 2>/dev/null; then
  kept=$(sed '/^# >>> ovpn-killswitch/,/^# <<< ovpn-killswitch$/d' "$hosts"; echo .)
  printf '%s' "${kept%.}" > "$hosts"
fi

give_back_resolvers

if [ "$failed" = 0 ]; then
  boot_off systemd nftables nftables-now netfilter-persistent sysconfig openrc sysctl
  # Hooks then leave the firewall alone until the next lock. A machine that never had the product gets no record.
  if [ -d "$state" ] || { [ -d /usr/local/lib/ovpn-killswitch ] && mkdir -p "$state"; }; then
    rm -f "$state/base.nft" "$state/base.v4" "$state/base.v6" "$state/base.hold" "$state/before.policies" "$state/before.made" "$state/endpoints.json" "$state/settings.env"
    rm -rf "${state:?}/boot"
    # Sessions that were open under that lock are none of the next one's.
    rm -f /run/ovpn-killswitch/ssh-sessions
    rm -rf /run/ovpn-killswitch/trial
    echo unlocked > "$state/lock.plain"
    printf '{"version":1,"locked":false,"since":%s,"backend":"nftables","before":[]}\n' "$(date +%s)" > "$state/lock.json"
  fi
  say 'done: nothing is guarded until the next "ovpn-killswitch lock".'
fi
[ "$stuck" = 0 ] || failed=1
exit "$failed"

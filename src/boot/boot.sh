#!/bin/sh
# Loads the base rules of ovpn-killswitch, from the plain text that "ovpn-killswitch lock" keeps: at boot, before the network, without Node.
#   boot            the base rules; whatever is wrong with them, rules that drop everything; without any tool that loads rules, no network
#   boot --restored  the same after netfilter-persistent has restored what somebody saved: rules of a tunnel that came back with it are in nobody's use
#   boot --sysctl   the kernel settings of /etc/sysctl.d/99-ovpn-killswitch.conf, now
#   boot --flushed  the base rules of iptables again, after nftables.service has flushed them: until then base.hold stands for them
#   boot --reopen   the network again, after "lock" has loaded rules where this script could not
# It never opens anything. Only a machine that is recorded as unlocked is left alone.
# shellcheck disable=SC2123
PATH='@PROGRAMS@'
LC_ALL=C
export PATH LC_ALL
# Files that it makes are for root alone to write, whatever the caller's umask.
umask 022
state='@STATE@'
run='@RUN@'
recover='@LIBRARY@/recover'
sysctls='@SYSCTL_FILE@'
misused='@EXIT_USAGE@'
denied='@EXIT_PERMISSION@'
problem='@BOOT_PROBLEM@'
motd=/run/motd.d/ovpn-killswitch

#include bounded.sh

#include roots.sh

#include own-lock.sh

# Seconds that a tool may take: longer than it waits for the lock of xtables. One that hangs has failed.
patience=8
# The base gets more: on a machine that is slow at boot, a drop of everything would cut off its owner.
base_patience=20

has() { command -v "$1" >/dev/null 2>&1; }

# loud TEXT: prints to the journal or the console, the kernel's log, all logins, the next login, and "status"
loud() {
  echo "ovpn-killswitch: $1" >&2
  echo "<2>ovpn-killswitch: $1" 2>/dev/null >/dev/kmsg
  mkdir -p "$run" /run/motd.d 2>/dev/null
  fresh "$problem" && echo "$1" 2>/dev/null >"$problem"
  fresh "$motd" && echo "ovpn-killswitch: $1" 2>/dev/null >"$motd"
  if has wall; then bounded 3 wall "ovpn-killswitch: $1" 2>/dev/null; fi
}

# whole FILE: a file of root's, whose last line holds the checksum of all lines before it
whole() {
  believed "$1" || return 1
  sum=$(sed '$d' "$1" | sha256sum) || return 1
  [ "$(sed -n '$p' "$1")" = "# sha256 ${sum%% *}" ]
}

# flaw FILE WORDS: why a file is not whole
flaw() { if [ ! -e "$1" ] || believed "$1"; then echo "$1 $2"; else echo "non-root users can change $1"; fi; }

# restore TOOL TABLE: a table's lines and COMMIT on stdin, in place of all rules of ours
restore() {
  has "$1-restore" && has "$1-save" || return 1
  base=$(cat)
  there=$(bounded "$patience" "$1-save" -t "$2" 2>/dev/null) || return 1
  {
    echo "*$2"
    printf '%s\n' "$there" | sed -n 's/^-A \([A-Z]* -j @CHAIN_PREFIX@[A-Z]*\)$/-D \1/p'
    chains=$(printf '%s\n' "$there" | sed -n 's/^:\(@CHAIN_PREFIX@[^ ]*\) .*/\1/p')
    for chain in $chains; do echo ":$chain - [0:0]"; done
    for chain in $chains; do echo "-X $chain"; done
    printf '%s\n' "$base"
  } | bounded "$patience" "$1-restore" --noflush -w 5
}

# section FILE TABLE: the lines of a table from its heading to its COMMIT
section() { sed -n "/^\*$2\$/,/^COMMIT\$/p" "$1" | sed 1d; }

# Families that this kernel has: IPv6 first.
families() {
  if [ -d /proc/sys/net/ipv6 ]; then echo ip6tables; fi
  echo iptables
}

# base: the text that "lock" kept
base() {
  if [ -e "$state/base.nft" ]; then
    whole "$state/base.nft" || { flaw "$state/base.nft" 'is damaged'; return 1; }
    has nft || { echo 'nft is not installed'; return 1; }
    bounded "$base_patience" nft -f "$state/base.nft" && return 0
    if stopped "$?"; then echo "nft was stopped after $base_patience s"; else echo "nft did not take $state/base.nft"; fi
    return 1
  fi
  for tool in $(families); do
    file=$state/base.v4
    if [ "$tool" = ip6tables ]; then file=$state/base.v6; fi
    whole "$file" || { flaw "$file" 'is missing or damaged'; return 1; }
    # These tables judge the interface that a packet really leaves by. Without them filter still holds, and "status" says what is missing.
    for table in mangle security; do
      if grep -q "^\*$table$" "$file"; then section "$file" "$table" | restore "$tool" "$table" || :; fi
    done
    section "$file" filter | restore "$tool" filter || { echo "$tool-restore did not take $file"; return 1; }
  done
  # An earlier run of this script may have loaded this table instead.
  bounded "$patience" nft delete table inet '@NFT_TABLE@' 2>/dev/null
  return 0
}

drop_nft() {
  has nft || return 1
  bounded "$patience" nft -f - <<'END'
table inet @NFT_TABLE@
delete table inet @NFT_TABLE@
table inet @NFT_TABLE@ {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" counter accept comment "loopback"
    counter drop comment "rest"
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    counter drop comment "rest"
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" counter accept comment "loopback"
    counter drop comment "rest"
  }
}
END
}

# drop_iptables TOOL
drop_iptables() {
  restore "$1" filter <<'END'
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
:@CHAIN_PREFIX@INPUT - [0:0]
:@CHAIN_PREFIX@FORWARD - [0:0]
:@CHAIN_PREFIX@OUTPUT - [0:0]
-A @CHAIN_PREFIX@INPUT -i lo -m comment --comment loopback -j ACCEPT
-A @CHAIN_PREFIX@INPUT -m comment --comment rest -j DROP
-A @CHAIN_PREFIX@FORWARD -m comment --comment rest -j DROP
-A @CHAIN_PREFIX@OUTPUT -o lo -m comment --comment loopback -j ACCEPT
-A @CHAIN_PREFIX@OUTPUT -m comment --comment rest -j DROP
-I INPUT 1 -j @CHAIN_PREFIX@INPUT
-I FORWARD 1 -j @CHAIN_PREFIX@FORWARD
-I OUTPUT 1 -j @CHAIN_PREFIX@OUTPUT
COMMIT
END
}

# drop_all: with the first tool that works; one of nft's shuts both families
drop_all() {
  drop_nft 2>/dev/null && return 0
  for family in $(families); do
    for kind in '' -nft -legacy; do
      drop_iptables "$family$kind" 2>/dev/null && continue 2
    done
    return 1
  done
}

# no_network: no route for anybody, and no interface up but lo
no_network() {
  mkdir -p "$run" 2>/dev/null
  fresh "$run/no-network" && echo 2>/dev/null >"$run/no-network"
  if has ip; then
    for family in -6 -4; do
      bounded "$patience" ip $family rule del pref 1 prohibit 2>/dev/null
      bounded "$patience" ip $family rule add pref 1 prohibit
    done
  fi
  # Of this network namespace alone, which /sys may not be.
  sed -n 's/^ *\([^: ]*\):.*/\1/p' /proc/net/dev | while read -r device; do
    [ "$device" != lo ] || continue
    bounded "$patience" ip link set dev "$device" down 2>/dev/null || ifconfig "$device" down
  done
}

reopen() {
  rm -f "$problem" "$motd"
  [ -e "$run/no-network" ] || return 0
  for family in -6 -4; do bounded "$patience" ip $family rule del pref 1 prohibit; done
  rm -f "$run/no-network"
}

# Live tunnels and our rules: this is no boot, and the base alone would cut the tunnels off.
in_use() {
  # The restored rules replace every rule of iptables; nft's are still our own.
  if [ "$restored" = yes ] && [ ! -e "$state/base.nft" ]; then return 1; fi
  for tunnel in '@TUNNELS@'/*; do
    [ -e "$tunnel" ] || continue
    bounded "$patience" nft list table inet '@NFT_TABLE@' >/dev/null 2>&1 && return 0
    bounded "$patience" iptables-save -t filter 2>/dev/null | grep -q '^-A OUTPUT -j @CHAIN_PREFIX@OUTPUT$' && return 0
  done
  return 1
}

load() {
  # Only these very words of root's count: a record that is lost or damaged does not open.
  if believed '@PLAIN_RECORD@' && [ "$(cat '@PLAIN_RECORD@')" = unlocked ]; then return 0; fi
  if in_use; then
    echo 'ovpn-killswitch: the rules are in use: left as they are' >&2
    return 0
  fi
  if why=$(base 2>&1); then
    reopen
    return 0
  fi
  why=$(printf %s "$why" | tr '\n\t' '  ' | cut -c1-300)
  if drop_all; then
    loud "the base rules could not be loaded ($why). EVERYTHING is dropped, the VPN too. To fix: sudo ovpn-killswitch lock"
    return 0
  fi
  no_network
  loud "no rules could be loaded ($why), so the network is off. To fix: install nftables or iptables, then: sudo ovpn-killswitch lock"
  return 1
}

flushed() {
  [ -e "$state/base.hold" ] || return 0
  for tool in $(families); do
    bounded "$patience" "$tool-save" 2>/dev/null | grep -q '^-A OUTPUT -j @CHAIN_PREFIX@OUTPUT$' && continue
    why=$(base 2>&1) && return 0
    loud "nftables.service has flushed the rules, and they could not be loaded again ($why). No tunnel passes. To fix: sudo ovpn-killswitch lock"
    return 1
  done
  # Rules of iptables-legacy, which nft does not touch, or "watch" was faster.
  bounded "$patience" nft delete table inet '@NFT_TABLE@'
}

apply_sysctls() {
  believed "$sysctls" || { echo "boot: $sysctls is missing, or non-root users can change it" >&2; return 1; }
  failed=0
  while read -r key _ value; do
    # The leading "-" is sysctl.d(5)'s word for: if it is there.
    path=/proc/sys/${key#-}
    case $key in -net/*) [ -e "$path" ] || continue ;; *) continue ;; esac
    if ! echo "$value" >"$path"; then
      echo "boot: $path cannot be set" >&2
      failed=1
    fi
  done <"$sysctls"
  return "$failed"
}

if [ "$(id -u)" != 0 ]; then
  echo "boot: this needs root: sudo $0" >&2
  exit "$denied"
fi
# A redirection that fails ends a shell at "exec" and ":" (POSIX, special built-ins): nothing of /run may keep the rules from being loaded.
own_run
if [ -w "$run" ] && has flock && own_lock; then
  exec 9>>'@LOCK@'
  flock -w 20 9
fi
# The rules change here: "route-up" of a connection that is being made has to look at them.
rm -f '@TOLD@' 2>/dev/null
restored=no
if [ "${1:-}" = --restored ]; then restored=yes; fi
case ${1:-} in
  '' | --restored)
    rm -f '@BOOT_DONE@'
    load || exit
    # Network managers look for it before they start.
    mkdir -p "$run"
    fresh '@BOOT_DONE@' && echo >'@BOOT_DONE@'
    # Removes the lines that a tunnel of the last session left in /etc/resolv.conf. It waits for the lock itself.
    exec 9>&-
    [ ! -x "$recover" ] || "$recover" resolvers || echo "boot: could not restore the system's resolvers" >&2
    exit 0
    ;;
  --sysctl) apply_sysctls ;;
  --flushed) flushed ;;
  --reopen) reopen ;;
  *) echo "boot: unknown: $1" >&2; exit "$misused" ;;
esac

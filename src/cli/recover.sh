#!/bin/sh
# Opens a machine that ovpn-killswitch has locked: removes its rules, in nftables and in every kind of iptables that is installed,
# restores the chain policies and the system's resolvers, and removes what loads the rules at boot. Needs nothing but this file: no Node,
# no network, nothing of the package. Run it as often as you like.
#   recover                    opens
#   recover resolvers          restores only the resolvers, as after a power cut: the rules stay
#   recover --boot-off NAME…   takes away only these: systemd, netfilter-persistent, sysconfig, openrc; nftables and
#                              nftables-now, its drop-ins; sysctl; and watch
# Exit status: 0 nothing of ours is left. 1 rules are left, and may keep this machine shut. 71 a tool could not be
# asked, so nobody knows. 73 the machine is open, but something else is left. Each thing that is left has its line.
# shellcheck disable=SC2123
PATH='@PROGRAMS@'
LC_ALL=C
export PATH LC_ALL
# Files that it makes are for root alone to write, whatever the caller's umask.
umask 022
state='@STATE@'
run='@RUN@'
dns='@RESOLVERS_NOTED@'
tables='@TABLES@'
builtins='@BUILTINS@'
sysconfigs='@SYSCONFIG_FILES@'
resolvers_kept='@RESOLVERS_KEPT@'
kept_files='@KEPT_FILES@'
left=0
told=0
stuck=0
# Exit statuses: src/errors.ts has the same.
rules='@EXIT_FAILED@'
misused='@EXIT_USAGE@'
unknown='@EXIT_KERNEL@'
files='@EXIT_FILES@'
denied='@EXIT_PERMISSION@'

if [ "$(id -u)" != 0 ]; then
  echo "recover: this needs root: sudo $0" >&2
  exit "$denied"
fi

case $*:$# in
  :0 | resolvers:1 | --boot-off\ *) ;;
  *) echo 'recover: the only arguments are: resolvers, or --boot-off NAME…' >&2; exit "$misused" ;;
esac

say() { echo "recover: $*"; }

#include ../boot/bounded.sh

#include ../boot/roots.sh

#include ../boot/own-lock.sh

# Seconds that a tool may take: longer than it waits for the lock of xtables.
patience=8
hung=
input=

# ask TOOL ARG…: runs a tool with $input; what it says is in $said. One that had to be stopped is not asked again.
ask() {
  case " $hung " in *" $1 "*) said="$1 does not end"; return 124 ;; esac
  said=$(printf '%s' "$input" | bounded "$patience" "$@" 2>&1)
  asked=$?
  input=
  if stopped "$asked"; then
    hung="$hung $1"
    said="$1 was stopped after $patience s"
    asked=124
  fi
  return "$asked"
}

# why: the first line that the last tool said
why() { printf '%s\n' "$said" | sed -n '1p' | tr -d '\000-\037\177' | cut -c1-200; }

# remains KIND TEXT: one thing that is left; the worst kind becomes the exit status
remains() {
  told=$((told + 1))
  echo "recover: LEFT: $2" >&2
  case $1:$left in
    rules:*) left=$rules ;;
    unknown:0 | unknown:"$files") left=$unknown ;;
    files:0) left=$files ;;
  esac
}

# drop FILE…: removes files, and says which are still there
drop() {
  rm -f "$@" 2>/dev/null
  for dropped; do
    if [ -e "$dropped" ] || [ -L "$dropped" ]; then remains files "$dropped cannot be removed"; fi
  done
}

has() { command -v "$1" >/dev/null 2>&1; }

# given FILE: whether there is something of ours to read. A file that non-root users can change is named, and stays.
given() {
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then return 1; fi
  believed "$1" && return 0
  # shellcheck disable=SC2046
  set -- "$1" $(ls -ldn "$1" 2>/dev/null)
  remains files "$1 is not read: non-root users can change it, or a folder above it (it is ${2:-there}, uid ${4:-unknown}). Look at it, then: sudo rm -r $1"
  return 1
}

# writable FILE: whether FILE can be written by its path: it is no link, FIFO or device, and only root decides about its folder
writable() {
  if [ -e "$1" ] || [ -L "$1" ]; then [ -f "$1" ] && [ ! -L "$1" ] || return 1; fi
  roots "${1%/*}"
}

systemd_off() {
  found=
  for path in '@UNITS@/@UNIT@' '@UNITS@/@EARLY_UNIT@' '@UNITS@'/*.d/'@DROP_IN@'; do
    case $path in '@NFTABLES_DROP_IN@') continue ;; esac
    if [ ! -e "$path" ] && [ ! -L "$path" ]; then continue; fi
    found=yes
    drop "$path"
    case $path in *.d/*) rmdir "${path%/*}" 2>/dev/null ;; esac
  done
  if [ -z "$found" ] || [ ! -d '@SYSTEMD@' ]; then return 0; fi
  ask systemctl daemon-reload
  # They would stay active without a file. Alone: a stop would take with it a unit that still requires them, as docker may by a drop-in of the examples.
  for name in '@UNIT@' '@EARLY_UNIT@'; do
    ask systemctl --job-mode=ignore-dependencies stop "$name"
  done
  return 0
}

# nftables_off DROP-IN: what has nftables.service load the base. A systemd that cannot be told has it load what is not there any more: nothing.
nftables_off() {
  if [ ! -e "$1" ]; then return 0; fi
  drop "$1"
  rmdir "${1%/*}" 2>/dev/null
  if [ -d '@SYSTEMD@' ]; then ask systemctl daemon-reload || say "systemd did not read its units again: $(why)" >&2; fi
}

netfilter_persistent_off() { drop '@PLUGIN_FILE@'; }

openrc_off() {
  [ -e '/etc/init.d/@SERVICE@' ] || return 0
  rm -f /etc/runlevels/*/'@SERVICE@' '/etc/init.d/@SERVICE@'
  if command -v rc-update >/dev/null 2>&1; then ask rc-update -u; fi
}

# Restores each file that is still as we wrote it; from a file that somebody has saved since, our lines go.
sysconfig_off() {
  for name in $sysconfigs; do
    ours='@SYSCONFIG_KEPT@'/$name.ours
    file='@SYSCONFIG@'/$name
    given "$ours" || continue
    writable "$file" || { remains files "$file stays as it is: non-root users decide about its folder, or it is no file"; continue; }
    if cmp -s "$ours" "$file"; then
      if [ ! -e "$ours.before" ]; then drop "$file"
      elif given "$ours.before"; then cat "$ours.before" >"$file" || remains files "$file still holds our rules: it cannot be written"
      else continue
      fi
    elif [ "${name%-config}" != "$name" ]; then
      say "$file was changed since: look at its lines IPTABLES_SAVE_ON_STOP and IPTABLES_SAVE_ON_RESTART yourself" >&2
    elif grep -Eq -e '@OUR_LINE@' "$file" 2>/dev/null; then
      kept=$(sed -E -e '/@OUR_LINE@/d' -e 's/@OUR_POLICY@/:\1 ACCEPT/' "$file")
      printf '%s\n' "$kept" >"$file"
      say "$file was changed since: our lines are out of it and its policies are ACCEPT, the rest is as it was saved" >&2
    fi
    rm -f "$ours" "$ours.before"
  done
}

# Kernel settings as they were: those that another program has changed since stay.
sysctl_off() {
  drop '@SYSCTL_FILE@'
  given '@SYSCTL_BEFORE@' || return 0
  # First look at all: the settings for "all" change others.
  back=$(while read -r key ours before; do
    case $key in *..*) continue ;; esac
    if [ "$(cat "/proc/sys/$key" 2>/dev/null)" = "$ours" ]; then echo "$key $before"; fi
  done <'@SYSCTL_BEFORE@')
  printf '%s\n' "$back" | while read -r key before; do
    [ -z "$key" ] || echo "$before" >"/proc/sys/$key"
  done
  rm -f '@SYSCTL_BEFORE@'
}

# The service that would put the rules back.
watch_off() {
  name='@WATCH_SERVICE@'
  units='@UNITS@'
  if [ -e "$units/$name.service" ] || [ -e "$units/multi-user.target.d/$name.conf" ]; then
    if [ -d '@SYSTEMD@' ]; then ask systemctl stop "$name.service"; fi
    drop "$units/$name.service" "$units/multi-user.target.d/$name.conf"
    rmdir "$units/multi-user.target.d" 2>/dev/null
    if [ -d '@SYSTEMD@' ]; then ask systemctl daemon-reload; fi
  fi
  if [ -e "/etc/init.d/$name" ]; then
    # Nobody who must get out waits for a supervisor that hangs.
    if command -v rc-service >/dev/null 2>&1; then ask rc-service "$name" stop; fi
    rm -f /etc/runlevels/*/"$name" "/etc/init.d/$name"
    if command -v rc-update >/dev/null 2>&1; then ask rc-update -u; fi
  fi
}

boot_off() {
  for name; do
    case $name in
      systemd) systemd_off ;;
      netfilter-persistent) netfilter_persistent_off ;;
      openrc) openrc_off ;;
      sysconfig) sysconfig_off ;;
      nftables) nftables_off '@NFTABLES_DROP_IN@' ;;
      nftables-now) nftables_off '@NFTABLES_DROP_IN_NOW@' ;;
      sysctl) sysctl_off ;;
      watch) watch_off ;;
      *) say "nothing of ours is called $name" >&2; return "$misused" ;;
    esac
  done
}

if [ "${1:-}" = --boot-off ]; then
  shift
  boot_off "$@" || exit
  exit "$left"
fi

recorded=no
if [ "${1:-}" != resolvers ] && given '@POLICIES_BEFORE@' && [ -s '@POLICIES_BEFORE@' ]; then recorded=yes; fi

# policies FAMILY: the chain policies from before the lock, as iptables-restore lines
policies() {
  if [ "$recorded" = yes ]; then
    while read -r family chain policy; do
      [ "$family" = "$1" ] && echo ":$chain $policy [0:0]"
    done < '@POLICIES_BEFORE@'
  else
    printf ':INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n'
  fi
}

# section TABLE: the lines of a table in $saved
section() { printf '%s\n' "$saved" | sed -n "/^\*$1\$/,/^COMMIT\$/p"; }

# save TOOL: its listing in $saved. Fails when it does not show what our tables hold: iptables-nft that meets a
# native rule names the table in a comment and ends with 0, or stops in the middle of it.
save() {
  ask "$1-save" || return 1
  saved=$said
  for table in $tables; do
    case $saved in *"# Table \`$table' is incompatible"*) said="$1-save cannot read the table $table"; return 1 ;; esac
    [ "$(section "$table" | sed -n '$p')" = COMMIT ] || [ -z "$(section "$table")" ] || { said="$1-save stops inside the table $table"; return 1; }
  done
}

# ours TABLE: our chains and jumps in $saved
ours() { section "$1" | sed -n -e 's/^:\(@CHAIN_PREFIX@[^ ]*\) .*/chain \1/p' -e 's/^-A \([A-Z]* -j @CHAIN_PREFIX@[A-Z]*\)$/jump \1/p'; }

# open_table FAMILY TOOL TABLE: one restore script that removes our jumps and chains
open_table() {
  found=$(ours "$3")
  chains=$(printf '%s\n' "$found" | sed -n 's/^chain //p')
  # Chains that somebody flushed leave the policies behind: those are restored too, where the record says that we set them.
  if [ -z "$found" ]; then
    case $3:$2 in filter:iptables | filter:ip6tables) [ "$recorded" = yes ] || return 0 ;; *) return 0 ;; esac
  fi
  script=$(
    echo "*$3"
    if [ "$3" = filter ]; then policies "$1"; fi
    for chain in $chains; do echo ":$chain - [0:0]"; done
    printf '%s\n' "$found" | sed -n 's/^jump /-D /p'
  )
  removal=$(for chain in $chains; do echo "-X $chain"; done)
  for last in "$removal" ''; do
    # The second time the chains stay, empty: a rule of somebody else may jump to one of them.
    input="$script
$last
COMMIT
"
    ask "$2-restore" --noflush -w 5 && break
  done
  because=$(why)
  touched=yes
}

# open FAMILY TOOL
open() {
  has "$2-save" && has "$2-restore" || return 0
  asked_iptables=yes
  save "$2" || { unread="$unread $1:$2"; reason=$(why); say "$2: $reason" >&2; return 0; }
  touched=
  for table in $tables; do open_table "$1" "$2" "$table"; done
  [ -n "$touched" ] || return 0
  save "$2" || { unread="$unread $1:$2"; return 0; }
  before=$told
  for table in $tables; do
    found=$(ours "$table")
    case $found in
      '') ;;
      *jump*) remains rules "$2: chains of ours in the table $table ($because)" ;;
      *) remains files "$2: empty chains of ours in the table $table, which another rule uses" ;;
    esac
  done
  policies "$1" | while read -r policy; do
    section filter | grep -q "^${policy% *} " || echo "$policy"
  done | grep -q . && [ -n "$(section filter)" ] && remains rules "$2: chain policies of the table filter that are not what they were"
  [ "$told" != "$before" ] || say "$2: nothing of ours is left"
}

# native_script FAMILY TABLE: what takes our part out of the table of iptables-nft that is in $listed
native_script() {
  of=ip
  if [ "$1" = ipv6 ]; then of=ip6; fi
  if [ "$2" = filter ]; then
    policies "$1" | while read -r chain policy _; do
      chain=${chain#:}
      printf '%s\n' "$listed" | grep -A1 "^	chain $chain {" | grep -q 'type filter hook' || continue
      echo "add chain $of $2 $chain { policy $(printf %s "$policy" | tr '[:upper:]' '[:lower:]'); }"
    done
  fi
  chain=
  printf '%s\n' "$listed" | while read -r first second rest; do
    if [ "$first" = chain ]; then chain=$second; continue; fi
    case $chain in @CHAIN_PREFIX@*) continue ;; esac
    case "$first $second $rest" in
      *'jump @CHAIN_PREFIX@'*' # handle '* | *'goto @CHAIN_PREFIX@'*' # handle '*) echo "delete rule $of $2 $chain handle ${rest##* }" ;;
    esac
  done
  for verb in flush delete; do printf '%s\n' "$listed" | sed -n "s/^	chain \(@CHAIN_PREFIX@[^ ]*\) {.*/$verb chain $of $2 \1/p"; done
}

# open_native FAMILY TABLE: by nft, what iptables-nft cannot read or remove
open_native() {
  of=ip
  if [ "$1" = ipv6 ]; then of=ip6; fi
  ask nft -a list table "$of" "$2" || { case $said in *'No such file'*) ;; *) remains unknown "nft cannot read the table $of $2: $(why)" ;; esac; return 0; }
  listed=$said
  case "$listed" in
    *@CHAIN_PREFIX@*) ;;
    *) case $2$unread in filter*" $1:"*) [ "$recorded" = yes ] || return 0 ;; *) return 0 ;; esac ;;
  esac
  # One transaction, so that what fails leaves everything: then without the chains, which another rule may use.
  native=$(native_script "$1" "$2")
  input=$native
  ask nft -f - || { input=$(printf '%s\n' "$native" | grep -v '^delete chain'); ask nft -f - || :; }
  because=$(why)
  ask nft -a list table "$of" "$2" || { case $said in *'No such file'*) ;; *) remains unknown "nft cannot read the table $of $2: $(why)" ;; esac; return 0; }
  listed=$said
  before=$told
  case $(native_script "$1" "$2" | grep '^delete') in
    '') ;;
    *'delete rule'*) remains rules "jumps to chains of ours in the table $of $2 ($because)" ;;
    *) remains files "empty chains of ours in the table $of $2, which another rule uses" ;;
  esac
  if [ "$2" = filter ]; then
    policies "$1" | while read -r chain policy _; do
      case $policy in ACCEPT) printf '%s\n' "$listed" | grep -A1 "^	chain ${chain#:} {" | grep -q 'policy drop;' && echo shut ;; esac
    done | grep -q shut && remains rules "chain policies that drop in the table $of filter ($because)"
  fi
  [ "$told" != "$before" ] || say "nft (table $of $2): nothing of ours is left"
}

# open_unread FAMILY TOOL: without nft, what a tool cannot read: it may still commit
open_unread() {
  input="*filter
$(policies "$1")
COMMIT
"
  ask "$2-restore" --noflush -w 5
  for table in $tables; do
    for hook in $builtins; do
      input="*$table
-D $hook -j @CHAIN_PREFIX@$hook
COMMIT
"
      ask "$2-restore" --noflush -w 5
    done
  done
  remains unknown "$2 cannot read its rules, and nft cannot be asked: some of ours may be left"
}

open_nft() {
  nft_works=no
  has nft || return 0
  if ask nft list tables; then
    nft_works=yes
    printf '%s\n' "$said" | grep -qx 'table inet @NFT_TABLE@' || return 0
    ask nft delete table inet '@NFT_TABLE@'
    because=$(why)
    if ! ask nft list tables || printf '%s\n' "$said" | grep -qx 'table inet @NFT_TABLE@'; then
      remains rules "the table inet @NFT_TABLE@ of nft ($because)"
    else
      say 'nft: nothing of ours is left'
    fi
    return 0
  fi
  case $said in
    # A kernel without nf_tables holds nothing of it.
    *'Protocol not supported'* | *'Invalid argument'* | *'Operation not supported'*) [ -e "$state/base.nft" ] || return 0 ;;
  esac
  remains unknown "whether the table inet @NFT_TABLE@ is there: nft fails ($(why))"
}

# open_all: takes our rules away by every tool, each of which is asked again whether they are gone
open_all() {
  unread=
  asked_iptables=
  for kind in '' -nft -legacy; do
    # The content of this file has no size (proc(5)): it has to be read.
    [ "$kind" != -legacy ] || [ -n "$(cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null)" ] || continue
    open ipv6 "ip6tables$kind"
    open ipv4 "iptables$kind"
  done
  open_nft
  if [ "$nft_works" = yes ]; then
    for family in ipv6 ipv4; do
      for table in $tables; do open_native "$family" "$table"; done
    done
  fi
  for each in $unread; do
    tool=${each#*:}
    input=
    ask "$tool-restore" --version
    case $nft_works:$tool:$said in
      # nft has shown above what is in the tables of iptables-nft.
      yes:*-legacy:*) ;;
      yes:*nf_tables*) continue ;;
    esac
    open_unread "${each%%:*}" "$tool"
  done
  if [ -e "$state/base.nft" ] && ! has nft; then remains unknown 'the table inet @NFT_TABLE@: nft is not installed'; fi
  if [ -e "$state/base.v4" ] && [ -z "$asked_iptables" ] && [ "$nft_works" != yes ]; then
    remains unknown 'the chains @CHAIN_PREFIX@…: neither iptables nor nft can be asked'
  fi
}

# give_back_resolvers: each who was told of a tunnel's is told to forget them, and a file that we wrote becomes what it was.
give_back_resolvers() {
  if given "$dns/resolved"; then
    while IFS='	' read -r device link _; do
      [ "$(cat "@CLASS@/$device/ifindex" 2>/dev/null)" != "$link" ] || ask resolvectl revert "$device"
    done < "$dns/resolved"
  fi
  if [ -e "$dns/openresolv" ] || [ -e "$dns/resolvconf" ]; then ask resolvconf -d '@RESOLVCONF_RECORD@'; fi
  if given "$dns/networkmanager"; then
    drop "$(cat "$dns/networkmanager")"
    ask nmcli general reload conf
  fi
  for kept in $resolvers_kept; do
    given "$kept/place" || continue
    place=$(cat "$kept/place")
    [ -d "${place%/*}" ] || { rm -rf "$kept" 2>/dev/null; continue; }
    # An account that decides about its folder could lead us to any file, or to one that never ends.
    writable "$place" || { remains files "$place is not touched: non-root users decide about it or its folder. If it names the resolvers of a tunnel, write it anew"; continue; }
    case $(head -n 1 "$place" 2>/dev/null) in
      '@RESOLV_CONF_OURS@') ours=yes ;;
      *) ours=no; if given "$kept/written" && cmp -s "$place" "$kept/written"; then ours=yes; fi ;;
    esac
    # Written in place, so that owner, mode and mounts stay.
    if [ "$ours" = no ]; then :
    elif [ -e "$kept/before" ]; then (given "$kept/before" && cat "$kept/before" > "$place") 2>/dev/null || { remains files "$place still names the resolvers of a tunnel: it cannot be written"; stuck=1; continue; }
    else drop "$place"
    fi
    rm -rf "$kept" 2>/dev/null
  done
  if [ "$stuck" = 0 ] && [ -d "$dns" ] && roots "$dns"; then rm -rf "$dns" 2>/dev/null; fi
}

# unpin: the pinned names of VPN servers go out of the hosts file, by the rule for markers that the commands use
unpin() {
  # Through links of root's; what others have led elsewhere is not opened.
  hosts=$(readlink -f '@HOSTS@') && [ -e "$hosts" ] || return 0
  writable "$hosts" || { remains files "$hosts is not touched: non-root users decide about its folder, or it is no file. Remove our lines by hand"; return 0; }
  grep -q '^@BLOCK_OPENS@' "$hosts" 2>/dev/null || grep -qx '@BLOCK_CLOSES@' "$hosts" 2>/dev/null || return 0
  if [ "$(tr -d '\000' < "$hosts" | wc -c)" != "$(wc -c < "$hosts")" ]; then
    remains files "$hosts still pins the names of VPN servers: it holds NUL bytes, which a shell would lose. Remove the lines of ovpn-killswitch by hand"
    return 0
  fi
  ends=yes
  [ -z "$(tail -c 1 "$hosts")" ] || ends=no
  if ! kept=$(awk -v ends="$ends" '
    BEGIN { place = "outside"; @MARKER_RULE@ }
    {
      line[NR] = $0
      bare = $0
      sub(/\r$/, "", bare)
      mark = ""
      if (index(bare, "@BLOCK_OPENS@") == 1) mark = "opens"
      else if (bare == "@BLOCK_CLOSES@") mark = "closes"
      inside = place == "inside"
      if (mark != "") place = rule[place " " mark]
      if (place == "damaged") exit
      if (mark == "opens") joined = bare == "@BLOCK_OPENS_JOINED@"
      if (inside || mark != "") gone[NR] = 1
      else joined = 0
    }
    END {
      if (place != "outside") exit 3
      for (each = 1; each <= NR; each++) if (!(each in gone)) last = each
      for (each = 1; each <= NR; each++)
        if (!(each in gone)) printf "%s%s", line[each], each == last && (joined || (each == NR && ends == "no")) ? "" : "\n"
      printf "."
    }' "$hosts" 2>/dev/null); then
    remains files "$hosts stays as it is: its lines between \"@BLOCK_OPENS@\" and \"@BLOCK_CLOSES@\" have no beginning or no end. Remove ours by hand"
    return 0
  fi
  # Written in place, so that owner, mode and mounts stay.
  (printf '%s' "${kept%.}" > "$hosts") 2>/dev/null || remains files "$hosts still pins the names of VPN servers: it cannot be written"
}

# keep FILE TEXT: writes a record beside its place and renames it into it
keep() { fresh "$1.recover" && (printf '%s\n' "$2" >"$1.recover" && mv -f "$1.recover" "$1") 2>/dev/null; }

# record: hooks then leave the firewall alone until the next lock. A machine that never had the product gets no record.
record() {
  [ -d "$state" ] || { [ -d '@LIBRARY@' ] && mkdir -p "$state" 2>/dev/null; } || return 0
  roots "$state" || { remains files "$state can be changed by non-root users, so nothing in it was read or written: no rule of ours is in the kernel now, and a reboot loads them again. Look at what is in it, then: sudo chown root:root $state; sudo chmod go-w $state; and run this again"; return 1; }
  # The files that a hook reads go last: a machine whose record says locked keeps all that a lock needs.
  if keep '@PLAIN_RECORD@' unlocked &&
    keep '@LOCK_RECORD@' "$(printf '{"version":1,"locked":false,"since":%s,"backend":"nftables","before":[]}' "$(date +%s)")"; then
    return 0
  fi
  rm -f '@PLAIN_RECORD@.recover' '@LOCK_RECORD@.recover' 2>/dev/null
  remains files "$state says that this machine is locked, and cannot be written: no rule of ours is in the kernel, and the next hook of a VPN, \"watch\" or a reboot locks it again. Make it writable and run this again"
  return 1
}

# A hook that runs meanwhile would load its rules again: it waits for the same lock, and then finds the machine unlocked.
# A redirection that fails, as where /run is full, would end this shell at "exec".
own_run
if [ -w "$run" ] && has flock && own_lock; then
  exec 9>>'@LOCK@'
  flock -w 20 9 || say 'somebody holds the lock for 20 seconds: going on without it' >&2
fi

if [ "${1:-}" = resolvers ]; then
  give_back_resolvers
  [ "$left" = 0 ] || exit "$rules"
  exit "$stuck"
fi

# CAP_NET_ADMIN (linux/capability.h): without it every tool fails, and nothing is known.
mask=$(sed -n 's/^CapEff:[[:space:]]*[0-9a-f]*\([0-9a-f]\{4\}\)$/\1/p' /proc/self/status 2>/dev/null)
if [ -n "$mask" ] && [ $((0x$mask & 0x1000)) = 0 ]; then
  echo 'recover: this process may not change packet filters (CAP_NET_ADMIN is missing): nothing was changed' >&2
  exit "$denied"
fi

watch_off
rm -f '@TOLD@' 2>/dev/null
open_all

# Undoes the work of the boot script on a machine without a tool that loads rules.
if [ -e "$run/no-network" ]; then
  for family in -6 -4; do ask ip $family rule del pref 1 prohibit; done
  say 'interfaces that were set down stay down: start your network again, or restart the machine' >&2
fi
rm -f "$run/no-network" '@BOOT_PROBLEM@' /run/motd.d/ovpn-killswitch 2>/dev/null

# Builtin chains that iptables made for us, and their table, when nobody uses them by now: what nft lists of an empty one is five lines.
if given '@CHAINS_MADE@' && [ "$nft_works" = yes ]; then
  while read -r family chain table; do
    table=${table:-filter}
    of=ip
    if [ "$family" = ipv6 ]; then of=ip6; fi
    ask nft list chain $of "$table" "$chain" || continue
    case $said in *'policy accept;'*) ;; *) continue ;; esac
    if [ "$(printf '%s\n' "$said" | wc -l)" = 5 ]; then ask nft delete chain $of "$table" "$chain"; fi
  done <'@CHAINS_MADE@'
  for table in $tables; do
    for of in ip ip6; do
      ask nft list table $of "$table" || continue
      if [ "$(printf '%s\n' "$said" | wc -l)" = 2 ]; then ask nft delete table $of "$table"; fi
    done
  done
fi

unpin
give_back_resolvers

case $left in "$rules" | "$unknown")
  say 'the boot setup, the record and the base rules stay as they are' >&2
  exit "$left"
esac
if record; then
  boot_off systemd nftables nftables-now netfilter-persistent sysconfig openrc sysctl
  for file in $kept_files; do drop "$state/$file"; done
  drop '@POLICIES_BEFORE@' '@CHAINS_MADE@'
  rm -rf '@BOOT_FOLDER@' 2>/dev/null
  # Sessions that were open under that lock are none of the next one's.
  rm -f '@SSH_SESSIONS@' 2>/dev/null
  rm -rf '@TRIAL@' 2>/dev/null
  say 'done: nothing is guarded until the next "ovpn-killswitch lock".'
else
  say 'no rule of ours is in the kernel now.'
fi
# A package that was removed while the machine was locked has left this script and the one of the boot. Once purged, nothing needs the record.
if [ "$left" = 0 ] && believed '@LIBRARY@/@REMOVED@'; then
  if [ "$(cat '@LIBRARY@/@REMOVED@')" = purged ]; then rm -rf "$state" "$run"; fi
  rm -f '@LIBRARY@/boot' '@LIBRARY@/recover' '@LIBRARY@/@REMOVED@'
  rmdir '@LIBRARY@' 2>/dev/null
fi
exit "$left"

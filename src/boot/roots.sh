# shellcheck shell=sh
# Included in the plain scripts by the build: trusts a path only where root alone can change it. The code asks the same of each path (src/host/follow.ts).

# In a user namespace with root alone "/" belongs to the overflow account, which counts as root then.
# shellcheck disable=SC2046
overflow=$(set -- $(ls -ldn /); [ "${3:-}" != 65534 ] || echo 65534)

# roots_way PATH: whether PATH and each folder above it are root's, and nobody else may write to them
roots_way() {
  way=$1
  while :; do
    # shellcheck disable=SC2046
    set -- $(ls -ldn "${way:-/}" 2>/dev/null)
    case ${1:-}:${3:-} in
      l*:0 | l*:"${overflow:-0}") ;;
      ?????[!w]??[!w]*:0 | ?????[!w]??[!w]*:"${overflow:-0}") ;;
      *) return 1 ;;
    esac
    [ -n "$way" ] || return 0
    way=${way%/*}
  done
}

# roots PATH: whether root alone decides what is at PATH, through root's links too
roots() {
  real=$(readlink -f "$1" 2>/dev/null) && [ -n "$real" ] && roots_way "$1" && roots_way "${real%/}"
}

# believed FILE: whether there is a file that only root can have written. No other is opened: a FIFO would never end.
believed() { [ -f "$1" ] && roots "$1"; }

# own_run: puts the folder of the lock right. Entries that somebody put into it earlier are believed no more than ever.
# shellcheck disable=SC2154
own_run() {
  if [ -d "$run" ] && [ ! -L "$run" ] && roots "${run%/*}" && ! roots "$run"; then chown 0:0 "$run" && chmod 755 "$run"; fi
}

# aside FILE: takes away what has the name of a file of ours. A folder that somebody made is not gone through, only renamed.
aside() {
  if [ -d "$1" ] && [ ! -L "$1" ]; then mv "$1" "$1.wrong.$$"; else rm -f "$1"; fi
}

# fresh FILE: makes room for a file of ours in a folder of root's: no link that somebody left there is written through
fresh() { roots "${1%/*}" && aside "$1"; }

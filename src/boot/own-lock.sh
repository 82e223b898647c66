# shellcheck shell=sh
# own_lock: makes the lock's file for root alone. An account that can open it can hold it, and a wrong one may be held.
own_lock() {
  # shellcheck disable=SC2012,SC2046
  set -- $(ls -ldn '@LOCK@' 2>/dev/null)
  case ${1:-}:${2:-}:${3:-} in
    :: | -rw-------*:1:0) ;;
    *) aside '@LOCK@' ;;
  esac
  (umask 077 && : >>'@LOCK@') 2>/dev/null
}

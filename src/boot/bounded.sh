# shellcheck shell=sh
# Included in the plain scripts by the build.

# stopped STATUS: whether a command was stopped at its limit; timeout(1) of coreutils and of busybox differ
stopped() { case $1 in 124 | 137 | 143) return 0 ;; *) return 1 ;; esac; }

limiter=own
if timeout -k 1 5 true 2>/dev/null; then limiter=timeout; fi

# bounded SECONDS COMMAND…: runs a command, and stops it after so many seconds
bounded() {
  if [ "$limiter" = timeout ]; then
    timeout -k 1 "$@" 9>&-
    return
  fi
  limit=$1
  shift
  # The shell gives a command in the background /dev/null as its input, unless a descriptor is named.
  { "$@" <&8 8<&- 9>&- & } 8<&0
  bounded=$!
  { sleep "$limit"; kill -9 "$bounded"; } >/dev/null 2>&1 9>&- &
  guard=$!
  wait "$bounded"
  ended=$?
  kill "$guard" 2>/dev/null
  return "$ended"
}

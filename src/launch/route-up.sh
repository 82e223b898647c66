#!/bin/sh
# ovpn-killswitch: ends at once where `up` has done all that this hook would do: OpenVPN waits for it, and has told
# `up` the same (openvpn init.c, do_route). Told otherwise, or after any other transaction, the hook itself runs.
# shellcheck disable=SC2123
if [ $# = 0 ] && [ -O '@TOLD@' ] && (
  PATH='@PROGRAMS@'
  LC_ALL=C
  export PATH LC_ALL
  {
    grep -zaE '@TOLD_NAMES@' "/proc/$$/environ"
    cat '@LAST@'
  } 2>/dev/null | cmp -s - '@TOLD@'
); then
  exit 0
fi
# A shell adds these variables to an environment: no caller set them.
unset PWD OLDPWD SHLVL
exec '@LIBRARY@/route-up.js' "$@"

# shellcheck shell=sh
# refuse_before_a_timer: fails where a timer needs the command of this package; needs locked.sh
refuse_before_a_timer() {
  timed || return 0
  echo 'ovpn-killswitch: a timer is still to lock this machine, to open it or to close a portal, and it needs this package. Nothing was removed.' >&2
  echo 'To see which: sudo ovpn-killswitch status. Wait for it, or decide now, then remove the package again: sudo ovpn-killswitch lock, confirm or unlock' >&2
  return 1
}

# shellcheck shell=sh
# after_removal WORD: once it is removed; needs locked.sh. The word says what "recover" takes away at its end: purged, with the state; removed, without.
after_removal() {
  # Left where an installation from source became part of the package.
  for each in /usr/local/lib/ovpn-killswitch /usr/local/sbin/ovpn-killswitch; do if [ -L "$each" ]; then rm -f "$each"; fi; done
  for each in boot recover; do
    if [ -e '@LIBRARY@'/$each.kept ]; then mv '@LIBRARY@'/$each.kept '@LIBRARY@'/$each; fi
  done
  if locked; then
    echo "$1" >'@LIBRARY@/@REMOVED@'
    echo 'ovpn-killswitch: this machine stays LOCKED. Its rules stay, and so does what loads them at boot.' >&2
    echo 'To open it: sudo @LIBRARY@/recover. To use the VPN again: install the package again.' >&2
  fi
  [ ! -e '@STATE@/attached.json' ] || echo 'ovpn-killswitch: a profile that names its hooks does not start now. Its lines between the markers of ovpn-killswitch can be deleted.' >&2
}

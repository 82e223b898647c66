# shellcheck shell=sh
# leave_nothing: where a package manager knows no purge; needs locked.sh. The settings are the manager's.
leave_nothing() {
  rm -f /var/log/ovpn-killswitch.log /var/log/ovpn-killswitch.log.*
  locked || rm -rf '@LIBRARY@' '@STATE@' '@RUN@'
}

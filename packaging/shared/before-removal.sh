# shellcheck shell=sh
# before_removal: where a package is about to be removed; needs locked.sh
before_removal() {
  if locked; then
    # The scripts that open this machine and keep it shut after a boot outlive the package: after-removal.sh renames them back.
    for each in boot recover; do cp -p '@LIBRARY@'/$each '@LIBRARY@'/$each.kept; done
    '@LIBRARY@/recover' --boot-off watch
  else
    # Nothing is loaded: what calls programs of the package goes.
    '@LIBRARY@/recover' --boot-off watch systemd nftables nftables-now netfilter-persistent sysconfig openrc sysctl
    rm -rf '@BOOT_FOLDER@'
  fi
  for each in '' pre-up.d/ pre-down.d/; do rm -f "/etc/NetworkManager/dispatcher.d/${each}00-ovpn-killswitch"; done
  # The files that "install" has made.
  for each in hooks/up hooks/down hooks/nm-dispatcher route-up.js node; do rm -f '@LIBRARY@'/$each; done
  rm -f '@LIBRARY@'/hooks-*.cache
}

#!/bin/sh
# ovpn-killswitch: hands the events of VPN connections to the hook. NetworkManager runs this for every event of every interface, so whatever
# concerns no tunnel ends here, before anything is started.

concerns() { # concerns INTERFACE ACTION
  case $2 in
    vpn-pre-up | vpn-up | vpn-pre-down | vpn-down) return 0 ;;
    up | down) [ -n "$1" ] && [ -e "@CONNECTIONS@/$1" ] && return 0 ;;
  esac
  # A tunnel whose device is gone: a crash is not reported, but something else is, sooner or later.
  for tunnel in '@TUNNELS@'/*; do
    [ ! -e "$tunnel" ] || [ -e "@CLASS@/${tunnel##*/}" ] || return 0
  done
  return 1
}

concerns "$1" "$2" || exit 0
exec '@LIBRARY@/hooks/nm-dispatcher' "$@"

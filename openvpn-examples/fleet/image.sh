#!/bin/sh
# Prepares the image in a folder, from outside of it: sh image.sh /var/lib/machines/new
# The image needs Node. Nothing of the running system is changed. my-vpn.conf holds the lines of the
# hooks already, as the profiles in openvpn-examples do: attach has no --root.
set -eu
image=$1
ovpn-killswitch install --root "$image"
install -D -m 644 killswitch.env "$image/etc/ovpn-killswitch/killswitch.env"
install -D -m 600 my-vpn.conf "$image/etc/openvpn/client/my-vpn.conf"
ovpn-killswitch boot enable --root "$image"

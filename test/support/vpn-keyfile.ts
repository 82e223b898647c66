export interface VpnKeyfile {
  readonly uuid: string;
  readonly name?: string;
  readonly remote?: string;
  /** The last part of the plugin's D-Bus name. */
  readonly plugin?: string;
}

/** A VPN connection as NetworkManager keeps it (nm-settings-keyfile(5)). */
export function vpnKeyfile({
  uuid,
  name = 'Office',
  remote = '203.0.113.10',
  plugin = 'openvpn',
}: VpnKeyfile): string {
  return `[connection]\nid=${name}\nuuid=${uuid}\ntype=vpn\n\n[vpn]\nservice-type=org.freedesktop.NetworkManager.${plugin}\nremote=${remote}\n`;
}

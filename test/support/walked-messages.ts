/**
 * Messages that speak of the rules or of whether the machine is locked, as they stand in the code
 * (values are `…`). test/lab/messages.test.ts brings each about, and holds it against the kernel.
 */
export const WALKED: readonly string[] = [
  'Locked: ….',
  '… in … s, unless you run: ovpn-killswitch confirm',
  'No endpoint is known, so no VPN can connect: name one in KILLSWITCH_ENDPOINTS, or an address in the remote line of a profile.',
  'Unlocked: nothing is guarded ….',
  'Nothing of ours was loaded: nothing is guarded.',
  'Removed: the rules, the hooks, the command, the settings and everything kept. Nothing is guarded.',
  'Removed: the rules, and every file but those named LEFT. Nothing is guarded.',
  'LEFT: … cannot be removed',
  'The base rules are loaded at boot by ….',
  'Rules are loaded now, but nothing says that this machine is locked: it boots open until you run "ovpn-killswitch lock".',
  'This machine is not locked now: it boots open until you run "ovpn-killswitch lock".',
  'Nothing of ours was loaded at boot.',
  'Nothing of ours is loaded at boot any more: after a reboot nothing is guarded.',
  '…: chains of ours in the table … (…)',
  '…: empty chains of ours in the table …, which another rule uses',
  '…: chain policies of the table filter that are not what they were',
  '…: nothing of ours is left',
  'nft cannot read the table … …: …',
  'jumps to chains of ours in the table … … (…)',
  'empty chains of ours in the table … …, which another rule uses',
  'chain policies that drop in the table … filter (…)',
  'nft (table … …): nothing of ours is left',
  '… cannot read its rules, and nft cannot be asked: some of ours may be left',
  'the table inet … of nft (…)',
  'nft: nothing of ours is left',
  'whether the table inet … is there: nft fails (…)',
  'the table inet …: nft is not installed',
  'the chains ……: neither iptables nor nft can be asked',
  '… says that this machine is locked, and cannot be written: no rule of ours is in the kernel, and the next hook of a VPN, "watch" or a reboot locks it again. Make it writable and run this again',
  '… can be changed by non-root users, so nothing in it was read or written: no rule of ours is in the kernel now, and a reboot loads them again. Look at what is in it, then: sudo chown root:root …; sudo chmod go-w …; and run this again',
  'recover: this process may not change packet filters (CAP_NET_ADMIN is missing): nothing was changed',
  'the boot setup, the record and the base rules stay as they are',
  'done: nothing is guarded until the next "ovpn-killswitch lock".',
  'no rule of ours is in the kernel now.',
];

/** Messages that say nothing of the rules. */
export const OTHERS: readonly string[] = [
  'LEFT: the package and the settings. To remove them: …',
  '…',
  'neighbour: … …',
  'WARNING: …, also after a boot.',
  'Then run: ovpn-killswitch lock',
  'ended … offloaded connections, which pass no rule',
  'WARNING: connections in the flowtable … may go on in clear (…): …',
  'You are connected by SSH from …: this one session goes on, no other. Without it: --no-ssh',
  'You are connected by SSH from …: --no-ssh lets that session freeze, unless the LAN or a tunnel has it',
  "You are connected by SSH from …, but no sshd of root's has started this command, as in tmux: that session freezes, unless the LAN or a tunnel has it. Lock from outside of it to keep the session.",
  'endpoint …',
  'and … more endpoints',
  'name …',
  '…: detached',
  "NetworkManager's connection …: detached",
  'Hook lines that you wrote yourself, or profiles elsewhere, are still there: OpenVPN does not start while they name missing files.',
  'Remove also the drop-ins for systemd that you copied from our examples: the unit that they require is gone.',
  '/proc/sys/… is …',
  'problem: …',
  'recover: this needs root: sudo …',
  'recover: the only arguments are: resolvers, or --boot-off NAME…',
  '… cannot be removed',
  '… is not read: non-root users can change it, or a folder above it (it is …, uid …). Look at it, then: sudo rm -r …',
  'systemd did not read its units again: …',
  '… stays as it is: non-root users decide about its folder, or it is no file',
  '… still holds our rules: it cannot be written',
  '… was changed since: look at its lines IPTABLES_SAVE_ON_STOP and IPTABLES_SAVE_ON_RESTART yourself',
  '… was changed since: our lines are out of it and its policies are ACCEPT, the rest is as it was saved',
  'nothing of ours is called …',
  '… is not touched: non-root users decide about it or its folder. If it names the resolvers of a tunnel, write it anew',
  '… still names the resolvers of a tunnel: it cannot be written',
  '… is not touched: non-root users decide about its folder, or it is no file. Remove our lines by hand',
  '… still pins the names of VPN servers: it holds NUL bytes, which a shell would lose. Remove the lines of ovpn-killswitch by hand',
  '… stays as it is: its lines between "…" and "…" have no beginning or no end. Remove ours by hand',
  '… still pins the names of VPN servers: it cannot be written',
  'somebody holds the lock for 20 seconds: going on without it',
  'interfaces that were set down stay down: start your network again, or restart the machine',
];

/**
 * Codes that the walk does not bring about: INTERNAL is a mistake in the program, NO_LOGIN has
 * test/regressions/a-lock-that-shuts-new-ssh-logins-is-asked-about.test.ts, CHROOT and NO_IMAGE have
 * an-image-is-prepared-without-the-running-system.test.ts there.
 */
export const UNREACHED_CODES: readonly string[] = ['CHROOT', 'INTERNAL', 'NO_IMAGE', 'NO_LOGIN'];

/** A message as it stands in the code, as what finds it in what a command said. */
export function patternOf(message: string): RegExp {
  return new RegExp(
    message
      .split('…')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('.*'),
    'm',
  );
}

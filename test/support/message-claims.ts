import type { Listing } from './kernel-listing.ts';

/** The facts that a message can be held against. */
export interface Evidence {
  readonly before: Listing;
  readonly after: Listing;
  /** Whether tools were spoilt or hidden while the command ran. */
  readonly spoilt: boolean;
}

type Truth = (evidence: Evidence, match: RegExpExecArray) => boolean;

const clean: Truth = ({ after }) => after.ours.length === 0;
const unchanged: Truth = ({ before, after }) => before.text === after.text;

/**
 * Each way in which a message speaks of the state, and when it is true. The first that fits a line
 * decides. A line with a word of the state that fits none is an unwalked message.
 */
const CLAIMS: readonly (readonly [claim: RegExp, isTrue: Truth])[] = [
  [/^Locked: /, ({ after }) => after.locked.length === 2],
  [/^State now: rules of ovpn-killswitch are loaded\./, ({ after }) => after.ours.length > 0],
  [
    /^State now: no rule of ovpn-killswitch is loaded, but the policy of the chain "(.*)" drops\.$/,
    (evidence, [, chain = '']) =>
      clean(evidence, [''] as never) && evidence.after.drops.includes(chain),
  ],
  [/^State now: OPEN\. /, ({ after }) => after.ours.length === 0 && after.drops.length === 0],
  // Not known is true only where a tool could not tell.
  [/^State now: unknown: /, ({ spoilt }) => spoilt],
  [/^Still safe: Nothing was changed\.$/, unchanged],
  [/: nothing was changed$/, unchanged],
  [/^Unlocked: nothing is guarded /, clean],
  [
    /^Nothing of ours was loaded: nothing is guarded\.$/,
    (evidence, match) => clean(evidence, match) && evidence.before.ours.length === 0,
  ],
  [
    /^the policy of the chain "(.*)", which is not ours, drops$/,
    ({ after }, [, chain = '']) => after.drops.includes(chain),
  ],
  [/^Removed: .* Nothing is guarded\.$/, clean],
  [/^recover: done: nothing is guarded /, clean],
  [/^recover: no rule of ours is in the kernel now\.$/, clean],
  [/^recover: LEFT: .* no rule of ours is in the kernel/, clean],
  [
    /^recover: nft: nothing of ours is left$/,
    ({ after }) => !after.ours.includes('inet ovpn_killswitch'),
  ],
  [
    /^recover: nft \(table (\S+ \S+)\): nothing of ours is left$/,
    ({ after }, [, table = '']) => !after.ours.includes(table),
  ],
  [
    /^recover: (ip6?)tables(-legacy|-nft)?: nothing of ours is left$/,
    ({ after }, [, family = '', kind]) =>
      !after.ours.some((place) =>
        kind === '-legacy'
          ? place === `${family === 'ip6' ? 'ipv6' : 'ipv4'} of iptables-legacy`
          : place.startsWith(`${family} `),
      ),
  ],
  [/^recover: LEFT: empty chains of ours |^recover: LEFT: \S+: empty chains of ours/, clean],
  [
    /^recover: LEFT: (\S+: chains of ours|the table inet|jumps to chains of ours|chain policies|\S+: chain policies)/,
    ({ after }) => after.ours.length + after.drops.length > 0,
  ],
  [
    /^recover: LEFT: (whether |nft cannot read |the table inet \S+: nft is not|the chains |\S+ cannot read)/,
    ({ spoilt }) => spoilt,
  ],
  [
    /^left in: (.*)$/,
    ({ after }, [, place = '']) =>
      after.ours.some((each) => each === place || each.includes(place.split(' ')[0] ?? '')),
  ],
  [
    /^rules are still there|^the rules are still there|^not all rules could be removed/,
    ({ after }) => after.ours.length > 0,
  ],
  [/^rules may be left, so no file was removed/, ({ after }) => after.ours.length > 0],
  [
    /^the record says unlocked now, but the rules in the kernel could not be read/,
    ({ spoilt }) => spoilt,
  ],
  [/^This machine is not locked now: it boots open until /, clean],
  [
    /^Rules are loaded now, but nothing says that this machine is locked/,
    ({ after }) => after.ours.length > 0,
  ],
  [/^this machine is not locked, so it cannot be locked again/, clean],
  // Files and what is to come, not the kernel.
  [
    /^(The base rules are loaded at boot by|Nothing of ours (is|was) loaded at boot|LEFT: \/|recover: LEFT: \S+ is not read: |What to do: |recover: the boot setup, the record and the base rules stay)/,
    () => true,
  ],
  [
    /^(It opens again in|It restores the previous lock in) 600 s, unless you run: ovpn-killswitch confirm$/,
    ({ after }) => after.locked.length === 2,
  ],
  [/^(endpoint |name |(nftables|iptables): |neighbour: |No endpoint is known)/, () => true],
  [/^no profile names a VPN server|^KILLSWITCH_LAN |has one problem|have one problem/, () => true],
  [
    /^(neither nft nor iptables is installed|nft is not installed|iptables is not installed)/,
    ({ spoilt }) => spoilt,
  ],
  [/^this kernel has IPv6 but ip6tables is not installed, so IPv6 could not be locked/, clean],
  [/^(Hook lines that you wrote yourself|Remove also the drop-ins for systemd)/, () => true],
  // The script that `boot enable --with plain` shows, and what the system said.
  [/^exec \/bin\/sh {2}# no rules could be loaded|^E[A-Z]+: /, () => true],
  [
    /^the script was stopped before its end: a step without a line above was not done/,
    ({ after }) => after.ours.length > 0,
  ],
  [
    /^the kernel refused the rules|^the kernel accepted the rules of one IP family|^the kernel accepted the rules but lists different ones/,
    () => true,
  ],
  [/^another ovpn-killswitch has held/, () => true],
];

const STATE_WORDS =
  /\b(unlocked|locked|locks|open|opens|loaded|guarded|shut|drops?|dropped|left|safe|state now|nothing|in force|removed|done|still)\b/i;

/** The lines of what a command said that are not true, or whose truth nobody has written down. */
export function falseLines(said: string, evidence: Evidence): readonly string[] {
  return said.split('\n').flatMap((raw) => {
    const line = raw.trim().replace(/^ovpn-killswitch: +(\w+: resolvers: +)?/, '');
    for (const [claim, isTrue] of CLAIMS) {
      const match = claim.exec(line);
      if (match !== null) return isTrue(evidence, match) ? [] : [`FALSE: ${line}`];
    }
    return STATE_WORDS.test(line) ? [`not walked: ${line}`] : [];
  });
}

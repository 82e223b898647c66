import { EXIT, KillswitchError } from '../errors.ts';
import { uidOf } from '../machine/account.ts';
import { readLockRecord } from '../record/lock-record.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { judge, type Looks } from '../ruleset/evaluate.ts';
import { REASONS } from '../ruleset/reasons.ts';
import { answersEarly } from '../ruleset/ruleset.ts';
import { lookOrSay } from '../transaction/look-or-say.ts';
import type { PictureLine } from '../view/picture.ts';
import { type Report, readReport } from '../view/report.ts';
import type { CliCommand, Flags } from './command.ts';
import { describedPacket } from './described-packet.ts';
import { parseArguments } from './parse-arguments.ts';
import { drawn } from './screen.ts';

/** Says which rules the answer was compared with. */
function loadedLine({ state, exact, unread }: Report): PictureLine {
  const label = 'loaded';
  if (unread !== undefined) return { label, text: `unknown: ${unread}`, tone: 'bad' };
  if (state === 'unlocked')
    return {
      label,
      text: 'no: nothing is locked, and this is what "lock" would load',
      tone: 'warning',
    };
  if (exact) return { label, text: 'yes: the kernel holds exactly these rules', tone: 'good' };
  return {
    label,
    text: 'NO: the kernel holds other rules; "ovpn-killswitch status" says which',
    tone: 'bad',
  };
}

/** Says that the packet has two interfaces, and which of them counts. */
function reroutedLines(
  first: string | undefined,
  final: string | undefined,
): readonly PictureLine[] {
  if (first === final) return [];
  return [
    {
      label: 'routed',
      text: `to ${first} at first, then out by ${final}: the last interface decides`,
      tone: 'warning',
    },
  ];
}

/**
 * Tells which hooks the backend in use looks at: iptables has a table at every hook; nftables looks
 * early only to refuse with an answer.
 */
function looksOf({ choice, intended }: Report): Looks {
  const { frames } = choice;
  if (choice.backend.name === 'nftables')
    return { first: answersEarly(intended.ruleset), final: true, frames, answers: true };
  return { first: true, final: choice.wall, frames, answers: false };
}

const FLAGS = {
  device: { type: 'string', value: 'NAME', what: 'the interface that it leaves or comes in by' },
  'leaves-by': {
    type: 'string',
    value: 'NAME',
    what: 'the interface that it really leaves by, where it is rerouted',
  },
  in: { type: 'string', value: 'NAME', what: 'the interface that a forwarded packet came in by' },
  as: { type: 'string', value: 'USER', what: 'the account that sends it' },
  mark: { type: 'string', value: 'MARK', what: 'its firewall mark' },
  to: { type: 'string', value: 'ADDRESS', what: 'the address of this machine that it comes to' },
  'from-port': { type: 'string', value: 'PORT', what: 'its source port' },
  state: {
    type: 'string',
    value: 'STATE',
    choices: ['new', 'established', 'related'],
    what: 'its state in conntrack',
  },
  'from-lan': { type: 'boolean', what: 'it comes in by no tunnel' },
  bridged: { type: 'boolean', what: 'it is a frame between two ports of one bridge' },
  asked: { type: 'boolean', what: 'it answers a multicast or broadcast query of a moment ago' },
} as const satisfies Flags;

export const explain: CliCommand = {
  name: 'explain',
  usage:
    'explain out|in|forward tcp|udp|icmp ADDRESS [PORT] [--device NAME] [--leaves-by NAME] [--as USER] [--mark MARK] [--from-lan] [--to ADDRESS] [--in NAME] [--bridged] [--asked] [--from-port PORT] [--state new|established|related]',
  group: 'look',
  brief: 'name the rule that decides about a packet',
  summary:
    'Name the rule that decides about a packet, why it exists, and which settings change it.',
  flags: FLAGS,
  words: [
    { name: 'DIRECTION', what: 'its direction', choices: ['out', 'in', 'forward'] },
    { name: 'PROTOCOL', what: 'its protocol', choices: ['tcp', 'udp', 'icmp'] },
    { name: 'ADDRESS', what: 'the far end' },
    { name: 'PORT', what: 'its destination port' },
  ],
  exits: [[EXIT.degraded, 'locked, but not as it should be']],
  examples: [
    ['explain out udp 9.9.9.9 53', 'a DNS query that does not go through the tunnel'],
    ['explain out tcp 192.0.2.7 443 --device tun0', 'a web request through tun0'],
    ['explain out udp 203.0.113.10 1194 --as root', "OpenVPN's own packets"],
    [
      'explain out tcp 192.0.2.7 443 --device tun0 --leaves-by eth0',
      'a web request that a mark or a NAT rule routes past the tunnel',
    ],
    [
      'explain in tcp 192.168.1.7 22 --from-lan',
      'a connection from the LAN to port 22 of this machine',
    ],
  ],
  needsRoot: true,
  run: ({ host, args, draw, screen }) => {
    const { values, positionals } = parseArguments(explain, args, FLAGS, { least: 3, most: 4 });
    const packet = describedPacket({ ...values, words: positionals }, explain.usage, (account) =>
      uidOf(host, account),
    );
    const record = readLockRecord(host);
    const report = readReport(host, settingsInForce(host, record), record, lookOrSay(host));
    const leavesBy = values['leaves-by'] ?? packet.out;
    const { verdict, rule, chain } = judge(
      report.intended.ruleset,
      packet,
      looksOf(report),
      leavesBy,
    );
    if (rule === undefined)
      throw new KillswitchError(
        'INTERNAL',
        `no rule of ${chain} decides about this packet`,
        'Please report this.',
      );
    const { why, settings } = REASONS[rule.id];
    const lines: readonly PictureLine[] = [
      {
        text: `${verdict}: ${rule.id}, in the chain ${chain} (docs/reference/rules.md, "${rule.id}")`,
        tone: verdict === 'accept' ? 'good' : 'warning',
      },
      ...reroutedLines(packet.out, leavesBy),
      { label: 'why', text: why, tone: 'plain' },
      {
        label: 'settings',
        text: settings.length === 0 ? 'none: this rule always holds' : settings.join(', '),
        tone: 'plain',
      },
      loadedLine(report),
    ];
    for (const line of lines.flatMap((each) => drawn(each, screen))) draw(line);
    return report.state === 'unlocked' || report.exact ? EXIT.ok : EXIT.degraded;
  },
};

import { EXIT, KillswitchError } from '../errors.ts';
import { uidOf } from '../machine/known-endpoints.ts';
import { type Report, readReport } from '../machine/report.ts';
import { settingsInForce } from '../machine/settings-in-force.ts';
import { evaluate } from '../ruleset/evaluate.ts';
import { REASONS } from '../ruleset/reasons.ts';
import { lookIfItWorks } from '../transaction/apply.ts';
import type { PictureLine } from '../view/picture.ts';
import type { CliCommand } from './command.ts';
import { describedPacket } from './described-packet.ts';
import { parseArguments } from './parse-arguments.ts';
import { drawn } from './screen.ts';

/** What the answer was compared with. */
function loadedLine({ state, exact }: Report): PictureLine {
  const label = 'loaded';
  if (state === 'unlocked') return { label, text: 'no: nothing is locked, and this is what "lock" would load', tone: 'warning' };
  if (exact) return { label, text: 'yes: the kernel holds exactly these rules', tone: 'good' };
  return { label, text: 'NO: the kernel holds other rules; "ovpn-killswitch status" says which', tone: 'bad' };
}

export const explain: CliCommand = {
  name: 'explain',
  usage:
    'explain out|in|forward tcp|udp|icmp ADDRESS [PORT] [--device NAME] [--as USER] [--mark MARK] [--from-lan] [--to ADDRESS] [--in NAME] [--from-port PORT] [--state new|established|related]',
  summary: 'Say which rule decides about a packet, why it exists, and which settings change it.',
  examples: [
    ['explain out udp 9.9.9.9 53', 'a DNS query that does not go through the tunnel'],
    ['explain out tcp 192.0.2.7 443 --device tun0', 'a web request through tun0'],
    ['explain out udp 203.0.113.10 1194 --as root', "OpenVPN's own packets"],
    ['explain in tcp 192.168.1.7 22 --from-lan', 'somebody on the LAN who knocks at port 22 of this machine'],
  ],
  needsRoot: true,
  run: ({ host, args, draw, screen }) => {
    const { values, positionals } = parseArguments(
      explain,
      args,
      {
        device: { type: 'string' },
        in: { type: 'string' },
        as: { type: 'string' },
        mark: { type: 'string' },
        to: { type: 'string' },
        'from-port': { type: 'string' },
        state: { type: 'string' },
        'from-lan': { type: 'boolean' },
      },
      { least: 3, most: 4 },
    );
    const packet = describedPacket({ ...values, words: positionals }, explain.usage, (account) => uidOf(host, account));
    const report = readReport(host, settingsInForce(host), (backend) => lookIfItWorks(host, backend));
    const { verdict, rule, chain } = evaluate(report.intended.ruleset, packet);
    if (rule === undefined) throw new KillswitchError('INTERNAL', `no rule of ${chain} decides about this packet`, 'Please report this.');
    const { why, settings } = REASONS[rule.id];
    const lines: readonly PictureLine[] = [
      {
        text: `${verdict}: ${rule.id}, in the chain ${chain} (docs/security.md, "${rule.id}")`,
        tone: verdict === 'accept' ? 'good' : 'warning',
      },
      { label: 'why', text: why, tone: 'plain' },
      { label: 'settings', text: settings.length === 0 ? 'none: this rule always holds' : settings.join(', '), tone: 'plain' },
      loadedLine(report),
    ];
    for (const line of lines.flatMap((each) => drawn(each, screen))) draw(line);
    return report.state === 'unlocked' || report.exact ? EXIT.ok : EXIT.degraded;
  },
};

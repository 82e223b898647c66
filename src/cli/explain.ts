import { EXIT, KillswitchError } from '../errors.ts';
import { intend } from '../machine/report.ts';
import { settingsInForce } from '../machine/settings-in-force.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { parseInterfaceName } from '../net/interface-name.ts';
import { parsePort } from '../net/port.ts';
import { ECHO_REQUEST } from '../net/well-known.ts';
import { evaluate } from '../ruleset/evaluate.ts';
import type { Packet } from '../ruleset/packet.ts';
import type { Hook } from '../ruleset/ruleset.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';

const DIRECTIONS: Readonly<Record<string, Hook>> = { out: 'output', in: 'input', forward: 'forward' };

function wrong(message: string): KillswitchError {
  return new KillswitchError('USAGE', message, `Call it as: ovpn-killswitch ${explain.usage}`);
}

function payloadOf(protocol: string, address: Address, port: string | undefined): Packet['payload'] {
  if (protocol === 'icmp') return { icmp: ECHO_REQUEST[address.family] };
  if (protocol !== 'tcp' && protocol !== 'udp') throw wrong(`"${protocol}" is none of tcp, udp, icmp`);
  const toPort = parsePort(port ?? '');
  if (toPort === undefined) throw wrong(`"${port ?? ''}" is not a port`);
  return { transport: protocol, fromPort: 40000, toPort };
}

export const explain: CliCommand = {
  name: 'explain',
  usage: 'explain out|in|forward tcp|udp|icmp ADDRESS [PORT] [--device NAME] [--as UID]',
  summary: 'Say which rule decides about a packet, and how.',
  examples: [
    ['explain out udp 9.9.9.9 53', 'a DNS query that does not go through the tunnel'],
    ['explain out tcp 192.0.2.7 443 --device tun0', 'a web request through tun0'],
    ['explain out udp 203.0.113.10 1194 --as 0', "OpenVPN's own packets"],
  ],
  needsRoot: false,
  run: ({ host, args, print }) => {
    const { values, positionals } = parseArguments(
      explain,
      args,
      { device: { type: 'string' }, as: { type: 'string' } },
      { least: 3, most: 4 },
    );
    const [direction = '', protocol = '', text = '', port] = positionals;
    const hook = DIRECTIONS[direction];
    const address = parseAddress(text);
    if (hook === undefined) throw wrong(`"${direction}" is none of out, in, forward`);
    if (address === undefined) throw wrong(`"${text}" is not an address`);
    const device = values.device;
    if (device !== undefined && parseInterfaceName(device) === undefined) throw wrong(`"${device}" is not an interface name`);
    if (values.as !== undefined && !/^\d{1,9}$/.test(values.as)) throw wrong(`"${values.as}" is not a user id`);
    // An address that stands for this machine: rules look at the far end, except those for a tunnel's own address.
    const here = parseAddress(address.family === 'ipv4' ? '192.0.2.1' : '2001:db8::1') ?? address;
    const packet: Packet = {
      hook,
      in: hook === 'output' ? undefined : (device ?? 'uplink'),
      out: hook === 'input' ? undefined : (device ?? 'uplink'),
      from: hook === 'input' ? address : here,
      to: hook === 'input' ? here : address,
      payload: payloadOf(protocol, address, port),
      conntrack: 'new',
      uid: values.as === undefined ? 1000 : Number(values.as),
      mark: 0,
    };
    const { verdict, rule, chain } = evaluate(intend(host, settingsInForce(host)).ruleset, packet);
    const id = rule?.id ?? 'chain policy';
    print(`${verdict}: ${id}, in the chain ${chain} (docs/security.md, "${id}")`);
    return EXIT.ok;
  },
};

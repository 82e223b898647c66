import { join } from 'node:path';
import type { Command } from '../backend/backend.ts';
import { EXIT, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ownFolder } from '../host/program-files.ts';
import { field, type Json, parseJson } from '../machine/json.ts';
import { devices, readLiveTunnels } from '../machine/live-tunnels.ts';
import { printable } from '../net/printable.ts';
import { HERE_ADDRESSES, HERE_PROBES, type HereOrders } from '../proof/here-probes.ts';
import { NOBODY } from '../proof/probes.ts';
import type { CliCommand } from './command.ts';
import { parseArguments } from './parse-arguments.ts';
import { drawn } from './screen.ts';

const ROUNDS = 5;
const TABLE = 'ovpn_killswitch_prove';
const PINGS = Object.entries(HERE_ADDRESSES).map(([family, address]) => ({
  name: `ping, ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`,
  address,
  counted: family === 'ipv4' ? `ip daddr ${address} meta l4proto icmp` : `ip6 daddr ${address} meta l4proto ipv6-icmp`,
}));

/** The classes, each with the packets it is known by. */
const CLASSES: readonly { readonly name: string; readonly address: string; readonly counted: string }[] = [
  ...HERE_PROBES.map(({ name, transport, address, port }) => ({
    name,
    address,
    counted: `${address.includes(':') ? 'ip6' : 'ip'} daddr ${address} ${transport} dport ${port}`,
  })),
  ...PINGS,
];

/** A table that counts and decides nothing, where packets leave for the network card: behind every other rule (nft(8), egress). */
function countersText(uplinks: readonly string[]): string {
  const rules = CLASSES.map(({ counted }, index) => `    ${counted} counter comment "${index}"\n`).join('');
  const chains = uplinks.map(
    (device, index) =>
      `  chain uplink${index} {\n    type filter hook egress device "${device}" priority 500; policy accept;\n${rules}  }\n`,
  );
  return `table netdev ${TABLE}\ndelete table netdev ${TABLE}\ntable netdev ${TABLE} {\n${chains.join('')}}\n`;
}

const nft = (...args: readonly string[]): Command => ({ program: 'nft', args });

/** What each class's counters have seen, over all uplinks. */
function readCounters(host: Host): readonly number[] {
  const seen = CLASSES.map(() => 0);
  const { status, stdout, stderr } = host.run(nft('-j', 'list', 'table', 'netdev', TABLE));
  const list = field(parseJson(stdout), 'nftables');
  if (status !== 0 || !Array.isArray(list))
    throw new KillswitchError('COMMAND', 'the counters could not be read', 'Run it again.', [printable(stderr.trim())]);
  for (const each of list as readonly Json[]) {
    const rule = field(each, 'rule');
    const [comment, items] = [field(rule, 'comment'), field(rule, 'expr')];
    if (typeof comment !== 'string' || !Array.isArray(items)) continue;
    for (const item of items as readonly Json[]) {
      const packets = field(field(item, 'counter'), 'packets');
      if (typeof packets === 'number') seen[Number(comment)] = (seen[Number(comment)] ?? 0) + packets;
    }
  }
  return seen;
}

function isUp(host: Host, device: string): boolean {
  const flags = Number(host.read(`/sys/class/net/${device}/flags`) ?? '0x1');
  return (flags & 1) === 1;
}

/** Interfaces that are up and are neither loopback nor a live tunnel. */
function uplinksOf(host: Host): readonly string[] {
  const tunnels = readLiveTunnels(host).map(({ tunnel }): string => tunnel.device);
  return [...devices(host)].filter((device) => device !== 'lo' && !tunnels.includes(device) && isUp(host, device)).sort();
}

function ping(host: Host, device: string | undefined): void {
  for (const { address } of PINGS)
    host.run({ program: 'ping', args: ['-n', '-c', '1', '-W', '1', ...(device === undefined ? [] : ['-I', device]), address] });
}

/** How many packets of each class are tried: as the routes will, and from each address or interface of an uplink. */
function triesOf(uplinks: readonly string[], sources: readonly string[]): readonly number[] {
  return CLASSES.map(({ address }, index) => {
    const own = sources.filter((source) => source.includes(':') === address.includes(':')).length;
    return index < HERE_PROBES.length ? ROUNDS * (1 + own) : 1 + uplinks.length;
  });
}

function sendAll(host: Host, uplinks: readonly string[], sources: readonly string[]): void {
  const orders: HereOrders = { rounds: ROUNDS, uid: NOBODY, sources };
  const { status, why } = host.callInTurn([join(ownFolder(), 'prove.js'), JSON.stringify(orders)], {});
  if (status !== 0)
    throw new KillswitchError(
      'FILES',
      `the probes could not be sent${why === undefined ? '' : `: ${why}`}`,
      'Install again: see README.md',
    );
  for (const device of [undefined, ...uplinks]) ping(host, device);
}

export const prove: CliCommand = {
  name: 'prove',
  usage: 'prove --here',
  summary:
    'Send what must not leave, as a user without rights, and count behind every rule what leaves. Harmless and over in seconds; exit 1 if anything left.',
  examples: [['prove --here', 'on this machine, as it is now: to addresses that belong to nobody']],
  needsRoot: true,
  run: ({ host, args, print, screen }) => {
    const { values } = parseArguments(prove, args, { here: { type: 'boolean' } });
    if (values.here !== true)
      throw new KillswitchError(
        'USAGE',
        'prove needs --here: the proof in a small internet of its own is the demo',
        `Call it as: ovpn-killswitch ${prove.usage}; or "npm run demo", where this program was built.`,
      );
    const uplinks = uplinksOf(host);
    if (uplinks.length === 0) {
      print('No interface but loopback and tunnels is up: nothing can leave.');
      return EXIT.ok;
    }
    const { status, stderr } = host.run({ program: 'nft', args: ['-f', '-'], stdin: countersText(uplinks) });
    if (status !== 0)
      throw new KillswitchError(
        'NO_BACKEND',
        'this kernel or nft cannot count what leaves an interface (netdev egress: Linux 5.16, nft 1.0.1)',
        'Install nftables, or use the demo: npm run demo',
        [printable(stderr.trim().split('\n')[0] ?? '')],
      );
    try {
      print(`Sending over ${uplinks.join(', ')} …`);
      const sources = host.ownAddresses(uplinks);
      const tries = triesOf(uplinks, sources);
      sendAll(host, uplinks, sources);
      const left = readCounters(host);
      const width = Math.max(...CLASSES.map(({ name }) => name.length));
      for (const [index, { name }] of CLASSES.entries()) {
        const count = left[index] ?? 0;
        const text = `${name.padEnd(width)}  ${tries[index]} tried, ${count === 0 ? 'nothing left' : `${count} LEFT`}`;
        for (const line of drawn({ text, tone: count === 0 ? 'good' : 'bad' }, screen)) print(line);
      }
      const leaks = left.filter((count) => count > 0).length;
      print(leaks === 0 ? 'Nothing left.' : `${leaks} of ${CLASSES.length} classes left in clear.`);
      return leaks === 0 ? EXIT.ok : EXIT.failed;
    } finally {
      host.run(nft('delete', 'table', 'netdev', TABLE));
    }
  },
};

import { readGivenResolvers } from '../dns/given-resolvers.ts';
import { EXIT, type ExitStatus, KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PROGRAM_FOLDERS } from '../host/paths.ts';
import { type Account, accountOf, uidOf } from '../machine/account.ts';
import { readUplink } from '../machine/uplink.ts';
import { type Address, isUnicast, parseAddress } from '../net/address.ts';
import { contains, disjoint, type Network, networkOf, parseNetwork } from '../net/network.ts';
import { PRIVATE_NETWORKS, SHARED_NETWORK } from '../net/well-known.ts';
import { describePortal, type Portal } from '../policy/portal.ts';
import { type Passed, passedText } from '../transaction/end-portal.ts';
import { closePortal, openPortal, refuseUnlessBlocked } from '../transaction/portal.ts';
import { ago } from '../view/picture.ts';
import type { CliCommand, Context, Flags } from './command.ts';
import { parseDuration } from './duration.ts';
import { JSON_FLAG } from './json-flag.ts';
import { misused, parseArguments } from './parse-arguments.ts';

/** Seconds that a login takes, and the most that a caller may ask for. */
const [USUAL_SECONDS, MOST_SECONDS] = [300, 1800];
/** The largest network that a person may name. */
const SHORTEST_PREFIX = 16;

const FLAGS = {
  for: { type: 'string', value: 'TIME', what: 'how long, 30 minutes at most: 90s, 5m' },
  user: {
    type: 'string',
    value: 'NAME',
    what: 'the user of the programs; without it the user who called sudo',
  },
  network: {
    type: 'string',
    multiple: true,
    value: 'NETWORK',
    what: "what may be reached, in place of the gateway's network",
  },
  dns: { type: 'string', multiple: true, value: 'ADDRESS', what: 'a resolver in that network' },
  'shared-dns': { type: 'boolean', what: 'let the local resolver send queries, for every user' },
  close: { type: 'boolean', what: 'close it now, and list what went through it' },
  json: JSON_FLAG,
} as const satisfies Flags;

function wrong(message: string): KillswitchError {
  return misused(portal, message);
}

function noPortal(message: string, next: string): KillswitchError {
  return new KillswitchError('NO_PORTAL', message, next);
}

function secondsOf(text: string | undefined): number {
  const seconds = text === undefined ? USUAL_SECONDS : parseDuration(text);
  if (seconds === undefined || seconds > MOST_SECONDS)
    throw wrong(`"${text}" is not a time from 1 s to ${ago(MOST_SECONDS)}`);
  return seconds;
}

/**
 * Returns the user whose programs the portal serves: the named one, or the caller of sudo. Never
 * root: half the system runs as root.
 */
function userOf(host: Host, named: string | undefined, caller: string | undefined): number {
  const text = named ?? caller;
  if (text === undefined || (named === undefined && text === '0'))
    throw wrong('missing flag: --user NAME, the user whose browser opens the login page');
  const uid = uidOf(host, text);
  if (uid === undefined) throw wrong(`"${text}" is no user of this machine`);
  if (uid === 0)
    throw wrong('a portal for root would be for every program: name the user whose browser it is');
  return uid;
}

function listed<Value>(
  texts: readonly string[],
  parse: (text: string) => Value | undefined,
  what: string,
): readonly Value[] {
  return texts.map((text) => {
    const value = parse(text);
    if (value === undefined) throw wrong(`"${text}" is ${what}`);
    return value;
  });
}

function namedNetwork(text: string): Network | undefined {
  const network = parseNetwork(text);
  return network?.family === 'ipv4' && network.prefix >= SHORTEST_PREFIX ? network : undefined;
}

function namedResolver(text: string): Address | undefined {
  const address = parseAddress(text);
  return address?.family === 'ipv4' && isUnicast(address) ? address : undefined;
}

/**
 * Returns the networks that the user may reach: the gateway and its network. Refuses a public
 * network: the LAN may have chosen it to catch the internet's addresses.
 */
function gatewaysNetworks(gateway: Address, network: Network | undefined): readonly Network[] {
  if (network === undefined)
    throw noPortal(
      `no network that ${gateway.text} lies in is connected here`,
      'Name what to reach: --network 192.0.2.0/24',
    );
  if (![...PRIVATE_NETWORKS, ...SHARED_NETWORK].some((each) => contains(each, network)))
    throw noPortal(
      `the gateway's network ${network.text} is a public one: the operator of this LAN may have chosen it to catch other pages`,
      `If you trust it that far, add: --network ${network.text}, or --network ${gateway.text} for the gateway alone.`,
    );
  return [networkOf(gateway), ...(network.prefix === 32 ? [] : [network])];
}

interface Names extends Pick<Portal, 'resolvers' | 'askers'> {
  /** Resolvers that the network named and the portal does not ask. */
  readonly leftOut: readonly Address[];
}

/** Returns the resolvers to ask, and the accounts that may ask them. */
function namesOf(
  host: Host,
  uid: number,
  inside: readonly Network[],
  gateway: Address,
  named: readonly Address[],
  shared: boolean,
): Names {
  const { addresses, local } = readGivenResolvers(host);
  if (local !== undefined && !shared)
    throw noPortal(
      `programs here use the resolver ${local.address.text}, which resolves for every user`,
      'Add --shared-dns: until the portal closes, the queries of other programs leave too.',
    );
  if (local !== undefined && local.uid === undefined)
    throw noPortal(
      `programs here use the resolver ${local.address.text}, and nothing listens there`,
      'Start that resolver, or name another in /etc/resolv.conf.',
    );
  const given = addresses.filter((address) =>
    inside.some((network) => contains(network, networkOf(address))),
  );
  const resolvers = named.length > 0 ? named : given.length > 0 ? given : [gateway];
  return {
    resolvers,
    askers: local?.uid === undefined || local.uid === uid ? [uid] : [uid, local.uid],
    leftOut: addresses.filter(({ text }) => !resolvers.some((each) => each.text === text)),
  };
}

/** Returns the environment of the user's own session, as far as the caller's holds it. */
function environmentOf({ host, env }: Context, { name, uid, home }: Account): Context['env'] {
  const session = `/run/user/${uid}`;
  return {
    ...env,
    HOME: home,
    USER: name,
    LOGNAME: name,
    ...(host.exists(session) && { XDG_RUNTIME_DIR: session }),
  };
}

function tell({ print }: Context, passed: readonly Passed[]): void {
  print(`The portal is closed. Through it went${passed.length === 0 ? ' nothing.' : ':'}`);
  for (const each of passed) print(`  ${passedText(each)}`);
}

/** Returns the command line that starts a command as that user. */
function becoming(host: Host, { uid, gid }: Account): readonly string[] {
  const setpriv = PROGRAM_FOLDERS.map((folder) => `${folder}/setpriv`).find((path) =>
    host.exists(path),
  );
  if (setpriv === undefined)
    throw noPortal(
      'setpriv is not installed',
      'Leave the command out, and start the browser yourself.',
    );
  return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--inh-caps=-all', '--'];
}

/** Runs the command as the user until it ends, then closes the portal. */
function runInPortal(
  context: Context,
  account: Account,
  become: readonly string[],
  command: readonly string[],
): ExitStatus {
  const { host, print } = context;
  // Ctrl-C is for the command: this process must live to close the portal.
  const stay = () => undefined;
  process.on('SIGINT', stay);
  const { status, why } = host.callInTurn([...become, ...command], environmentOf(context, account));
  process.off('SIGINT', stay);
  if (status !== 0)
    print(`${command[0]} ${why === undefined ? `ended with status ${status}` : `failed: ${why}`}`);
  const passed = closePortal(host);
  if (passed === undefined)
    print('The portal was closed before; /var/log/ovpn-killswitch.log says what went through it.');
  else tell(context, passed);
  return status === 0 ? EXIT.ok : EXIT.failed;
}

export const portal: CliCommand = {
  name: 'portal',
  usage:
    'portal [--for TIME] [--user NAME] [--network NETWORK]… [--dns ADDRESS]… [--shared-dns] [--close] [--json] [-- COMMAND…]',
  group: 'daily',
  brief: 'let one user reach a login page for minutes',
  summary:
    "Let one user's programs reach the web pages of the gateway's network, and its DNS, for a while: the login page of a hotel or a train. It closes by itself.",
  flags: FLAGS,
  words: [
    { name: '-- COMMAND', what: 'a program to start as that user; the portal closes with it' },
  ],
  exits: [
    [EXIT.failed, 'none was open, or the command failed'],
    [EXIT.unavailable, 'there is none to open here'],
  ],
  examples: [
    [
      'portal',
      'for five minutes, for the user who called sudo; then open the login page in a browser',
    ],
    ['portal --for 2m --user alice', 'for two minutes, for alice (at most 30 min)'],
    [
      'portal -- firefox http://192.168.1.1/',
      'starts firefox as that user, and closes when it has ended',
    ],
    ['portal --network 198.51.100.7', "reaches this address or network in place of the gateway's"],
    [
      'portal --shared-dns',
      'where systemd-resolved or dnsmasq resolves for every user: lets it send queries',
    ],
    ['portal --close', 'closes it now, and lists what went through it'],
  ],
  needsRoot: true,
  endless: (args) => args.includes('--'),
  run: (context) => {
    const { host, args, env, print, report } = context;
    const cut = args.indexOf('--');
    const [own, command] = cut < 0 ? [args, []] : [args.slice(0, cut), args.slice(cut + 1)];
    const { values } = parseArguments(portal, own, FLAGS);
    if (values.close === true) {
      if (args.length > (report.isJson ? 2 : 1)) throw wrong('--close stands alone');
      const passed = closePortal(host);
      if (passed === undefined) print('No portal is open.');
      else tell(context, passed);
      return passed === undefined ? EXIT.failed : EXIT.ok;
    }
    if (cut >= 0 && command.length === 0) throw wrong('which command? Nothing stands after --');
    if (cut >= 0 && report.isJson)
      throw wrong('--json is for a portal without a command, which may print anything');
    const seconds = secondsOf(values.for);
    const uid = userOf(host, values.user, env['SUDO_UID']);
    const account = command.length === 0 ? undefined : accountOf(host, String(uid));
    if (command.length > 0 && account === undefined)
      throw wrong(`uid ${uid} has no line in /etc/passwd, so no command can run as it`);
    const become = account === undefined ? [] : becoming(host, account);
    const networks = listed(
      values.network ?? [],
      namedNetwork,
      `no IPv4 network of at most a /${SHORTEST_PREFIX}`,
    );
    const named = listed(values.dns ?? [], namedResolver, 'no IPv4 address of a resolver');
    refuseUnlessBlocked(host);
    const uplink = readUplink(host);
    if (uplink === undefined)
      throw noPortal(
        'there is no IPv4 default route to a gateway',
        'Connect to the network first; portals on IPv6 alone are not reached.',
      );
    const { device, gateway, network } = uplink;
    const reached = networks.length > 0 ? disjoint(networks) : gatewaysNetworks(gateway, network);
    const { leftOut, ...names } = namesOf(
      host,
      uid,
      reached,
      gateway,
      named,
      values['shared-dns'] === true,
    );
    const opened = openPortal(host, { uid, uplink: device, networks: reached, ...names }, seconds);
    host.log({
      level: 'info',
      event: 'portal-opened',
      message: `for ${seconds} s: ${describePortal(opened)}`,
    });
    print(`Portal: ${describePortal(opened)}.`);
    print(
      `  Nothing else is opened, and for nobody else. It closes by itself in ${ago(seconds)}, or now: ovpn-killswitch portal --close`,
    );
    if (leftOut.length > 0)
      print(
        `  Not used as resolver: ${leftOut.map(({ text }) => text).join(', ')}. To use one: --dns ADDRESS`,
      );
    if (account !== undefined) return runInPortal(context, account, become, command);
    print(`  If no login page comes by itself, open http://${gateway.text}/`);
    return EXIT.ok;
  },
};

import type { HookName } from './hook-event.ts';
import { options } from './profile-options.ts';

/**
 * The options that decide how and when a profile's hooks run. Of an option given twice OpenVPN
 * takes the last.
 */
export interface ProfileFacts {
  /** The commands of the hooks that the profile names, each as one text, as its line gives it. */
  readonly commands: Readonly<Partial<Record<HookName, string>>>;
  /** 1 when the profile does not say. */
  readonly scriptSecurity: number;
  /** The accounts OpenVPN changes to after it has started. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** The folder that OpenVPN takes for its root after it has started. */
  readonly chroot: string | undefined;
  readonly persistTun: boolean;
  /** How OpenVPN 2.7 sets resolvers: `force`, `disable` or a program. */
  readonly dnsUpdown: string | undefined;
  readonly upRestart: boolean;
  /** Commands that a plugin which keeps root runs when the tunnel ends. */
  readonly downRoot: readonly string[];
  readonly remoteRandom: boolean;
  /** Whether OpenVPN puts a new label before the host name at each connect. */
  readonly remoteRandomHostname: boolean;
  /** Whether the client takes the server's options: `client` or `pull`. */
  readonly pulls: boolean;
  /** Beginnings of server options that the profile refuses. */
  readonly filtered: readonly string[];
  /** Other files whose options belong to the profile. */
  readonly configs: readonly string[];
  readonly socksProxy: boolean;
  readonly device: string | undefined;
  readonly deviceType: string | undefined;
  /** The mark on encrypted packets, as written. */
  readonly mark: string | undefined;
}

export function readProfileFacts(text: string): ProfileFacts {
  const last = new Map<string, string>();
  const all: (readonly string[])[] = [];
  let block = false;
  let socksProxy = false;
  for (const option of options(text)) {
    const [name = '', first = ''] = option;
    if (name === '<connection>' || name === '</connection>') block = name === '<connection>';
    if (name === 'socks-proxy') socksProxy = true;
    // A <connection> block says where to connect to, and nothing about hooks (options.c,
    // OPT_P_CONNECTION).
    if (block) continue;
    last.set(name, first);
    all.push(option);
  }
  const command = (hook: HookName) => {
    const value = last.get(hook);
    return value === undefined || value === '' ? {} : { [hook]: value };
  };
  const values = (name: string) =>
    all.flatMap(([each, first]) => (each === name && first !== undefined ? [first] : []));
  const security = last.get('script-security') ?? '1';
  return {
    commands: { ...command('up'), ...command('down'), ...command('route-up') },
    scriptSecurity: /^\d$/.test(security) ? Number(security) : 1,
    user: last.get('user'),
    group: last.get('group'),
    chroot: last.get('chroot'),
    persistTun: last.has('persist-tun'),
    dnsUpdown: last.get('dns-updown'),
    upRestart: last.has('up-restart'),
    downRoot: all.flatMap(([name, path, ...command]) =>
      name === 'plugin' && path?.includes('down-root') === true ? [command.join(' ')] : [],
    ),
    remoteRandom: last.has('remote-random'),
    remoteRandomHostname: last.has('remote-random-hostname'),
    pulls: last.has('client') || last.has('pull'),
    filtered: all.flatMap(([name, action, start]) =>
      name === 'pull-filter' && (action === 'ignore' || action === 'reject') && start !== undefined
        ? [start]
        : [],
    ),
    configs: values('config'),
    socksProxy,
    device: last.get('dev'),
    deviceType: last.get('dev-type'),
    mark: last.get('mark'),
  };
}

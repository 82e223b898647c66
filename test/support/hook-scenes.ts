import type { HookName } from '../../src/tunnel/hook-event.ts';
import { tunnelCall } from '../hooks/captures.ts';
import { type Call, type Machine, must, STATE } from '../hooks/installed-machine.ts';
import { standIn } from '../hooks/obstacles.ts';

/** One call of a hook, and the state that it meets. */
export interface HookScene {
  readonly state: string;
  prepare?(it: Machine): void;
  readonly hook: HookName;
  readonly call: Call;
  /** Lines of the settings file beside the backend's. */
  readonly settings?: readonly string[];
}

const TUN0 = tunnelCall('tun0');
const lock = (it: Machine) => must(it.command('lock', '--force'));
const connect = (it: Machine) => {
  lock(it);
  must(it.hook('up', TUN0));
};
const withEnv = (more: Readonly<Record<string, string>>) => tunnelCall('tun0', more);
const asUser = (it: Machine) => must(it.sh('chmod 755 /etc/ovpn-killswitch'));

/** Calls of hooks, one for each text that they print. */
export const HOOK_SCENES: readonly HookScene[] = [
  { state: 'up: nothing was decided yet, so it locks', hook: 'up', call: TUN0 },
  { state: 'up: locked', prepare: lock, hook: 'up', call: TUN0 },
  { state: 'up: the same tunnel again', prepare: connect, hook: 'up', call: TUN0 },
  { state: 'route-up: connected', prepare: connect, hook: 'route-up', call: TUN0 },
  { state: 'down: connected', prepare: connect, hook: 'down', call: TUN0 },
  {
    state: 'down: OpenVPN reconnects',
    prepare: connect,
    hook: 'down',
    call: withEnv({ signal: 'sigusr1' }),
  },
  {
    state: 'up: unlocked by a person',
    prepare: (it) => {
      lock(it);
      must(it.command('unlock'));
    },
    hook: 'up',
    call: TUN0,
  },
  {
    state: 'down: unlocked by a person',
    prepare: (it) => {
      lock(it);
      must(it.command('unlock'));
    },
    hook: 'down',
    call: TUN0,
  },
  {
    state: 'up: the server pushed no resolver',
    prepare: lock,
    hook: 'up',
    call: withEnv({ foreign_option_1: '' }),
  },
  {
    state: 'up: the server pushed a resolver that is refused',
    prepare: lock,
    hook: 'up',
    call: withEnv({ foreign_option_2: 'dhcp-option DNS 127.0.0.1' }),
  },
  {
    state: 'up: an interface of this machine',
    prepare: (it) => {
      lock(it);
      it.sh('ip link add uplink0 type veth peer name router0');
    },
    hook: 'up',
    call: tunnelCall('uplink0'),
  },
  {
    state: 'up: started by hand, without variables',
    prepare: lock,
    hook: 'up',
    call: { argv: [], env: {} },
  },
  {
    state: 'up: a mistake in the settings',
    prepare: asUser,
    settings: ['KILLSWITCH_LAN=everything'],
    hook: 'up',
    call: TUN0,
  },
  {
    state: 'up: resolvconf is asked for and not installed',
    prepare: lock,
    settings: ['KILLSWITCH_RESOLVER=resolvconf'],
    hook: 'up',
    call: TUN0,
  },
  {
    state: 'up: nft fails',
    prepare: (it) => {
      lock(it);
      standIn(it, 'echo broken >&2; exit 1', 'nft');
    },
    hook: 'up',
    call: TUN0,
  },
  {
    state: 'up: the record is damaged',
    prepare: (it) => {
      lock(it);
      it.write(`${STATE}/lock.json`, '{');
    },
    hook: 'up',
    call: TUN0,
  },
];

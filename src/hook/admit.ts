import { demandsOf } from '../dns/demand.ts';
import { KillswitchError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { PATHS } from '../host/paths.ts';
import { loadSettings } from '../machine/load-settings.ts';
import { deviceKind } from '../machine/tunnel-device.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { InterfaceName } from '../net/interface-name.ts';
import { LOOPBACK } from '../net/well-known.ts';
import { baseOf } from '../policy/policy.ts';
import { forgetReplaced } from '../record/former-tunnels.ts';
import { gatherKnown } from '../record/gather-known.ts';
import {
  type LiveTunnel,
  removeLiveTunnel,
  sameLiveTunnel,
  writeLiveTunnel,
} from '../record/live-tunnels.ts';
import { type LockRecord, readLockRecord } from '../record/lock-record.ts';
import { rememberNetworks } from '../record/remembered-networks.ts';
import { hasNames, savedKnown } from '../record/saved-known.ts';
import { settingsInForce } from '../record/settings-in-force.ts';
import { removeLeftDevices } from '../transaction/remove-left-devices.ts';
import { loadRules, setResolvers } from './load-rules.ts';
import { logged } from './logged.ts';

/**
 * Returns the endpoints that the client may use: those of the last `lock`, or read now without one.
 */
export function knownEndpoints(host: Host, record: LockRecord | undefined): readonly Endpoint[] {
  const settings = settingsInForce(host, record);
  const known = savedKnown(host, record) ?? gatherKnown(host, settings, record);
  return baseOf(settings, known).endpoints;
}

/**
 * Refuses loopback, a card or a bridge as a tunnel's device. A VPN makes its own: such a device is
 * a mistake, or worse.
 */
function refuseOtherDevices(host: Host, device: InterfaceName): void {
  if (device !== LOOPBACK && deviceKind(host, device) !== 'other') return;
  throw new KillswitchError(
    'ENVIRONMENT',
    `${device} is not a tunnel but an interface of this machine`,
    'Check the dev line of the profile, and let OpenVPN start the hooks.',
  );
}

/**
 * Adds a tunnel to the rules. `before` is the previous record of its device.
 * @throws KillswitchError when the rules are not in force.
 */
export function admit(host: Host, live: LiveTunnel, before: LiveTunnel | undefined): void {
  const { device } = live.tunnel;
  refuseOtherDevices(host, device);
  // The settings in force are the last `lock`'s. A file with mistakes is reported now, while a
  // person is looking.
  const settings = loadSettings(host);
  // A tunnel known with the same facts keeps its time: `route-up` repeats `up`'s report.
  const isNew = before === undefined || !sameLiveTunnel(before, live);
  // On an open machine too: the left device's routes would break this connection's.
  removeLeftDevices(host, device);
  if (isNew) writeLiveTunnel(host, live);
  try {
    loadRules(host, { came: live });
  } catch (thrown) {
    // OpenVPN then gives up: the next hook must not load a tunnel that never came up.
    if (before === undefined) removeLiveTunnel(host, live);
    throw thrown;
  }
  // Only now: until the new rules are loaded, the former tunnel's networks must stay shut.
  forgetReplaced(host);
  let isNews = false;
  // The tunnel is in the rules already: failing to remember its networks is no reason to end it.
  logged(host, () => {
    isNews = rememberNetworks(host, live);
  });
  setResolvers(host);
  const record = readLockRecord(host);
  if (isNew && record?.locked === true && demandsOf(settings, [live]).length === 0)
    host.log({
      level: 'warn',
      event: 'no-resolver',
      message: `${device}: the server pushed no usable resolver, so DNS stays blocked; name one in KILLSWITCH_DNS`,
    });
  // In the background: DNS through the tunnel works only once OpenVPN goes on, and it waits for
  // this hook.
  if (isNews || hasNames(host, record))
    logged(host, () => host.startAfterwards(PATHS.command, ['refresh']));
}

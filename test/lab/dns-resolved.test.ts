import type { Service } from '../../src/proof/service.ts';
import { PREFER_UPLINK, startResolved } from '../support/resolved.ts';
import { specifyResolvers } from './resolvers.ts';

const running: Service[] = [];

specifyResolvers({
  title: 'systemd-resolved, whose uplink claims every name',
  root: 'dns-resolved',
  start: async (world) => void (await startResolved(world, running)),
  prepare: `ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf; ${PREFER_UPLINK}`,
  setBy: ['resolved'],
  // A tunnel that is still there, and of which it knows nothing, is as it was before too.
  shows: `for what in dns domain default-route dnssec dnsovertls; do resolvectl $what; done | grep -vE 'tun[01].:( no)?[[:space:]]*$'`,
  atBoot: PREFER_UPLINK,
});

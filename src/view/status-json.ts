import { endpointText } from '../net/endpoint.ts';
import { sessionText } from '../net/session.ts';
import { pinnedJson } from '../record/pins.ts';
import type { View } from './view.ts';

/**
 * Renders version 1 of the machine-readable status, as docs/reference/status.md describes it. New
 * fields do not change the version.
 */
export function statusJson({
  report,
  turnsIn,
  goesBackIn,
  portal: open,
  now,
  pins,
  resolvers,
  boot,
  watch,
  drops,
  neighbours,
  unknown,
  connection,
}: View): string {
  const { state, exact, record, choice, intended, stale, differences } = report;
  return JSON.stringify(
    {
      version: 1,
      state,
      exact,
      unknown,
      connection: connection.kind,
      since: record?.since ?? null,
      until: turnsIn === undefined ? null : now + turnsIn,
      trialUntil: goesBackIn === undefined ? null : now + goesBackIn,
      portal:
        open === undefined
          ? null
          : {
              until: now + open.closesIn,
              uid: open.portal.uid,
              uplink: open.portal.uplink,
              networks: open.portal.networks.map(({ text }) => text),
              resolvers: open.portal.resolvers.map(({ text }) => text),
              askers: open.portal.askers,
              passed: open.passed,
            },
      settingsChanged: report.settingsChanged,
      backend: choice.backend.name,
      trace: choice.trace,
      boot:
        boot === undefined
          ? null
          : { with: boot.strategy?.name ?? null, sysctl: boot.sysctl, problems: boot.problems },
      watch: watch ?? null,
      sshSessions: intended.policy.base.sessions.map(sessionText),
      endpoints: intended.policy.base.endpoints.map(endpointText),
      names: pins.map(({ name, addresses }) => ({
        name,
        addresses: addresses.map((each) => ({ address: each.address.text, ...pinnedJson(each) })),
      })),
      tunnels: intended.live.map(({ tunnel, since, connection: uuid }) => ({
        device: tunnel.device,
        since,
        connection: uuid ?? null,
        endpoints: tunnel.endpoints.map(endpointText),
        addresses: tunnel.addresses.map(({ text }) => text),
        resolvers: (intended.policy.base.dns ?? tunnel.resolvers).map(({ text }) => text),
        networks: tunnel.networks.map(({ text }) => text),
        offloaded: tunnel.offloaded === true,
        traffic: connection.traffic.get(tunnel.device) ?? null,
        stale: stale.some((each) => each.tunnel.device === tunnel.device),
      })),
      former: [
        ...intended.kept.records.map(({ kind, tunnel, ...record }) => ({
          kind,
          ...tunnel,
          ...record,
        })),
        ...intended.kept.remembered.map(({ maker, networks, since }) => ({
          kind: 'remembered' as const,
          device: undefined,
          addresses: [],
          networks,
          since,
          ...maker,
        })),
      ].map(({ kind, device, since, connection, profile, addresses, networks }) => ({
        kind,
        device: device ?? null,
        since,
        profile: profile ?? null,
        connection: connection ?? null,
        addresses: addresses.map(({ text }) => text),
        networks: networks.map(({ text }) => text),
      })),
      dns:
        resolvers === undefined
          ? null
          : { setBy: resolvers.inUse, differences: resolvers.differences },
      drops: { seconds: drops.seconds ?? null, packets: drops.packets, sinceLoad: drops.sinceLoad },
      neighbours: neighbours.map(({ name, does, fix }) => ({ name, does, fix })),
      differences: differences.map(({ family, chain, id, what }) => ({
        family: family ?? null,
        chain,
        rule: id ?? null,
        what,
      })),
    },
    null,
    2,
  );
}

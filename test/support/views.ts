import type { Backend } from '../../src/backend/backend.ts';
import { differencesOf, type Image } from '../../src/backend/image.ts';
import { nftables } from '../../src/backend/nftables.ts';
import { type Policy, tunnelsOf } from '../../src/policy/policy.ts';
import { parsePins } from '../../src/record/pins.ts';
import { compile } from '../../src/ruleset/compile.ts';
import type { RuleId } from '../../src/ruleset/ruleset.ts';
import type { View } from '../../src/view/view.ts';
import { POLICIES, type PolicyName } from './policies.ts';

/** When the views of tests are seen. */
export const NOW = 1_800_000_000;

/**
 * The image of a ruleset in which every rule with one of these reasons has counted so many packets.
 */
export function countedImage(
  backend: Backend,
  name: PolicyName,
  packets: Readonly<Partial<Record<RuleId, number>>>,
): Image {
  return backend.image(compile(POLICIES[name])).map((chain) => ({
    ...chain,
    rules: chain.rules.map((rule) => ({
      ...rule,
      packets: (rule.id === undefined ? undefined : packets[rule.id]) ?? 0,
    })),
  }));
}

/** The records of a machine with this policy about tunnels that are not live. */
function keptOf({ former }: Policy): View['report']['intended']['kept'] {
  return {
    former,
    records: former.flatMap(({ kind, device, addresses, networks }) =>
      kind === 'remembered' || device === undefined
        ? []
        : [{ kind, tunnel: { device, addresses, networks }, since: NOW - 40, daemon: undefined }],
    ),
    remembered: former.flatMap(({ kind, networks }) =>
      kind === 'remembered'
        ? [{ maker: { profile: '/etc/openvpn/client/a.conf' }, networks, since: NOW - 90_000 }]
        : [],
    ),
  };
}

/**
 * A view of a machine that is locked with a policy, as it should be; `change` spoils the kernel's
 * rules.
 */
export function viewOf(name: PolicyName, change: (image: Image) => Image = (image) => image): View {
  const policy = POLICIES[name];
  const ruleset = compile(policy);
  const expected = nftables.image(ruleset);
  const image = change(expected);
  const differences = differencesOf(expected, image);
  return {
    now: NOW,
    report: {
      state: policy.state,
      exact: differences.length === 0,
      record: {
        locked: true,
        since: NOW - 7200,
        backend: 'nftables',
        wall: false,
        before: [],
        made: [],
      },
      choice: {
        backend: nftables,
        wall: false,
        frames: true,
        trace: ['nftables: the machine is locked with it'],
      },
      found: { image, policies: [], present: true },
      intended: {
        policy,
        ruleset,
        live: tunnelsOf(policy).map((tunnel) => ({
          tunnel,
          since: NOW - 130,
          daemon: undefined,
          deviceSeen: true,
        })),
        kept: keptOf(policy),
      },
      stale: [],
      differences,
      unread: undefined,
      settingsChanged: false,
    },
    refused: [],
    unknown: [],
    turnsIn: undefined,
    goesBackIn: undefined,
    portal:
      policy.state === 'portal'
        ? {
            portal: policy.portal,
            closesIn: 250,
            passed: [
              { uid: 1000, to: '192.168.77.1', transport: 'tcp', port: 80, packets: 7, bytes: 900 },
            ],
          }
        : undefined,
    pins: parsePins({
      'vpn.test': {
        '203.0.113.11': {
          seen: 1_800_000_000,
          from: 'tunnel',
          device: 'tun0',
          by: ['10.8.0.1'],
          used: 1_800_000_000,
        },
        '203.0.113.10': { seen: 1_799_999_000, from: 'lock', by: ['203.0.113.53'] },
      },
    }),
    resolvers: { setting: 'auto', demands: [], inUse: [], differences: [] },
    givenBack: undefined,
    boot: { strategy: undefined, sysctl: false, problems: [] },
    watch: { enabled: false, running: false },
    drops: {
      seconds: 60,
      packets: { rest: 3, 'other-dns': 12 },
      sinceLoad: { rest: 40, 'other-dns': 12 },
    },
    connection: {
      kind: policy.state === 'connected' ? 'flowing' : 'none',
      traffic: new Map(
        tunnelsOf(policy).map(({ device }) => [device, { state: 'flowing', seconds: 4 }] as const),
      ),
    },
    neighbours: [
      { name: 'firewalld', does: 'flushes iptables rules when it reloads', fix: 'true' },
    ],
  };
}

const CONNECTED = viewOf('connected, another tunnel reconnects', (image) => image.slice(1));
/** A view of a machine where every field and metric has a value. */
export const FULL_VIEW: View = {
  ...CONNECTED,
  portal: viewOf('portal, LAN off').portal,
  watch: { enabled: true, running: true },
};

import { expect, test } from 'vitest';
import { KillswitchError } from '../../../src/errors.ts';
import { PATHS } from '../../../src/host/paths.ts';
import { endpointText } from '../../../src/net/endpoint.ts';
import { sessionText } from '../../../src/net/session.ts';
import { readLiveTunnels, writeLiveTunnel } from '../../../src/record/live-tunnels.ts';
import {
  openPortalOf,
  readLockRecord,
  refusedRecord,
  writeLockRecord,
} from '../../../src/record/lock-record.ts';
import { savedKnown } from '../../../src/record/saved-known.ts';
import { readSshSessions, SSH_SESSIONS } from '../../../src/record/ssh-sessions.ts';
import { fakeHost } from '../../support/fake-host.ts';
import { POLICIES, TUN0 } from '../../support/policies.ts';

const FILES = 100_000;
const SESSION = '198.51.100.7 50022 203.0.113.5 22';
const TCP =
  'head\n   0: 057100CB:0016 076433C6:C366 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 20 4 30 10 -1\n';
const NET_DEV = 'head\nhead\n    lo: 0\n  eth0: 0\n  tun0: 0\n';
const MACHINE = {
  [PATHS.devices]: NET_DEV,
  '/sys/class/net/lo/type': '772\n',
  '/sys/class/net/eth0/type': '1\n',
  '/sys/class/net/tun0/tun_flags': '0x1001\n',
  '/proc/net/tcp': TCP,
  '/proc/sys/kernel/random/boot_id': 'this\n',
  '/proc/uptime': '10.5 1\n',
};
const KNOWN = `${PATHS.state}/endpoints.json`;

/** The same numbers at each run: a failure can be had again. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function validFiles(): ReadonlyMap<string, string> {
  const host = fakeHost({ files: MACHINE });
  const { portal } = POLICIES['portal, LAN off'];
  writeLiveTunnel(host, {
    tunnel: TUN0,
    since: 1_800_000_000,
    daemon: { pid: 4711, start: '8765' },
    deviceSeen: true,
  });
  writeLockRecord(host, {
    ...{ locked: true, since: 1, backend: 'nftables', wall: false, made: [] },
    before: [{ family: 'ipv4', chain: 'INPUT', policy: 'ACCEPT' }],
    portal: { portal, ends: { boot: 'this', uptime: 100 } },
  });
  host.write(
    KNOWN,
    JSON.stringify({
      version: 1,
      endpoints: ['203.0.113.10:1194/udp'],
      uids: [0],
      named: [],
      pins: {},
    }),
  );
  host.write(SSH_SESSIONS, JSON.stringify([{ session: SESSION, inode: 77 }]));
  return host.files;
}

const WORDS = [
  '"lo"',
  '"eth0"',
  '"../../etc/shadow"',
  'null',
  '-1',
  '1e999',
  '{}',
  '[]',
  '"0.0.0.0/0"',
  'true',
  'false',
  '"__proto__"',
  '\u0000',
];

/** Faster than `expect`, a hundred thousand times. */
function must(holds: boolean, text: string): void {
  if (!holds) throw new Error(`not so for ${text}`);
}

/** A file with one to three of its parts cut, doubled, changed or swapped. */
function damaged(text: string, below: (most: number) => number): string {
  let out = text;
  for (let turns = 1 + below(3); turns > 0; turns--) {
    const at = below(out.length + 1);
    const end = Math.min(out.length, at + 1 + below(30));
    switch (below(6)) {
      case 0:
        out = out.slice(0, at);
        break;
      case 1:
        out = out.slice(0, at) + out.slice(end);
        break;
      case 2:
        out = out.slice(0, at) + String.fromCharCode(below(256)) + out.slice(at + 1);
        break;
      case 3:
        out = out.slice(0, end) + out.slice(at, end) + out.slice(end);
        break;
      case 4: {
        // A whole value becomes another.
        const values = [...out.matchAll(/"[^"]*"|-?\d+|true|false|null/g)];
        const value = values[below(values.length)];
        if (value !== undefined)
          out =
            out.slice(0, value.index) +
            (WORDS[below(WORDS.length)] ?? '') +
            out.slice(value.index + value[0].length);
        break;
      }
      default:
        out = out.slice(0, at) + (WORDS[below(WORDS.length)] ?? '') + out.slice(at);
    }
  }
  return out;
}

test(`${FILES} damaged state files open nothing that no whole file names, and are never a stack trace`, () => {
  const valid = validFiles();
  const paths = [...valid.keys()].filter(
    (path) => path.endsWith('.json') || path.startsWith(PATHS.tunnels) || path === SSH_SESSIONS,
  );
  expect(paths.length).toBe(4);
  const below = numbers(15);
  const host = fakeHost();
  for (const [path, text] of valid) host.files.set(path, text);
  let [refused, taken] = [0, 0];
  for (let index = 0; index < FILES; index++) {
    const path = paths[index % paths.length] ?? '';
    const good = valid.get(path) ?? '';
    const text = damaged(good, below);
    host.files.set(path, text);
    // No tunnel but by a device that OpenVPN can have made.
    const live = readLiveTunnels(host).map(({ tunnel }) => tunnel.device);
    must(
      live.every((device) => device === TUN0.device),
      text,
    );
    const record = readLockRecord(host);
    if (path.endsWith('lock.json')) {
      if (record === undefined) expect(refusedRecord(host)).toBeDefined();
      // Only a whole record that says so is open, and none of those has a portal or a trial.
      if (record?.locked === false) expect(JSON.parse(text)).toMatchObject({ locked: false });
      const portal = openPortalOf(host, record);
      if (portal !== undefined)
        expect(JSON.parse(text)).toMatchObject({
          locked: true,
          portal: { uid: portal.uid, uplink: portal.uplink },
        });
    }
    // No session but one that the kernel has open, for root.
    must(
      readSshSessions(host).every((session) => sessionText(session) === SESSION),
      text,
    );
    try {
      const known = savedKnown(host, readLockRecord(host));
      for (const endpoint of known?.endpoints ?? [])
        must(
          JSON.stringify(JSON.parse(host.files.get(KNOWN) ?? '')).includes(endpointText(endpoint)),
          text,
        );
      for (const uid of known?.uids ?? []) must(Number.isSafeInteger(uid) && uid >= 0, text);
      taken++;
    } catch (thrown) {
      if (!(thrown instanceof KillswitchError)) throw thrown;
      must(thrown.next.includes('ovpn-killswitch lock'), text);
      refused++;
    }
    host.files.set(path, good);
  }
  expect(refused).toBeGreaterThan(1000);
  expect(taken).toBeGreaterThan(1000);
});

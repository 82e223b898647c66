import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Output } from '../../../src/host/command.ts';
import type { Listen } from '../../../src/host/listener.ts';
import { PATHS } from '../../../src/host/paths.ts';
import { writeLiveTunnel } from '../../../src/record/live-tunnels.ts';
import { PACE } from '../../../src/watch/pace.ts';
import { watch } from '../../../src/watch/watch.ts';
import { readWatch } from '../../../src/watch/watch-report.ts';
import { type FakeHost, fakeHost } from '../../support/fake-host.ts';
import { TUN0 } from '../../support/policies.ts';

const RECORD = (backend: 'iptables' | 'nftables', locked = true) =>
  JSON.stringify({ locked, since: 1, backend, wall: true, before: [], made: [] });
const GENERATION = '# new generation 7 by process 8266 (firewalld)';
const STAT = `77 (node) S ${Array.from({ length: 18 }, () => '0').join(' ')} 4711`;

/** The programs started to listen, with the ways to make it speak and end. */
interface Started {
  readonly program: string;
  readonly line: (text: string) => void;
  readonly ended: (why: string) => void;
  stopped: boolean;
}

interface Scene {
  readonly host: FakeHost;
  readonly started: Started[];
  readonly stop: () => void;
  /** How often the rules were read. */
  readonly looks: () => number;
}

/** A locked machine whose nft takes every script; `lists` is what it says the table holds. */
function scene({
  backend = 'nftables' as 'iptables' | 'nftables',
  version = 'iptables-save v1.8.9 (nf_tables)',
  locked = true,
  lists = { status: 1, stderr: 'Error: No such file or directory' } as Partial<Output>,
} = {}): Scene {
  const host = fakeHost({
    files: {
      '/var/lib/ovpn-killswitch/lock.json': RECORD(backend, locked),
      '/proc/77/stat': STAT,
      '/etc/ovpn-killswitch/killswitch.env': '',
    },
    programs: ['nft', 'ip', 'iptables-save', 'iptables-restore'],
    answer: ({ program, args }) => {
      if (args[0] === '--version') return { stdout: version };
      return program === 'nft' && args.includes('-j') ? lists : {};
    },
  });
  const started: Started[] = [];
  const listen: Listen = (program, _args, line, ended) => {
    const each: Started = { program, line, ended, stopped: false };
    started.push(each);
    return {
      stop: () => {
        each.stopped = true;
      },
    };
  };
  const { stop } = watch(host, listen, 77);
  return {
    host,
    started,
    stop,
    looks: () =>
      host.commands.filter(({ program, args }) =>
        program === 'nft'
          ? args.includes('-j')
          : program === 'iptables-save' && args.includes('-c'),
      ).length,
  };
}

/** From now on: the moments at which it has looked. */
function lookTimes({ host }: Scene): Set<number> {
  const times = new Set<number>();
  const { get } = host.files;
  vi.spyOn(host.files, 'get').mockImplementation((path) => {
    if (path.endsWith('lock.json')) times.add(performance.now());
    return get.call(host.files, path);
  });
  return times;
}

const ofProgram = (it: Scene, program: string): Started => {
  const found = it.started.findLast((each) => each.program === program);
  if (found === undefined) throw new Error(`${program} was not started`);
  return found;
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('watch', () => {
  test('looks at once, then answers to a change at once and to an interface a little later, so that its hook is first', () => {
    // Rules that it cannot read it cannot fix either: the looks alone are counted here.
    const it = scene({ lists: { status: 0, stdout: '{"nftables":[]}' }, locked: false });
    vi.advanceTimersByTime(PACE.deaf + PACE.poll + PACE.rest + 1);
    it.host.files.set('/var/lib/ovpn-killswitch/lock.json', RECORD('nftables'));
    expect(it.looks()).toBe(0);
    ofProgram(it, 'ip').line('5: tun0: <UP>');
    vi.advanceTimersByTime(PACE.link - 1);
    expect(it.looks()).toBe(0);
    ofProgram(it, 'nft').line(GENERATION);
    vi.advanceTimersByTime(PACE.change);
    expect(it.looks()).toBeGreaterThan(0);
    it.stop();
  });

  test('looks no more than a few times a second, however much others change', () => {
    const it = scene({ locked: false });
    const looks = lookTimes(it);
    const monitor = ofProgram(it, 'nft');
    for (let millisecond = 0; millisecond < 10_000; millisecond++) {
      monitor.line('add rule inet others busy counter');
      monitor.line(GENERATION);
      vi.advanceTimersByTime(1);
    }
    expect(looks.size).toBeGreaterThan(10);
    expect(looks.size).toBeLessThanOrEqual(10_000 / PACE.rest + 2);
    it.stop();
  });

  test('that cannot put the rules right says so with the program that changed them, and tries again, later and later', () => {
    const it = scene();
    const failed = () => it.host.logged.filter(({ event }) => event === 'failed');
    ofProgram(it, 'nft').line(GENERATION);
    vi.advanceTimersByTime(1);
    expect(failed().map(({ fields }) => fields)).toEqual([
      { code: 'VERIFY', authors: [{ pid: 8266, name: 'firewalld' }] },
    ]);
    vi.advanceTimersByTime(PACE.failed);
    expect(failed()).toHaveLength(2);
    vi.advanceTimersByTime(PACE.failed);
    expect(failed()).toHaveLength(2);
    vi.advanceTimersByTime(PACE.failed);
    expect(failed()).toHaveLength(3);
    it.stop();
  });

  test('says nothing more often than ten times a minute, also where what it does says it', () => {
    const it = scene();
    const path = `${PATHS.tunnels}/tun0`;
    it.host.files.set(path, '');
    writeLiveTunnel(it.host, {
      tunnel: TUN0,
      since: 1,
      daemon: { pid: 4, start: '5' },
      deviceSeen: false,
    });
    const gone = it.host.files.get(path) ?? '';
    let pruned = 0;
    for (let turn = 0; turn < 50; turn++) {
      it.host.files.set(path, gone);
      ofProgram(it, 'nft').line(GENERATION);
      vi.advanceTimersByTime(PACE.failedMost);
      if (!it.host.files.has(path)) pruned++;
    }
    expect(pruned).toBe(50);
    expect(it.host.logged.filter(({ event }) => event === 'tunnel-stale')).toHaveLength(10);
    it.stop();
  });

  test('leaves an unlocked machine alone', () => {
    const it = scene({ locked: false });
    ofProgram(it, 'nft').line(GENERATION);
    vi.advanceTimersByTime(PACE.idle * 2);
    expect(it.looks()).toBe(0);
    expect(it.host.logged.map(({ event }) => event)).toEqual(['watching']);
    it.stop();
  });

  test.each([
    ['iptables', 'iptables-save v1.8.9 (nf_tables)', PACE.idle],
    ['iptables', 'iptables-save v1.8.9 (legacy)', PACE.poll],
    ['iptables', 'iptables-save v1.6.0', PACE.poll],
    ['nftables', 'iptables-save v1.8.9 (legacy)', PACE.idle],
  ] as const)(
    'asks by itself only where nothing tells: %s, %s: every %s ms',
    (backend, version, milliseconds) => {
      const it = scene({ backend, version, locked: false });
      vi.advanceTimersByTime(PACE.deaf + PACE.poll + 1);
      const looks = lookTimes(it);
      vi.advanceTimersByTime(60_000);
      expect(Math.abs(looks.size - 60_000 / milliseconds)).toBeLessThanOrEqual(1);
      it.stop();
    },
  );

  test.each(['nft', 'ip'])(
    'asks by itself while %s may not hear yet: from its start, and from its end, for a while',
    (program) => {
      const it = scene({ locked: false });
      const looks = lookTimes(it);
      const looksIn = (milliseconds: number) => {
        looks.clear();
        vi.advanceTimersByTime(milliseconds);
        return looks.size;
      };
      expect(looksIn(PACE.deaf)).toBeGreaterThanOrEqual(PACE.deaf / PACE.poll - 1);
      vi.advanceTimersByTime(PACE.poll);
      expect(looksIn(PACE.idle / 2)).toBe(0);
      ofProgram(it, program).ended('it ended with SIGKILL');
      expect(looksIn(PACE.again + PACE.deaf)).toBeGreaterThanOrEqual(
        (PACE.again + PACE.deaf) / PACE.poll - 1,
      );
      vi.advanceTimersByTime(PACE.poll);
      expect(looksIn(PACE.idle / 2)).toBe(0);
      it.stop();
    },
  );

  test('starts what it listens to again when that ends, later and later while it tells nothing', () => {
    const it = scene({ locked: false });
    const starts = () => it.started.filter(({ program }) => program === 'ip').length;
    const die = () => ofProgram(it, 'ip').ended('it ended with status 1');
    die();
    vi.advanceTimersByTime(PACE.again);
    expect(starts()).toBe(2);
    die();
    vi.advanceTimersByTime(PACE.again * 2 - 1);
    expect(starts()).toBe(2);
    vi.advanceTimersByTime(1);
    expect(starts()).toBe(3);
    ofProgram(it, 'ip').line('5: tun0: <UP>');
    die();
    vi.advanceTimersByTime(PACE.again);
    expect(starts()).toBe(4);
    it.stop();
  });

  test('is known to status while its process lives, and leaves nothing when it is stopped', () => {
    const it = scene({ locked: false });
    expect(readWatch(it.host)).toEqual({ enabled: false, running: true });
    it.host.files.set('/proc/77/stat', STAT.replace('4711', '4712'));
    expect(readWatch(it.host)).toEqual({ enabled: false, running: false });
    it.stop();
    expect(it.started.every(({ stopped }) => stopped)).toBe(true);
    expect(it.host.files.has(PATHS.watch)).toBe(false);
    expect(vi.getTimerCount()).toBe(0);
  });
});

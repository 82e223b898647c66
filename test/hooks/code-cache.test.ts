import { afterEach, describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import type { BackendName } from '../../src/policy/settings.ts';
import { pinned } from '../../src/record/hosts-file.ts';
import { parsePins } from '../../src/record/pins.ts';
import { tunnelCall } from './captures.ts';
import {
  BACKENDS,
  BUILT_COMMAND,
  LIBRARY,
  LOG,
  must,
  STATE,
  TUNNELS,
  useMachine,
} from './installed-machine.ts';
import { hideHere, undoAll } from './obstacles.ts';

const call = tunnelCall('tun0');
const cacheOf = (backend: BackendName) => `${LIBRARY}/hooks-${backend}.cache`;
const CACHES = BACKENDS.map(cacheOf);
const EACH = `for cache in ${CACHES.join(' ')}; do`;

/** Asks V8, as the hook does, whether it takes the cache of the file's first half. */
const ASK_V8 = `
const { readFileSync } = require('node:fs');
const source = readFileSync('${LIBRARY}/hooks.js', 'latin1');
const file = readFileSync(process.argv[1]);
const cachedData = file.subarray(0, (file.length - 64) / 2);
const script = new (require('node:vm').Script)(source, { cachedData });
console.log(script.cachedDataRejected);`;

describe('install', () => {
  const machine = useMachine();
  afterEach(() => undoAll(machine()));

  test('makes a code cache for each backend that V8 takes, and leaves no rule, no tunnel and no line in the log', () => {
    const it = machine();
    for (const cache of CACHES)
      expect(must(it.run(process.execPath, '--v8-pool-size=0', '-e', ASK_V8, cache)).stdout).toBe(
        'false\n',
      );
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
    expect(it.list(TUNNELS)).toEqual([]);
    expect(it.exists(LOG)).toBe(false);
    expect(it.status().state).toBe('unlocked');
  });

  test('leaves the names that a lock has pinned in /etc/hosts', () => {
    const it = machine();
    const pins = pinned(
      must(it.run('cat', PATHS.hosts)).stdout,
      parsePins({ 'vpn.test': { '192.0.2.1': 0 } }),
    );
    it.write(PATHS.hosts, pins);
    must(it.run('rm', ...CACHES));
    must(it.command('install'));
    expect(CACHES.map(it.exists)).toEqual([true, true]);
    expect(must(it.run('cat', PATHS.hosts)).stdout).toBe(pins);
  });

  test('leaves a rehearsal that does nothing when somebody starts it by hand', () => {
    const it = machine();
    it.relock();
    const before = [it.rules(), it.list(STATE)];
    for (const words of [
      [],
      ['net:[1]'],
      ['net:[1]', must(it.run('readlink', '/proc/self/ns/mnt')).stdout.trim()],
    ]) {
      const { status, stderr } = it.run(
        process.execPath,
        `${LIBRARY}/rehearsal.js`,
        `${LIBRARY}/hooks.js`,
        ...words,
      );
      expect([status, stderr]).toEqual([
        1,
        expect.stringContaining('only "ovpn-killswitch install" starts this'),
      ]);
    }
    expect([it.rules(), it.list(STATE)]).toEqual(before);
    must(it.command('unlock'));
  });

  test.each(BACKENDS)(
    'keeps code caches that still fit, and makes them anew when that of %s is damaged',
    (backend) => {
      const it = machine();
      const made = () => must(it.run('stat', '-c', '%i', cacheOf(backend))).stdout;
      const first = made();
      must(it.command('install'));
      expect(made()).toBe(first);
      must(it.sh(`printf x | dd of=${cacheOf(backend)} bs=1 seek=5000 conv=notrunc status=none`));
      must(it.command('install'));
      expect(made()).not.toBe(first);
    },
  );

  test('without unshare(1) says that there is no code cache, and the hooks work', () => {
    const it = machine();
    must(it.run('rm', ...CACHES));
    hideHere(it, 'unshare');
    const installed = must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    expect(installed.stdout).toContain('The hooks start without a code cache, a little slower: ');
    expect(CACHES.map(it.exists)).toEqual([false, false]);
    it.relock();
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
  });
});

describe('a hook', () => {
  const machine = useMachine((fresh) => fresh.relock());

  test.each([
    ['gone', 'rm $cache'],
    ['empty', ': >$cache'],
    ['cut off', 'truncate -s 100000 $cache'],
    ['damaged', 'printf xyz | dd of=$cache bs=1 seek=100000 conv=notrunc status=none'],
    ['another program’s', 'head -c 4000 /dev/urandom >$cache'],
    ['another backend’s', `cat ${CACHES.join(' ')} >/run/both; cp /run/both $cache`],
  ])('works when its code cache is %s', (_, damage) => {
    const it = machine();
    must(it.sh(`${EACH} ${damage}; done`));
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
    must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    expect(CACHES.map(it.exists)).toEqual([true, true]);
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import { PATHS } from '../../src/host/paths.ts';
import { pinned } from '../../src/machine/hosts-file.ts';
import { parsePins } from '../../src/machine/pins.ts';
import { tunnelCall } from './captures.ts';
import { BUILT_COMMAND, LIBRARY, LOG, must, STATE, TUNNELS, useMachine } from './installed-machine.ts';
import { hideHere, undoAll } from './obstacles.ts';

const call = tunnelCall('tun0');
const CACHE = `${LIBRARY}/hooks.cache`;

/** Asks V8, as the hook does, whether it takes the cache of the file's first half. */
const ASK_V8 = `
const { readFileSync } = require('node:fs');
const source = readFileSync('${LIBRARY}/hooks.js', 'latin1');
const file = readFileSync('${CACHE}');
const cachedData = file.subarray(0, (file.length - 64) / 2);
const script = new (require('node:vm').Script)(source, { cachedData });
console.log(script.cachedDataRejected);`;

describe('install', () => {
  const machine = useMachine();
  afterEach(() => undoAll(machine()));

  test('makes a code cache that V8 takes, and leaves no rule, no tunnel and no line in the log', () => {
    const it = machine();
    expect(must(it.run(process.execPath, '--v8-pool-size=0', '-e', ASK_V8)).stdout).toBe('false\n');
    expect(JSON.stringify(it.rules())).not.toMatch(/killswitch/i);
    expect(it.list(TUNNELS)).toEqual([]);
    expect(it.exists(LOG)).toBe(false);
    expect(it.status().state).toBe('unlocked');
  });

  test('leaves the names that a lock has pinned in /etc/hosts', () => {
    const it = machine();
    const pins = pinned(must(it.run('cat', PATHS.hosts)).stdout, parsePins({ 'vpn.test': { '192.0.2.1': 0 } }));
    it.write(PATHS.hosts, pins);
    must(it.run('rm', CACHE));
    must(it.command('install'));
    expect(it.exists(CACHE)).toBe(true);
    expect(must(it.run('cat', PATHS.hosts)).stdout).toBe(pins);
  });

  test('leaves a rehearsal that does nothing when somebody starts it by hand', () => {
    const it = machine();
    it.relock();
    const before = [it.rules(), it.list(STATE)];
    for (const words of [[], ['net:[1]'], ['net:[1]', must(it.run('readlink', '/proc/self/ns/mnt')).stdout.trim()]]) {
      const { status, stderr } = it.run(process.execPath, `${LIBRARY}/rehearsal.js`, `${LIBRARY}/hooks.js`, ...words);
      expect([status, stderr]).toEqual([1, expect.stringContaining('only "ovpn-killswitch install" starts this')]);
    }
    expect([it.rules(), it.list(STATE)]).toEqual(before);
    must(it.command('unlock'));
  });

  test('keeps a code cache that still fits, and makes a damaged one anew', () => {
    const it = machine();
    const made = () => must(it.run('stat', '-c', '%i', CACHE)).stdout;
    const first = made();
    must(it.command('install'));
    expect(made()).toBe(first);
    must(it.sh(`printf x | dd of=${CACHE} bs=1 seek=5000 conv=notrunc status=none`));
    must(it.command('install'));
    expect(made()).not.toBe(first);
  });

  test('without unshare(1) says that there is no code cache, and the hooks work', () => {
    const it = machine();
    must(it.run('rm', CACHE));
    hideHere(it, 'unshare');
    const installed = must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    expect(installed.stdout).toContain('The hooks start without a code cache, a little slower: ');
    expect(it.exists(CACHE)).toBe(false);
    it.relock();
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
  });
});

describe('a hook', () => {
  const machine = useMachine((fresh) => fresh.relock());

  test.each([
    ['gone', `rm ${CACHE}`],
    ['empty', `: >${CACHE}`],
    ['cut off', `truncate -s 100000 ${CACHE}`],
    ['damaged', `printf xyz | dd of=${CACHE} bs=1 seek=100000 conv=notrunc status=none`],
    ['another program’s', `head -c 4000 /dev/urandom >${CACHE}`],
  ])('works when its code cache is %s', (_, damage) => {
    const it = machine();
    must(it.sh(damage));
    must(it.hook('up', call));
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', call));
    must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    expect(it.exists(CACHE)).toBe(true);
  });
});

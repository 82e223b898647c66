import { expect, test } from 'vitest';
import {
  BUILT_COMMAND,
  LIBRARY,
  type Machine,
  must,
  useMachine,
} from '../hooks/installed-machine.ts';
import { maintainerScript } from '../support/maintainer-script.ts';
import { RULES } from '../support/package-machine.ts';

const machine = useMachine();

/** How each package manager says that the package goes. */
const REMOVALS = [
  ['deb/prerm', 'remove'],
  ['rpm/preun', '0'],
] as const;

/** The commands that start each timer, on a locked or open machine, and those that decide at once. */
const TIMERS = [
  ['locked', ['unlock', '--for', '1h'], ['lock', '--force']],
  ['open', ['lock', '--force', '--confirm', '1h'], ['confirm']],
  ['locked', ['lock', '--force', '--confirm', '1h'], ['confirm']],
] as const;

async function removal(it: Machine, script: string) {
  it.write('/run/removal', await maintainerScript(script));
  return (word: string) => it.sh(`sh /run/removal ${word}`);
}

test.each(REMOVALS.flatMap(([script, word]) => TIMERS.map((timer) => ({ script, word, timer }))))(
  '$script keeps the command that the timer of $timer calls',
  async ({ script, word, timer }) => {
    const [before, start, decide] = timer;
    const it = machine();
    must(it.run(process.execPath, BUILT_COMMAND, 'install'));
    must(it.sh(`rm -f ${LIBRARY}/*.kept`));
    it.relock('KILLSWITCH_BACKEND=nftables');
    if (before === 'open') must(it.command('unlock'));
    must(it.command(...start));
    const rules = it.sh(RULES).stdout;
    const remove = await removal(it, script);
    const { status, stderr } = remove(word);
    expect(status, stderr).toBe(1);
    for (const text of ['Nothing was removed', 'ovpn-killswitch status', ' unlock'])
      expect(stderr).toContain(text);
    expect(it.sh(RULES).stdout).toBe(rules);
    expect(it.exists(`${LIBRARY}/hooks/up`)).toBe(true);
    expect(it.exists(`${LIBRARY}/recover.kept`)).toBe(false);
    must(it.command(...decide));
    must(remove(word));
    expect(it.exists(`${LIBRARY}/recover.kept`)).toBe(true);
    expect(it.exists(`${LIBRARY}/hooks/up`)).toBe(false);
  },
);

test('a timer of an earlier boot keeps nobody from removing the package', async () => {
  const it = machine();
  must(it.run(process.execPath, BUILT_COMMAND, 'install'));
  it.relock('KILLSWITCH_BACKEND=nftables');
  must(it.command('unlock', '--for', '1h'));
  const record = '/var/lib/ovpn-killswitch/lock.json';
  it.write(record, it.read(record).replace(/"boot": "[^"]*"/, '"boot": "of-another-boot"'));
  must((await removal(it, 'deb/prerm'))('remove'));
});

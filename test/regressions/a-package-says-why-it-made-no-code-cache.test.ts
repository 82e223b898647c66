import { expect, test } from 'vitest';
import { LIBRARY, must, useMachine } from '../hooks/installed-machine.ts';
import { maintainerScript } from '../support/maintainer-script.ts';

const machine = useMachine();
/** Runs a line of shell where the program that makes the code caches cannot be started. */
const WITHOUT_UNSHARE = `unshare -m sh -c 'mount --bind /dev/null "$(command -v unshare)"; eval "$1"' sh`;

test.each([
  ['deb/postinst', 'configure', ''],
  ['rpm/post', '1', ''],
  ['rpm/transfiletriggerin', '', '/usr/bin/a\n/usr/bin/node\n/usr/bin/z\n'],
])('%s prints nothing but why there is no code cache', async (script, word, input) => {
  const it = machine();
  it.write('/run/script', await maintainerScript(script));
  it.write('/run/input', input);
  const command = `sh /run/script ${word} </run/input`;
  expect(must(it.sh(command))).toMatchObject({ stdout: '', stderr: '' });
  expect(it.exists(`${LIBRARY}/hooks-nftables.cache`)).toBe(true);
  must(it.sh(`rm ${LIBRARY}/hooks-*.cache`));
  const { stdout, stderr } = must(it.sh(`${WITHOUT_UNSHARE} '${command}'`));
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^The hooks start without a code cache, a little slower: .*unshare.*\n$/);
  expect(it.exists(`${LIBRARY}/hooks/up`)).toBe(true);
});

test('a package that brings no Node starts nothing', async () => {
  const it = machine();
  it.write('/run/script', await maintainerScript('rpm/transfiletriggerin'));
  must(it.sh(`rm -f ${LIBRARY}/hooks-*.cache`));
  must(it.sh(`printf '/usr/bin/nodejs\\n/usr/bin/node-22\\n' | sh /run/script`));
  expect(it.exists(`${LIBRARY}/hooks-nftables.cache`)).toBe(false);
});

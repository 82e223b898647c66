import { beforeEach, expect, test } from 'vitest';
import { ran, useMachine } from '../hooks/installed-machine.ts';

const HOME = '/run/mallory';
const USER = '61235';
const MANY = 30_000;

const machine = useMachine((fresh) => {
  fresh.settings(
    'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
    `KILLSWITCH_PROFILES=${HOME}/*.conf`,
  );
  fresh.sh(`mkdir -p ${HOME}; chown ${USER}:${USER} ${HOME}`);
});
const asUser = (script: string) =>
  machine().run('setpriv', '--reuid', USER, '--regid', USER, '--clear-groups', 'sh', '-c', script);
const timed = (...args: readonly string[]) => {
  const since = performance.now();
  const ended = machine().command(...args);
  return { ...ended, seconds: (performance.now() - since) / 1000 };
};
/** The time of the command itself, on a machine that may be busy. */
let usual = 0;

beforeEach((context) => {
  if (!machine().sandbox.hasOtherUsers) context.skip('there is no other user here');
  asUser(`find ${HOME} -mindepth 1 -delete`);
  machine().command('unlock');
  usual = timed('lock').seconds;
});

test(`${MANY} profiles in a user's folder are a few lines of lock's, and take no time`, () => {
  asUser(`cd ${HOME}; seq -f '%.0f.conf' ${MANY} | xargs touch`);
  const ended = timed('lock');
  expect(ended.status, ran(ended)).toBe(0);
  expect(`${ended.stdout}${ended.stderr}`.split('\n').length).toBeLessThan(60);
  expect(ended.stdout + ended.stderr).toContain(`${HOME}/*.conf was not read`);
  expect(ended.stdout + ended.stderr).toContain(`${HOME} belongs to uid ${USER}`);
  expect(ended.seconds).toBeLessThan(usual * 3 + 5);
});

test(`detach of a profile beside ${MANY} files that look like drafts of it removes none of them, and takes no time`, () => {
  machine().sh(`chown 0 ${HOME}`);
  machine().write(`${HOME}/vpn.conf`, 'remote 203.0.113.10\n');
  expect(machine().command('attach', `${HOME}/vpn.conf`).status).toBe(0);
  machine().sh(`chown -R ${USER} ${HOME}`);
  asUser(`cd ${HOME}; seq -f '.vpn.conf.%.0f' 4000000 ${4_000_000 + MANY} | xargs touch`);
  const ended = timed('detach', `${HOME}/vpn.conf`);
  expect(ended.status, ran(ended)).toBe(0);
  expect(machine().sh(`find ${HOME} -name '.vpn.conf.*' | wc -l`).stdout.trim()).toBe(
    String(MANY + 1),
  );
  expect(ended.seconds).toBeLessThan(usual * 3 + 5);
});

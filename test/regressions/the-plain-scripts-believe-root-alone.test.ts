import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { patiently } from '../../src/proof/wait-until.ts';
import { BACKENDS, LIBRARY, must, ran, STATE, useMachine } from '../hooks/installed-machine.ts';
import { oursInKernel } from '../support/far-host.ts';

const RUN = '/run/ovpn-killswitch';
const SECRET = '/etc/secret';
const HOME = '/run/mallory';
const USER = '61235';

describe.each(BACKENDS)('with %s', (backend) => {
  const machine = useMachine();
  const asUser = (script: string) =>
    must(
      machine().run(
        'setpriv',
        '--reuid',
        USER,
        '--regid',
        USER,
        '--clear-groups',
        'sh',
        '-c',
        script,
      ),
    );
  const timed = (...argv: readonly string[]) => {
    const since = Date.now();
    const ended = machine().sandbox.run(argv, { milliseconds: patiently(60_000) });
    return { ...ended, seconds: (Date.now() - since) / 1000 };
  };

  beforeEach((context) => {
    if (!machine().sandbox.hasOtherUsers) context.skip('there is no other user here');
    const it = machine();
    it.sh(`chmod 755 ${RUN} ${STATE}; chown 0:0 ${RUN} ${STATE}; rm -rf ${RUN} ${HOME}`);
    it.relock(
      `KILLSWITCH_BACKEND=${backend}`,
      'KILLSWITCH_ENDPOINTS=203.0.113.10:1194/udp',
      'KILLSWITCH_RESOLVER=off',
    );
    it.write(SECRET, 'SECRET-OF-ROOT\n');
    it.sh(`chmod 600 ${SECRET}; mkdir -p ${HOME}; chown ${USER} ${HOME}`);
  });
  afterEach(() => {
    const it = machine();
    expect(it.sh(`stat -c '%u %g %a' ${SECRET}; cat ${SECRET}`).stdout).toBe(
      '0 0 600\nSECRET-OF-ROOT\n',
    );
    it.sh(`chown 0:0 ${RUN} ${STATE}; chmod 755 ${RUN} ${STATE}`);
  });

  // As the script "boot" of earlier versions made it under umask 000.
  const openRun = () => machine().sh(`chmod 777 ${RUN}`);

  test('recover writes no file that a user names in a folder that anybody can write to', () => {
    openRun();
    asUser(
      `mkdir ${RUN}/dns; cd ${RUN}/dns; echo ${SECRET} >place; printf 'SECRET-OF-ROOT\\n' >written; echo mine >before`,
    );
    const ended = machine().run(`${LIBRARY}/recover`);
    expect(ended.status, ran(ended)).toBe(73);
    expect(ended.stderr).toContain(`LEFT: ${RUN}/dns/place is not read`);
    expect(ended.stderr).toContain(`uid ${USER}`);
    expect(oursInKernel(machine())).toEqual([]);
  });

  test('recover removes no file that a user names there', () => {
    openRun();
    asUser(`mkdir ${RUN}/dns; echo ${SECRET} >${RUN}/dns/networkmanager`);
    const ended = machine().run(`${LIBRARY}/recover`);
    expect(ended.status, ran(ended)).toBe(73);
    expect(ended.stderr).toContain(`LEFT: ${RUN}/dns/networkmanager is not read`);
  });

  test('recover believes no file of a user in a folder of root', () => {
    machine().sh(
      `mkdir -p ${RUN}/dns; cd ${RUN}/dns; echo ${SECRET} >place; printf 'SECRET-OF-ROOT\\n' >written; echo mine >before; chown ${USER} *`,
    );
    const ended = machine().run(`${LIBRARY}/recover`);
    expect(ended.status, ran(ended)).toBe(73);
    expect(ended.stderr).toContain(`LEFT: ${RUN}/dns/place is not read`);
  });

  test.each(['recover', 'recover resolvers', 'boot'])(
    'a resolv.conf in a folder of a user, who makes a FIFO of it, hangs no %s',
    (script) => {
      machine().sh(
        `mkdir -p ${RUN}/dns; echo ${HOME}/resolv.conf >${RUN}/dns/place; echo mine >${RUN}/dns/before`,
      );
      asUser(`mkfifo ${HOME}/resolv.conf`);
      const ended = timed('sh', '-c', `${LIBRARY}/${script}`);
      expect(ended.status, ran(ended)).not.toBeNull();
      expect(ended.seconds).toBeLessThan(30);
      expect(ended.stderr).toContain(`${HOME}/resolv.conf is not touched`);
    },
  );

  test('boot stays shut whatever a user writes into a folder of state that anybody can write to', () => {
    machine().sh(`chmod 777 ${STATE}`);
    asUser(`rm -f ${STATE}/lock.plain; echo unlocked >${STATE}/lock.plain`);
    machine().sh('nft flush ruleset');
    const ended = machine().run(`${LIBRARY}/boot`);
    expect(ended.status, ran(ended)).toBe(0);
    expect(oursInKernel(machine())).not.toEqual([]);
    expect(ended.stderr).toContain('non-root users can change');
    machine().sh(`chmod 755 ${STATE}; nft flush ruleset`);
  });

  test('boot loads no base that a user has written', () => {
    const base = backend === 'nftables' ? 'base.nft' : 'base.v4';
    machine().sh(`chown ${USER} ${STATE}/${base}; nft flush ruleset`);
    const ended = machine().run(`${LIBRARY}/boot`);
    expect(ended.status, ran(ended)).toBe(0);
    expect(JSON.stringify(machine().rules())).not.toContain('203.0.113.10');
    expect(oursInKernel(machine())).not.toEqual([]);
    machine().sh(`chown 0 ${STATE}/${base}; nft flush ruleset`);
  });

  test.each(['boot.problem', 'boot.done', 'no-network', 'lock'])(
    'boot and recover write through no link called %s that a user has set',
    (name) => {
      openRun();
      asUser(`rm -f ${RUN}/${name}; ln -s ${SECRET} ${RUN}/${name}`);
      machine().sh(`printf x >>${STATE}/base.nft; printf x >>${STATE}/base.v4`);
      const boot = machine().run(`${LIBRARY}/boot`);
      expect(boot.status, ran(boot)).toBe(0);
      expect(machine().sh(`find ${RUN} -maxdepth 0 -perm /022`).stdout).toBe('');
      machine().run(`${LIBRARY}/recover`);
    },
  );

  test('recover writes no record through a link in a folder of state that anybody can write to, and says how to close it', () => {
    machine().sh(`chmod 777 ${STATE}`);
    asUser(
      `ln -s ${SECRET} ${STATE}/lock.plain.recover; ln -s ${SECRET} ${STATE}/lock.json.recover`,
    );
    const ended = machine().run(`${LIBRARY}/recover`);
    expect(ended.status, ran(ended)).toBe(73);
    expect(ended.stderr).toContain(`sudo chmod go-w ${STATE}`);
    expect(oursInKernel(machine())).toEqual([]);
  });
});

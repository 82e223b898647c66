import { beforeEach, describe, expect, test } from 'vitest';
import { OPENVPN_ENVIRONMENT } from '../support/openvpn-environment.ts';
import { type Call, hookArgv, must, ran, useMachine } from './installed-machine.ts';

const CONF = '/etc/resolv.conf';
const HERE = 'nameserver 192.0.2.1\noptions edns0';
const UP: Call = {
  argv: ['tun0', '1500', '0', '10.8.0.6', '255.255.255.0', 'init'],
  env: OPENVPN_ENVIRONMENT,
};
const DOWN: Call = { argv: ['tun0'], env: { dev: 'tun0' } };

const servers = (text: string) =>
  [...text.matchAll(/^nameserver (\S+)/gm)].map(([, server]) => server);

describe('the hooks and a plain /etc/resolv.conf', () => {
  const machine = useMachine();
  beforeEach(() => {
    const it = machine();
    it.sh(`chattr -i ${CONF} 2>/dev/null; rm -f ${CONF}`);
    it.write(CONF, HERE);
    it.relock('KILLSWITCH_BACKEND=nftables');
  });

  test('up sets it, route-up leaves it as it is, and down gives every byte, its owner and its mode back', () => {
    const it = machine();
    must(it.sh(`chown 7:8 ${CONF}; chmod 640 ${CONF}`));
    must(it.hook('up', UP));
    expect(servers(it.read(CONF))).toEqual(['10.8.0.1', 'fd00:8::1']);
    const written = must(it.sh(`stat -c %i ${CONF}`)).stdout;
    const entries = it.logMark();
    must(it.hook('route-up', { argv: [], env: UP.env }));
    expect(entries().filter(({ event }) => event === 'resolvers')).toEqual([]);
    expect(must(it.sh(`stat -c %i ${CONF}`)).stdout).toBe(written);
    must(it.hook('down', DOWN));
    expect(it.read(CONF)).toBe(HERE);
    expect(must(it.sh(`stat -c '%u:%g %a' ${CONF}`)).stdout).toBe('7:8 640\n');
  });

  test('without root they leave it, and status restores what was left', () => {
    const it = machine();
    must(it.hook('up', UP));
    const down = it.run(
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
      '--bounding-set=-all',
      '--inh-caps=-all',
      ...hookArgv('down', DOWN),
    );
    expect(down.status, ran(down)).toBe(0);
    expect(down.stderr).toContain('restores the resolvers');
    expect(servers(it.read(CONF))).toEqual(['10.8.0.1', 'fd00:8::1']);
    must(it.sh('rm /run/ovpn-killswitch/tunnels/tun0'));
    expect(it.command('status').stdout).toContain('the previous resolvers are restored');
    expect(it.read(CONF)).toBe(HERE);
  });

  test('an immutable one is reported, and the connection is made all the same', (context) => {
    const it = machine();
    const flag = it.run('chattr', '+i', CONF);
    if (flag.status !== 0) context.skip(`chattr cannot be used here: ${flag.stderr.trim()}`);
    const up = it.hook('up', UP);
    expect(up.status, ran(up)).toBe(0);
    expect(up.stderr).toMatch(/immutable.*\[RESOLVERS\]/);
    expect(it.read(CONF)).toBe(HERE);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.hook('down', DOWN));
    must(it.run('chattr', '-i', CONF));
  });

  test('one that leads nowhere is left alone, and the connection is made all the same', () => {
    const it = machine();
    must(it.sh(`ln -sf /run/nobody/resolv.conf ${CONF}`));
    const up = it.hook('up', UP);
    expect(up.status, ran(up)).toBe(0);
    expect(up.stderr).toContain('leads to /run/nobody/resolv.conf');
    must(it.hook('down', DOWN));
    expect(must(it.sh(`readlink ${CONF}`)).stdout).toBe('/run/nobody/resolv.conf\n');
  });

  test('is back after recover, which needs no Node', () => {
    const it = machine();
    must(it.hook('up', UP));
    must(it.sh('/usr/local/lib/ovpn-killswitch/recover resolvers'));
    expect(it.read(CONF)).toBe(HERE);
    expect(it.status()).toMatchObject({ state: 'connected', exact: true });
    must(it.command('lock'));
    expect(servers(it.read(CONF))).toEqual(['10.8.0.1', 'fd00:8::1']);
    must(it.sh('/usr/local/lib/ovpn-killswitch/recover'));
    expect(it.read(CONF)).toBe(HERE);
    expect(it.run('/usr/local/lib/ovpn-killswitch/recover', 'resolver').status).toBe(64);
  });
});

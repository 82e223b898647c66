import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { missingRequirements } from '../../src/proof/missing-requirements.ts';
import { builtRoot } from '../support/debian-root.ts';
import { ANSWERS, type DnsWorld, ISP_RESOLVER, openDnsWorld } from '../support/dns-world.ts';

/**
 * Lines of a profile that `attach` has seen to: it writes the last one where the profile lets
 * OpenVPN itself set the resolvers.
 */
const OFF = 'setenv opt dns-updown disable';

describe('with OpenVPN 2.7, which sets resolvers by itself unless a profile has an up hook', () => {
  let opened: DnsWorld | undefined;
  let obstacle: string | undefined;
  const plan = builtRoot('dns-file-openvpn-2.7');
  beforeAll(async () => {
    obstacle = missingRequirements() ?? plan.obstacle;
    if (obstacle !== undefined) return;
    opened = await openDnsWorld(plan, 'KILLSWITCH_BACKEND=nftables\n', [
      `dns server 1 address 10.8.0.1`,
      'dns search-domains corp.example',
    ]);
    await opened.sh(`rm -f /etc/resolv.conf; echo 'nameserver ${ISP_RESOLVER}' >/etc/resolv.conf
      printf '#!/bin/sh\\nexit 0\\n' >/etc/own-updown; chmod +x /etc/own-updown`);
    await opened.product.must('lock');
  });
  afterAll(() => opened?.close());
  const on = (context: TestContext): DnsWorld => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (opened === undefined) throw new Error('there is no world');
    return opened;
  };

  for (const [what, lines] of [
    ['nothing about it', []],
    ['dns-updown disable', ['dns-updown disable']],
    ['dns-updown force, once attached', ['dns-updown force', OFF]],
    ['a dns-updown of its own, once attached', ['dns-updown /etc/own-updown', OFF]],
  ] as const)
    test(`a profile that says ${what} asks the tunnel’s resolver and nobody else`, async (context) => {
      const world = on(context);
      const client = await world.connect('tun0', ...lines);
      expect(await world.ask()).toEqual([ANSWERS.tun0]);
      expect(await world.sh('cat /etc/resolv.conf')).toMatch(
        /^# ovpn-killswitch.*\nnameserver 10\.8\.0\.1\nsearch corp\.example\n$/,
      );
      await client.end('TERM');
      expect(await world.sh('cat /etc/resolv.conf')).toBe(`nameserver ${ISP_RESOLVER}\n`);
      expect([world.questions('isp'), await world.seenOnUplink()]).toEqual([0, []]);
    });

  test('a profile that forces it, not attached, finds DNS shut and is told why', async (context) => {
    const world = on(context);
    const client = await world.connect('tun0', 'dns-updown force');
    expect(client.said()).toContain('the server pushed no usable resolver');
    expect(await world.ask(1)).toEqual(['nobody']);
    await client.end('TERM');
    expect([world.questions('isp'), await world.seenOnUplink()]).toEqual([0, []]);
  });
});

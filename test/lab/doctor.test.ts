import { describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/host/sandbox.ts';
import { machineWith } from '../support/machine.ts';
import { installProduct, type Product } from '../support/product.ts';

interface Found {
  readonly check: string;
  readonly weight: 'problem' | 'warning';
  readonly what: string;
  readonly fix: string;
}

const LIBRARY = '/usr/local/lib/ovpn-killswitch';
const DEBIAN_UNIT = '[Service]\nLimitNPROC=10\nProtectSystem=true\nProtectHome=true\n';

let product: Product | undefined;
const machine = machineWith('nftables', (sandbox) => {
  product = installProduct(sandbox);
  product.set({ KILLSWITCH_BACKEND: 'nftables', KILLSWITCH_ENDPOINTS: '203.0.113.10:1194/udp' });
  product.succeed('lock');
});

function installed(): Product {
  if (product === undefined) throw new Error('not installed');
  return product;
}

function doctor(): { readonly status: number | null; readonly found: readonly Found[] } {
  const { status, stdout } = installed().run('doctor', '--json');
  return { status, found: JSON.parse(stdout) as readonly Found[] };
}

/**
 * Nothing loads the rules at boot in a sandbox. The findings about this machine itself are left
 * out.
 */
const ownOf = (found: readonly Found[]) =>
  found.filter(({ what }) => what.includes('killswitch') && !what.includes('after a reboot'));

function sh(sandbox: Sandbox, script: string): void {
  const { status, stderr } = sandbox.run(['sh', '-ec', script]);
  if (status !== 0) throw new Error(`${script}: ${stderr}`);
}

test('on a machine that was just installed and locked, nothing of ours is found', (context) => {
  machine.sandbox(context);
  expect(ownOf(doctor().found)).toEqual([]);
});

interface Ailment {
  readonly name: string;
  /** The parts that must work here, so that they can be spoilt. */
  readonly needs?: string;
  readonly spoil: string;
  readonly what: RegExp;
  readonly weight?: 'warning';
  /** Where the fix is for the hands of a person: what fixes it here. */
  readonly fix?: string;
}

const AILMENTS: readonly Ailment[] = [
  {
    name: 'a hook of somebody else',
    spoil: `chown 1 ${LIBRARY}/hooks/up`,
    what: /hooks\/up does not belong to root/,
  },
  {
    name: 'the program of the hooks, which others can write',
    spoil: `chmod o+w ${LIBRARY}/hooks.js`,
    what: /can write to \S+\/hooks\.js/,
  },
  {
    name: 'a folder above, which others can write',
    spoil: 'chmod o+w /usr/local/lib',
    what: /can write to \/usr\/local\/lib$/,
  },
  {
    name: 'base rules of somebody else',
    spoil: 'chown 1 /var/lib/ovpn-killswitch/base.nft',
    what: /base\.nft does not belong to root/,
  },
  {
    name: 'hooks that nobody but root may reach',
    spoil: `chmod o-rx ${LIBRARY}`,
    what: /\/usr\/local\/lib\/ovpn-killswitch is closed to it$/,
    weight: 'warning',
  },
  {
    name: 'a chain that was flushed',
    spoil: 'nft flush chain inet ovpn_killswitch postrouting',
    what: /kernel holds other rules/,
  },
  {
    name: 'a second kill switch',
    spoil:
      "nft add table inet killswitch; nft add chain inet killswitch output '{ type filter hook output priority 10; policy drop; }'",
    what: /"inet killswitch output" drops outgoing packets/,
    weight: 'warning',
    fix: 'nft delete table inet killswitch',
  },
  {
    name: 'rules in both kinds of iptables',
    needs: 'iptables-legacy -t filter -S && iptables-nft -t filter -S',
    spoil: 'for kind in legacy nft; do iptables-$kind -A OUTPUT -j ACCEPT; done',
    what: /both iptables-legacy and iptables-nft hold rules/,
    weight: 'warning',
    fix: 'for kind in legacy nft; do iptables-$kind -F OUTPUT; done',
  },
  {
    name: 'a profile without hooks',
    spoil:
      "mkdir -p /etc/openvpn/client; printf 'client\\nremote 203.0.113.10 1194\\n' >/etc/openvpn/client/a.conf; ovpn-killswitch lock >/dev/null",
    what: /a\.conf does not call up, down, route-up/,
    fix: 'ovpn-killswitch attach /etc/openvpn/client/a.conf; rm /etc/openvpn/client/a.conf; ovpn-killswitch lock',
  },
  {
    name: 'a service with too few tasks',
    spoil: `mkdir -p /etc/systemd/system; printf '${DEBIAN_UNIT.replaceAll('\n', '\\n')}TasksMax=5\\n' >/etc/systemd/system/openvpn-client@.service`,
    what: /openvpn-client@\.service allows 5 tasks/,
  },
  {
    name: 'a card with the address of a former tunnel',
    spoil: `for hook in up down; do
        env -i dev=tun7 script_context=init signal=sigterm ifconfig_local=10.9.9.2 ifconfig_netmask=255.255.255.0 \
          trusted_ip=203.0.113.10 trusted_port=1194 ${LIBRARY}/hooks/$hook tun7 1500 0 10.9.9.2 255.255.255.0 init
      done
      ip link add card9 type veth peer name peer9; ip address add 10.9.9.2/24 dev card9; ip link set card9 up; ip link set peer9 up`,
    what: /card9 has 10\.9\.9\.2, the address that tun7 had/,
  },
  {
    name: 'settings that do not parse',
    spoil: 'echo KILLSWITCH_LAN=everything >>/etc/ovpn-killswitch/killswitch.env',
    what: /KILLSWITCH_LAN is "everything"/,
    fix: 'sed -i /everything/d /etc/ovpn-killswitch/killswitch.env',
  },
];

describe('doctor finds', () => {
  test.for(AILMENTS)(
    '$name, and what it proposes fixes it',
    ({ needs, spoil, what, weight = 'problem', fix }, context) => {
      const sandbox = machine.sandbox(context);
      if (needs !== undefined && sandbox.run(['sh', '-c', needs]).status !== 0)
        context.skip(`this does not work here: ${needs}`);
      const paths = 'export PATH=/usr/local/sbin:$PATH; sudo() { "$@"; }; systemctl() { :; };';
      const before = doctor().found.filter((each) => what.test(each.what));
      expect(before).toEqual([]);
      sh(sandbox, `${paths} ${spoil}`);
      const { status, found } = doctor();
      const [finding, ...more] = found.filter((each) => what.test(each.what));
      expect([finding?.weight, more]).toEqual([weight, []]);
      expect(status).toBe(found.some((each) => each.weight === 'problem') ? 1 : 0);
      sh(sandbox, `${paths} ${fix ?? finding?.fix}`);
      expect(doctor().found.filter((each) => what.test(each.what))).toEqual([]);
    },
  );
});

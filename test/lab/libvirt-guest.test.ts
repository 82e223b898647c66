import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { INTERNET, PORTS } from '../../src/proof/addresses.ts';
import type { Tally } from '../../src/proof/capture.ts';
import { installProduct, type Product, writeSettings } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { LIBVIRT } from './neighbour-table.ts';
import { ASK, expectTunnelAlone, SAY, SETTINGS } from './neighbours.ts';

const ROOT = 'guests-12';
const CONSOLE = '/run/guest.console';
const ADDRESS = `${LIBVIRT.network}.77`;
const VIRSH = 'virsh -q -c qemu:///system';

/**
 * Makes the guest's disk, which is memory: Debian's own kernel, and one program that speaks without
 * a pause and asks the web again and again. The web's answer stands on its console. libvirt and
 * its settings are Debian's, but that a port of the bridge does not wait before it forwards.
 */
const PREPARE = `
sed -i "s/name='virbr0'/& stp='off'/" /etc/libvirt/qemu/networks/default.xml
mkdir -p /srv/guest/root/dev
cd /srv/guest/root
modprobe -S "$(ls /lib/modules)" -a -D virtio_pci virtio_net >modules
cp --parents /bin/busybox /bin/bash $(ldd /bin/bash | grep -o '/[^ ]*') $(cut -d' ' -f2 modules) .
cat >init <<'END'
#!/bin/bash
/bin/busybox mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
insmod() { /bin/busybox insmod "$1"; }
. /modules
/bin/busybox ip address add ${ADDRESS}/24 dev eth0
/bin/busybox ip link set eth0 up
/bin/busybox ip route add default via ${LIBVIRT.network}.1
while :; do echo "page: $(${ASK} | /bin/busybox tail -n 1)"; /bin/busybox usleep 200000; done &
while :; do ${SAY}; /bin/busybox usleep 50000; done
END
chmod 755 init
/bin/busybox find . | /bin/busybox cpio -o -H newc | gzip -1 >../initrd
cat >../guest.xml <<'END'
<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>128</memory>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>/vmlinuz</kernel>
    <initrd>/srv/guest/initrd</initrd>
    <cmdline>console=ttyS0 quiet</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <interface type='network'>
      <source network='default'/>
      <model type='virtio'/>
    </interface>
    <serial type='file'><source path='${CONSOLE}'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
END
`;

/** Ends when the guest's bridge has got so much of it. */
const SPEAKS = `timeout 20 tcpdump -Z root -nn -c 10 -i ${LIBVIRT.bridge} src ${ADDRESS} and dst ${INTERNET.web4} and udp port ${PORTS.echo}`;

/**
 * Changes that libvirt makes beneath a running guest. It takes a guest back to a network that was
 * started anew when it starts itself.
 */
const WORKS = {
  'a restart of libvirtd': LIBVIRT.reload,
  'a restart of its network': `${VIRSH} net-destroy default; ${VIRSH} net-start default; ${LIBVIRT.reload}`,
};

/** The web's answers to the guest so far, one after the other. */
function pages(machine: Booted): readonly (string | undefined)[] {
  return [...machine.file(CONSOLE).matchAll(/^page: (.*)\r$/gm)].map(([, page]) => page);
}

interface Scene {
  readonly machine: Booted;
  readonly product: Product;
  /** Packets that left in clear while the guest was started on the locked machine, and spoke. */
  readonly atStart: Tally['byName'];
}

let scene: Scene | undefined;
const obstacle = bootObstacle({ root: ROOT });

beforeAll(async () => {
  if (obstacle !== undefined) return;
  const machine = await bootMachine({ root: ROOT, prepare: PREPARE });
  try {
    // Not nftables: here libvirt puts its accepts above our rules.
    const product = await installProduct(machine, DIST, SETTINGS('iptables'));
    await product.must('lock');
    await machine.world.capture.tally();
    await machine.sh(`${LIBVIRT.start}; ${VIRSH} create /srv/guest/guest.xml`);
    await waitUntil(
      () => `the guest to be started; its console:\n${machine.file(CONSOLE)}`,
      () => pages(machine).length > 0,
      90_000,
    );
    await machine.sh(SPEAKS);
    scene = { machine, product, atStart: (await machine.world.capture.tally()).byName };
  } catch (thrown) {
    await machine.close();
    throw thrown;
  }
});
afterAll(() => scene?.machine.close());

function at(context: TestContext): Scene {
  if (obstacle !== undefined) context.skip(obstacle);
  if (scene === undefined) throw new Error('the machine was not booted');
  return scene;
}

/** The guest's payload leaves the machine. */
async function heard({ machine }: Scene): Promise<void> {
  await waitUntil(
    () => `the guest to be heard; its console:\n${machine.file(CONSOLE).slice(-2_000)}`,
    async () => ((await machine.world.capture.tally()).byName['guest'] ?? 0) > 0,
    30_000,
  );
}

test('a virtual machine that libvirt starts on a machine locked by iptables is not heard until the unlock', async (context) => {
  const it = at(context);
  expect(it.atStart).toEqual({});
  await it.product.must('unlock');
  await heard(it);
});

describe.each(['nftables', 'iptables'] as const)(
  'a virtual machine of libvirt, beside %s,',
  (backend) => {
    async function open(context: TestContext): Promise<Scene> {
      const it = at(context);
      await it.product.must('unlock');
      await writeSettings(it.machine, SETTINGS(backend));
      return it;
    }

    test('is heard while this machine is open, and not while it is locked, whatever libvirt does', async (context) => {
      const it = await open(context);
      const { machine, product } = it;
      const { capture } = machine.world;
      await heard(it);
      await product.must('lock');
      await capture.tally();
      for (const [name, work] of Object.entries(WORKS)) {
        await machine.sh(work);
        await machine.sh(SPEAKS);
        expect([name, (await capture.tally()).byName]).toEqual([name, {}]);
      }
      await product.must('unlock');
      await heard(it);
    });

    test('reaches the internet through the tunnel alone, and only if KILLSWITCH_FORWARD names its bridge', async (context) => {
      const it = await open(context);
      const page = async () => {
        // The first of them may have been asked for before.
        const enough = pages(it.machine).length + 2;
        await waitUntil(
          'the guest to ask the web',
          () => pages(it.machine).length >= enough,
          90_000,
        );
        return pages(it.machine).at(-1);
      };
      await expectTunnelAlone(it, backend, LIBVIRT.bridge, page);
    });
  },
);

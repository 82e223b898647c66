import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import type { BackendName } from '../../src/policy/settings.ts';
import { LAN } from '../../src/proof/addresses.ts';
import { installProduct, type Product, writeSettings } from '../../src/proof/product.ts';
import { waitUntil } from '../../src/proof/wait-until.ts';
import { DIST } from '../e2e/stage.ts';
import { type Booted, bootMachine, bootObstacle } from '../support/booted.ts';
import { ASK, IMAGE, SETTINGS } from './neighbours.ts';
import { PATIENT_SERVER } from './open-lab.ts';

const ROOT = 'compose-12';

/** Docker with its files in memory, started by the test alone. */
const PREPARE = `
for each in ufw firewalld fail2ban docker.service docker.socket containerd libvirtd.service netfilter-persistent; do systemctl disable $each || :; done
mkdir -p /etc/docker
echo '{ "data-root": "/run/docker-data", "exec-root": "/run/docker-exec", "storage-driver": "vfs" }' >/etc/docker/daemon.json
`;

/** Two services of one project: compose makes a bridge, and docker answers for their names. */
const PROJECT = `
services:
  db:
    image: lab
    container_name: db
    command: [/bin/busybox, sh, -c, '/bin/busybox mkdir -p /srv; echo rows >/srv/table; /bin/busybox httpd -f -p 8000 -h /srv']
  web:
    image: lab
    container_name: web
    command: [/bin/busybox, sleep, '3600']
`;
const SERVICES = `
systemctl start containerd docker
${IMAGE}
mkdir /run/apps
cd /run/apps
cat >compose.yaml <<'END'${PROJECT}END
docker-compose up -d
`;

/**
 * The answer that a container of one service gets from the other, by its name: the static busybox
 * asks DNS with nslookup alone.
 */
const ASK_DB = `
at=$(/bin/busybox nslookup -type=a db 127.0.0.11 | /bin/busybox awk '/^Address/ && !/:53/ { print $2 }')
printf 'GET /table HTTP/1.0\\r\\n\\r\\n' | /bin/busybox nc -w 2 $at 8000
`;

interface Scene {
  readonly machine: Booted;
  readonly product: Product;
}

/** Two services of one compose project beside a lock, with one packet filter. */
export function dockerNetworkWith(backend: BackendName): void {
  const obstacle = bootObstacle({ root: ROOT });
  let scene: Scene | undefined;
  beforeAll(async () => {
    if (obstacle !== undefined) return;
    const machine = await bootMachine({ root: ROOT, prepare: PREPARE });
    scene = {
      machine,
      product: await installProduct(machine, DIST, `${SETTINGS(backend)}KILLSWITCH_FORWARD=br-*\n`),
    };
  });
  afterAll(async () => {
    await scene?.machine.close();
  });
  const at = (context: TestContext): Scene => {
    if (obstacle !== undefined) context.skip(obstacle);
    if (scene === undefined) throw new Error('the machine was not booted');
    return scene;
  };

  test(`two services of one compose project beside ${backend} talk by name and use the tunnel, and nothing else leaves`, async (context) => {
    const { machine, product } = at(context);
    const { world } = machine;
    await machine.sh(SERVICES);
    const inside = async (script: string) =>
      (await machine.ask(['docker', 'exec', 'web', '/bin/busybox', 'sh', '-c', script])).stdout
        .trim()
        .split('\n')
        .at(-1);
    const heard = async () => ({ db: await inside(ASK_DB), internet: await inside(ASK) });
    const switches = await machine.sh(
      'cat /proc/sys/net/bridge/bridge-nf-call-iptables /proc/sys/net/bridge/bridge-nf-call-ip6tables',
    );
    expect(switches).toBe('1\n1\n');
    await waitUntil('the services', async () => (await inside(ASK_DB)) === 'rows', 30_000);
    expect(await heard()).toEqual({ db: 'rows', internet: LAN.client4 });

    const server = await world.startServer(PATIENT_SERVER);
    await machine.writeProfile('/etc/openvpn/client/lab.conf', true);
    await product.must('lock');
    await world.capture.tally();
    expect(await heard()).toEqual({ db: 'rows', internet: '' });
    await machine.sh('systemctl start openvpn-client@lab');
    const connected = async () =>
      JSON.parse((await product.command('status', '--json')).stdout).state === 'connected';
    await waitUntil('the tunnel', connected, 60_000);
    expect(await heard()).toEqual({ db: 'rows', internet: expect.stringMatching(/^10\.8\.0\./) });
    // A network that comes after the lock is forwarded, and its frames pass, without another one.
    await machine.sh(
      'docker network create more; docker network connect more db; docker network connect more web; docker network disconnect apps_default web',
    );
    expect(await heard()).toEqual({ db: 'rows', internet: expect.stringMatching(/^10\.8\.0\./) });
    // With iptables docker has put the rules of the new network above ours: the second wall holds,
    // and status says so.
    expect((await product.command('status')).status).toBe(backend === 'nftables' ? 0 : 2);
    await machine.sh('systemctl stop openvpn-client@lab');
    expect(await heard()).toEqual({ db: 'rows', internet: '' });
    const { clear, byName, vpn } = await world.capture.tally();
    expect({ clear, byName }).toEqual({ clear: 0, byName: {} });
    expect(vpn).toBeGreaterThan(0);
    await server.end();
  });

  test(`a pattern that means the uplink is refused beside ${backend}, and the lock in force stays`, async (context) => {
    const { machine, product } = at(context);
    await product.must('lock');
    await machine.sh(
      'ip link add up-lab type veth peer name up-peer; ip link set up-lab up; ip route add default via 192.0.2.1 dev up-lab onlink metric 1',
    );
    await writeSettings(machine, `${SETTINGS(backend)}KILLSWITCH_FORWARD=up-*\n`);
    const { status, stderr } = await product.command('lock');
    expect([status, stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining('up-* matches up-lab, which is an uplink'),
    ]);
    expect(status).not.toBe(0);
    await machine.sh('ip link delete up-lab');
    await product.must('lock');
  });
}

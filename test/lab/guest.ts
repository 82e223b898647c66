import type { Sandbox } from '../../src/host/sandbox.ts';
import { DEVICE, INTERNET, PROGRAMS } from '../../src/proof/addresses.ts';
import { startService } from '../../src/proof/service.ts';
import { type Visited, WEB_VISITS } from '../../src/proof/services.ts';

/** The interface that leads to the guest, for `KILLSWITCH_FORWARD`. */
export const GUEST = 'guest0';
const SPACE = 'guest';
/** The service that pings. */
export const GUESTS_PING = 'guests-ping';

const LINK = `
ip netns add ${SPACE}
ip link add ${GUEST} type veth peer name eth0 netns ${SPACE}
ip address add 10.99.0.1/24 dev ${GUEST}
ip link set ${GUEST} up
ip -n ${SPACE} link set lo up
ip -n ${SPACE} address add 10.99.0.2/24 dev eth0
ip -n ${SPACE} link set eth0 up
ip -n ${SPACE} route add default via 10.99.0.1
echo 1 >/proc/sys/net/ipv4/ip_forward
nft add table ip guest
nft 'add chain ip guest leaving { type nat hook postrouting priority 100; }'
nft 'add rule ip guest leaving oifname "${DEVICE}" masquerade'
`;

/**
 * Puts a guest behind the client, whose packets leave with the tunnel's address there. It pings a
 * host of the web without a pause.
 */
export async function addGuest(sandbox: Sandbox): Promise<void> {
  const { status, stderr } = await sandbox.ask(['sh', '-euc', LINK]);
  if (status !== 0) throw new Error(`the guest: ${stderr}`);
  startService(sandbox, GUESTS_PING, ['ping', '-n', '-q', '-i', '0.5', INTERNET.web4], {
    at: SPACE,
  });
}

/**
 * The web's answer to the guest over IPv4, and whether an answer of this many bytes comes back.
 */
export async function askAsGuest(sandbox: Sandbox, node: string, bytes: number): Promise<Visited> {
  const visits = WEB_VISITS.filter(({ name }) => name === 'page4' || name === 'echo4');
  const orders = JSON.stringify({ visits, milliseconds: 10_000 });
  const { stdout, stderr } = await sandbox.ask([node, `${PROGRAMS}/proof/visitor.js`, orders], {
    at: SPACE,
  });
  if (stdout === '') throw new Error(`the guest: ${stderr}`);
  const ping = await sandbox.ask(
    ['ping', '-n', '-q', '-c3', '-i0.3', '-W3', `-s${bytes}`, INTERNET.web4],
    { at: SPACE },
  );
  return { ...(JSON.parse(stdout) as Visited), big: ping.status === 0 ? 'answered' : null };
}

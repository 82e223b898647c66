import { type Machine, must } from '../hooks/installed-machine.ts';

/** Gives the machine a card whose neighbour answers pings over IPv4 and IPv6. */
export function addFarHost(it: Machine): void {
  must(
    it.sh(`ip netns add far
      ip link add up0 type veth peer name far0 netns far
      ip -n far addr add 203.0.113.1/24 dev far0; ip -n far addr add 2001:db8::1/64 dev far0 nodad
      ip -n far link set far0 up
      ip addr add 203.0.113.2/24 dev up0; ip addr add 2001:db8::2/64 dev up0 nodad; ip link set up0 up`),
  );
}

/** The families by which the far host answers a ping. */
export function reached(it: Machine): readonly string[] {
  const far = { ipv4: '203.0.113.1', ipv6: '2001:db8::1' };
  return Object.entries(far).flatMap(([family, address]) =>
    it.run('ping', '-nqc1', '-W0.5', address).status === 0 ? [family] : [],
  );
}

/**
 * This product's names in the kernel, read by nft and by iptables-legacy: names of tables and
 * chains, and policies that drop.
 */
export function oursInKernel(it: Machine): readonly string[] {
  const legacy = 'cat /proc/net/ip_tables_names /proc/net/ip6_tables_names';
  const script = `nft list ruleset; [ -z "$(${legacy})" ] || { iptables-legacy-save; ip6tables-legacy-save; }`;
  return must(it.sh(script))
    .stdout.split('\n')
    .filter((line) => /killswitch/i.test(line) || /policy drop|^:\S+ DROP/.test(line))
    .map((line) => line.trim());
}

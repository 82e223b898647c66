import { isUnicast, parseAddress } from '../net/address.ts';
import { type HostName, parseHostName } from '../net/host-name.ts';
import { numberedVariables } from './numbered-variables.ts';
import type { Dnssec, Resolver, Resolvers } from './resolvers.ts';
import type { Refuse } from './tunnel.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** No client asks more than a few, and each needs a rule: a server can push thousands. */
const MOST_RESOLVERS = 8;
/** The system asks for each domain when a short name is not found. */
const MOST_DOMAINS = 32;

/** The properties of a resolver besides its address. */
type Asking = Pick<Resolver, 'transport' | 'dnssec' | 'serverName'>;

/** Keeps new items until there are `most`, and refuses the rest in one line. */
function collect<Item>(most: number, what: string, refuse: Refuse) {
  const kept = new Map<string, Item>();
  let first: string | undefined;
  let left = 0;
  return {
    add: (variable: string, key: string, item: Item): void => {
      if (kept.has(key)) return;
      if (kept.size < most) kept.set(key, item);
      else {
        first ??= variable;
        left++;
      }
    },
    items: (): readonly Item[] => {
      if (first !== undefined)
        refuse(first, `${left} more`, `beyond the ${most} ${what} that are taken`);
      return [...kept.values()];
    },
  };
}

function askingOf(env: Environment, server: number, refuse: Refuse): Asking | undefined {
  const named = (field: string) => ({
    variable: `dns_server_${server}_${field}`,
    value: env[`dns_server_${server}_${field}`],
  });
  const transport = named('transport');
  if (transport.value !== undefined && transport.value !== 'plain' && transport.value !== 'DoT')
    return refuse(transport.variable, transport.value, 'no way in which this system asks DNS');
  const dnssec = named('dnssec');
  const known = (['yes', 'optional', 'no'] as const satisfies readonly Dnssec[]).find(
    (each) => each === dnssec.value,
  );
  if (dnssec.value !== undefined && known === undefined)
    refuse(dnssec.variable, dnssec.value, 'not yes, optional or no');
  const sni = named('sni');
  const serverName = parseHostName(sni.value ?? '');
  if (sni.value !== undefined && serverName === undefined)
    refuse(sni.variable, sni.value, 'not the name of a host');
  return {
    ...(transport.value === 'DoT' ? { transport: 'tls' as const } : {}),
    ...(known === undefined ? {} : { dnssec: known }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/**
 * Reads the DNS servers and domains that the server pushed: `dns_server_N_*` and
 * `dns_search_domain_N` (since OpenVPN 2.6), and `foreign_option_N`. Where a `dns server` is named,
 * OpenVPN takes no `dhcp-option DNS` (options.c, dhcp_options_postprocess_dns): it then holds the
 * same addresses without their ports. Puts servers for certain domains alone last. Refuses each
 * value that does not parse by itself.
 */
export function pushedResolvers(env: Environment, refuse: Refuse): Resolvers {
  const general = collect<Resolver>(MOST_RESOLVERS, 'resolvers', refuse);
  const domains = collect<HostName>(MOST_DOMAINS, 'search domains', refuse);
  const domain = (variable: string, value: string, text: string) => {
    const name = parseHostName(text);
    if (name === undefined) refuse(variable, value, 'not the name of a domain');
    else domains.add(variable, name, name);
  };
  const resolver = (
    variable: string,
    value: string,
    text: string,
    asking: Asking = {},
    family?: 'ipv6',
  ) => {
    const address = parseAddress(text);
    if (address === undefined || (family !== undefined && address.family !== family))
      refuse(variable, value, 'not an address');
    else if (!isUnicast(address)) refuse(variable, value, 'not the address of another host');
    else general.add(variable, address.text, { ...address, ...asking });
  };

  const servers = [];
  for (let n = 1; env[`dns_server_${n}_address_1`] !== undefined; n++) servers.push(n);
  const special = (n: number) => env[`dns_server_${n}_resolve_domain_1`] !== undefined;
  for (const n of [...servers.filter((each) => !special(each)), ...servers.filter(special)]) {
    const asking = askingOf(env, n, refuse);
    if (asking === undefined) continue;
    for (const [index, value] of numberedVariables(env, `dns_server_${n}_address_`)) {
      const port = {
        variable: `dns_server_${n}_port_${index}`,
        value: env[`dns_server_${n}_port_${index}`],
      };
      // The rules recognize DNS by its ports.
      const usual = asking.transport === 'tls' ? '853' : '53';
      if (port.value !== undefined && port.value !== usual)
        refuse(port.variable, `${value} ${port.value}`, `not port ${usual}`);
      else resolver(`dns_server_${n}_address_${index}`, value, value, asking);
    }
  }
  for (const [n, value] of numberedVariables(env, 'dns_search_domain_'))
    domain(`dns_search_domain_${n}`, value, value);
  for (const [n, value] of numberedVariables(env, 'foreign_option_')) {
    const variable = `foreign_option_${n}`;
    const [, type = '', text = ''] = /^dhcp-option (\S+) (.*)$/s.exec(value) ?? [];
    switch (type) {
      case 'DNS':
      case 'DNS6':
        if (servers.length === 0)
          resolver(variable, value, text, {}, type === 'DNS6' ? 'ipv6' : undefined);
        break;
      case 'DOMAIN':
      case 'DOMAIN-SEARCH':
      case 'ADAPTER_DOMAIN_SUFFIX':
        domain(variable, value, text);
        break;
      default:
        refuse(variable, value, 'an option that has no effect here');
    }
  }
  return { resolvers: general.items(), searchDomains: domains.items() };
}

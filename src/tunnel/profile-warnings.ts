import { PULL_FILTERS } from './attachment.ts';
import { type Profile, remoteName } from './profile.ts';
import type { ProfileFacts } from './profile-facts.ts';
import { words } from './profile-options.ts';

/** A problem in a profile: what happens, and what to write or take out. */
export interface Warning {
  readonly what: string;
  readonly fix: string;
}

export interface WarnedProfile {
  readonly profile: Profile;
  readonly facts: ProfileFacts;
  /** The folder of the hooks. */
  readonly folder: string;
  readonly harden: boolean;
  /** How many addresses are known for each name; missing when none is known. */
  readonly addresses?: ReadonlyMap<string, number>;
}

function accountWarning({
  facts: { user, group, downRoot, chroot },
  folder,
}: WarnedProfile): readonly Warning[] {
  const account = user ?? group;
  const down = `${folder}/down`;
  if (
    account === undefined ||
    chroot !== undefined ||
    downRoot.some((command) => words(command)[0] === down)
  )
    return [];
  const [other] = downRoot;
  return [
    {
      what: `OpenVPN becomes ${account} once it is connected: "down" then runs without root and takes no rule away. That is safe: what the rules let into the tunnel ends with the tunnel, and the next hook or command with root clears up`,
      fix:
        other === undefined
          ? `add: plugin openvpn-plugin-down-root.so "${down}"`
          : `call ours first in that plugin's line: "${down} --then ${other}"`,
    },
  ];
}

function chrootWarning({ facts: { chroot } }: WarnedProfile): readonly Warning[] {
  if (chroot === undefined) return [];
  return [
    {
      what: `OpenVPN locks itself into ${chroot} once it is connected: there is no hook in there, so "down" is left out, and a reconnect that calls "up" ends OpenVPN. The rules hold all the while`,
      fix: `take out: chroot ${chroot}`,
    },
  ];
}

function deadLoopWarning({
  profile: { remotes },
  facts: { persistTun },
  addresses,
}: WarnedProfile): readonly Warning[] {
  const hosts = new Set(remotes.map(({ host }) => host));
  // OpenVPN counts each address behind a name as a server.
  const servers = [...hosts].reduce(
    (count, host) => count + Math.max(1, addresses?.get(host.toLowerCase()) ?? 1),
    0,
  );
  if (!persistTun || servers < 2) return [];
  return [
    {
      what: `persist-tun with ${servers} servers: when one of them fails, the way to the next leads into the dead tunnel, and OpenVPN never connects again`,
      fix: 'take out: persist-tun',
    },
  ];
}

function securityWarning({
  facts: { scriptSecurity, commands },
}: WarnedProfile): readonly Warning[] {
  if (scriptSecurity >= 2 || Object.keys(commands).length === 0) return [];
  return [
    {
      what: `script-security is ${scriptSecurity}, so that OpenVPN would have run no hook of this profile: with our "script-security 2" it runs those that are there`,
      fix: 'take out the up, down and route-up lines that you do not want',
    },
  ];
}

function randomNameWarning({
  profile: { remotes },
  facts: { remoteRandomHostname },
}: WarnedProfile): readonly Warning[] {
  // A literal address gets no label (init.c, next_connection_entry).
  const named = remotes.map(remoteName).find((each) => each !== undefined);
  if (!remoteRandomHostname || named === undefined) return [];
  return [
    {
      what: 'remote-random-hostname asks for another name at each connect: none of them can be known beforehand, so that OpenVPN cannot connect while the machine is locked',
      fix: `take out: remote-random-hostname; a server of AWS Client VPN wants a label before its name, and a fixed one will do: remote fixed.${named.name}`,
    },
  ];
}

function configWarning({ facts: { configs } }: WarnedProfile): readonly Warning[] {
  return configs.map((file) => ({
    what: `"config ${file}" reads options from another file, which is not looked at: its remotes are not known, and its up, down and route-up are not called`,
    fix: `put the lines of ${file} in place of: config ${file}`,
  }));
}

function socksWarning({
  profile: { remotes },
  facts: { socksProxy },
}: WarnedProfile): readonly Warning[] {
  if (!socksProxy || remotes.length === 0) return [];
  return [
    {
      what: 'through a SOCKS proxy only TCP is let out: for UDP the proxy names a port that nobody knows before',
      fix: 'use, if you do not already: proto tcp-client',
    },
  ];
}

/**
 * Scripts that Debian and others ship to set resolvers; this product's hook sets them by itself.
 */
const DNS_SCRIPTS = /\/(update-resolv-conf|update-systemd-resolved)(\.sh)?$/;

function dnsScriptWarning({ facts: { commands } }: WarnedProfile): readonly Warning[] {
  const script = Object.values(commands)
    .flatMap(words)
    .find((word) => DNS_SCRIPTS.test(word));
  if (script === undefined) return [];
  return [
    {
      what: `${script} sets the system's resolvers after ours, and not for every name: some questions then go where the rules drop them`,
      fix: `take out the up and down lines that call ${script}`,
    },
  ];
}

function pushWarning({ facts: { pulls, filtered }, harden }: WarnedProfile): readonly Warning[] {
  const open = PULL_FILTERS.filter((start) => !filtered.includes(start));
  if (!pulls || harden || open.length === 0) return [];
  return [
    {
      what: 'the server may push options that open nothing, but hide what happens or end the client for good (openvpn-examples/hardened.ovpn names them)',
      fix: 'run attach with --harden',
    },
  ];
}

/** Lists the problems that a profile has once it is attached, the worst first. */
export function warningsOf(warned: WarnedProfile): readonly Warning[] {
  return [
    chrootWarning,
    deadLoopWarning,
    randomNameWarning,
    configWarning,
    socksWarning,
    securityWarning,
    accountWarning,
    dnsScriptWarning,
    pushWarning,
  ].flatMap((warning) => warning(warned));
}

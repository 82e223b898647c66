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
      what: `OpenVPN becomes ${account} once it is connected: "down" then runs without root and removes no rule. That is safe: the rules for the tunnel let nothing out once it has ended, and the next hook or command with root removes them`,
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
      what: `OpenVPN enters the chroot ${chroot} once it is connected, which holds no hook: "down" never runs, and a reconnect that calls "up" ends OpenVPN. The rules stay in force`,
      fix: `remove: chroot ${chroot}`,
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
      what: `persist-tun with ${servers} servers: when one fails, the route to the next one leads into the dead tunnel, and OpenVPN never reconnects`,
      fix: 'remove: persist-tun',
    },
  ];
}

function securityWarning({
  facts: { scriptSecurity, commands },
}: WarnedProfile): readonly Warning[] {
  if (scriptSecurity >= 2 || Object.keys(commands).length === 0) return [];
  return [
    {
      what: `script-security is ${scriptSecurity}, so OpenVPN ran no script of this profile: with our "script-security 2" it runs them`,
      fix: 'remove the up, down and route-up lines that you do not want',
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
      what: 'remote-random-hostname picks a new name at each connect: none of them is known beforehand, so OpenVPN cannot connect while the machine is locked',
      fix: `remove: remote-random-hostname; a server of AWS Client VPN wants a label before its name, and a fixed one will do: remote fixed.${named.name}`,
    },
  ];
}

function configWarning({ facts: { configs } }: WarnedProfile): readonly Warning[] {
  return configs.map((file) => ({
    what: `"config ${file}" reads options from another file, which attach ignores: its remotes stay unknown, and its up, down and route-up are not called`,
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
      what: 'only TCP may use a SOCKS proxy: for UDP the proxy picks a port that is not known beforehand',
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
      what: `${script} sets the system's resolvers after ours, and not for every name: some queries then go where the rules drop them`,
      fix: `remove the up and down lines that call ${script}`,
    },
  ];
}

function pushWarning({ facts: { pulls, filtered }, harden }: WarnedProfile): readonly Warning[] {
  const open = PULL_FILTERS.filter((start) => !filtered.includes(start));
  if (!pulls || harden || open.length === 0) return [];
  return [
    {
      what: 'the server may push options that open nothing, but hide events or end the client for good (openvpn-examples/hardened.ovpn names them)',
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

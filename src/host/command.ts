/** Programs that a command may run; `sh` is only for the plain scripts. */
export type Program =
  | 'nft'
  | 'ip'
  | `${'iptables' | 'ip6tables'}${'' | '-nft' | '-legacy'}-${'restore' | 'save'}`
  | 'conntrack'
  | 'cp'
  | 'ip'
  | 'resolvectl'
  | 'resolvconf'
  | 'nmcli'
  | 'systemctl'
  | 'rc-update'
  | 'rc-service'
  | 'ping'
  | 'curl'
  | 'setpriv'
  | 'stat'
  | 'unshare'
  | 'dmesg'
  | 'tail'
  | 'sh';

/**
 * The kinds of change that an effect makes: this product's rules, a file or link, a kernel setting,
 * the system's resolvers, a connection of NetworkManager's, a network device, connections in
 * conntrack, or a running service.
 */
export const CHANGE_KINDS = [
  'rules',
  'file',
  'setting',
  'resolvers',
  'connection',
  'device',
  'flows',
  'service',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One run of a program as a value: it can be printed, compared and run. */
export interface Command {
  readonly program: Program;
  readonly args: readonly string[];
  readonly stdin?: string;
  /** Its time limit; by default ten seconds, and a minute for `sh`. */
  readonly milliseconds?: number;
  /** The changes it makes when it ends well. Set where a look has found that there is a difference. */
  readonly changes?: ChangeKind;
}

/** The result of a run. `status` is null when it did not end by itself. */
export interface Output {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

import type { BackendName } from '../../src/policy/settings.ts';

/**
 * The storm puts so many rules in place of as many, in each of five hundred transactions a second.
 */
const RULES = 4;

/** Rule changes a millisecond. */
const PACE = 4;

/** Programs that change rules of their own; each is fed by a pipe and runs all the time. */
export type Stormer = 'nft' | 'iptables';

/**
 * Names that the kernel then tells: whatever else changes rules is neither the storm nor the test.
 */
const NAMES = { storm: 'storm', tamper: 'tamper' } as const;

const PREPARE = `
mkdir -p /run/storm.d/nft /run/storm.d/iptables
for each in ${NAMES.storm} ${NAMES.tamper}; do
  ln -sf "$(command -v nft)" /run/storm.d/nft/$each
  ln -sf "$(readlink -f "$(command -v iptables)")" /run/storm.d/iptables/$each
done
`;

/** Takes our rules away in the middle of a storm. */
export const TAMPER: Readonly<Record<BackendName, string>> = {
  nftables: `/run/storm.d/nft/${NAMES.tamper} delete table inet ovpn_killswitch`,
  iptables: `/run/storm.d/iptables/${NAMES.tamper} iptables -w -F`,
};

/** Ends with 0 when they are back. */
export const IS_BACK: Readonly<Record<BackendName, string>> = {
  nftables: 'nft list chain inet ovpn_killswitch postrouting',
  iptables: 'iptables -w -C OUTPUT -j KILLSWITCH-OUTPUT',
};

/** Ends with 0 when the storm has begun. */
export const HAS_BEGUN = 'nft list table inet others';

const each100 = (
  rules: number,
  before: string,
  rule: string,
  after: string,
) => `$(for each in $(seq 100); do
  ${before}
  for port in $(seq ${rules}); do ${rule}; done
  ${after}
done)`;

const STORMERS: Readonly<
  Record<
    Stormer,
    { readonly start: string; readonly changes: (rules: number) => string; readonly end: string }
  >
> = {
  nft: {
    start: `/run/storm.d/nft/${NAMES.storm} 'add table inet others; add chain inet others busy'
/run/storm.d/nft/${NAMES.storm} -i </run/storm.d/nft.pipe >/dev/null &`,
    changes: (rules) =>
      each100(
        rules,
        "printf 'flush chain inet others busy'",
        'printf "; add rule inet others busy ip daddr 192.0.2.$each udp dport $port counter"',
        'echo',
      ),
    end: `/run/storm.d/nft/${NAMES.storm} delete table inet others`,
  },
  // In the table of ours: what is read and loaded there has to hold against it.
  iptables: {
    start: `/run/storm.d/iptables/${NAMES.storm} iptables-restore --noflush -w </run/storm.d/iptables.pipe &`,
    changes: (rules) =>
      each100(
        rules,
        'echo "*filter"; echo ":BUSY - [0:0]"',
        'echo "-A BUSY -d 192.0.2.$each -p udp --dport $port"',
        'echo COMMIT',
      ),
    end: `for each in -F -X; do /run/storm.d/iptables/${NAMES.storm} iptables -w $each BUSY; done`,
  },
};

/**
 * A shell script that changes rules of its own for so long, by these programs in turn: four
 * thousand a second where the machine has time. On one that has not, fewer transactions with more
 * rules each come to as many. Says how many rules it has changed a second.
 */
export const STORM = (seconds: number, stormers: readonly Stormer[], rules = RULES) => `
${PREPARE}
start=$(date +%s%N)
past() { echo $(( ($(date +%s%N) - start) / 1000000 )); }
pids=
${stormers
  .map(
    (name, index) => `
changes${index}=${STORMERS[name].changes(rules)}
mkfifo /run/storm.d/${name}.pipe
${STORMERS[name].start}
pids="$pids $!"
exec ${index + 3}>/run/storm.d/${name}.pipe
rm /run/storm.d/${name}.pipe`,
  )
  .join('\n')}
start=$(date +%s%N)
turn=0
while [ $(past) -lt ${seconds}000 ]; do
  case $((turn % ${stormers.length})) in
${stormers.map((_, index) => `    ${index}) echo "$changes${index}" >&${index + 3} ;;`).join('\n')}
  esac
  turn=$((turn + 1))
  ahead=$((turn * 100 * ${2 * rules} / ${PACE} - $(past)))
  if [ $ahead -gt 0 ]; then sleep 0.$(printf %03d $ahead); fi
done
${stormers.map((_, index) => `exec ${index + 3}>&-`).join('; ')}
for each in $pids; do wait $each; done
echo $((turn * 100 * ${2 * rules} * 1000 / $(past)))
${stormers.map((name) => STORMERS[name].end).join('\n')}
`;

/** The lines of "nft monitor" about a storm. */
export interface Told {
  /** Rules that the storm added or took away. */
  readonly changes: number;
  /**
   * Transactions of others than the storm and the test: before the first tampering, and from
   * then on.
   */
  readonly quiet: number;
  readonly later: number;
  /** Transactions that it lost: then the others say less than there was. */
  readonly lost: number;
}

export function readTold(text: string): Told {
  const told = { changes: 0, quiet: 0, later: 0, lost: 0 };
  let [rules, tampered, last] = [0, false, 0];
  for (const line of text.split('\n')) {
    if (/^(add|delete) rule /.test(line)) rules++;
    const [, generation, name] =
      /^# new generation (\d+) by process \d+ \((.*)\)$/.exec(line) ?? [];
    if (generation === undefined) continue;
    if (name === NAMES.storm) told.changes += rules;
    else if (name === NAMES.tamper) tampered = true;
    else if (tampered) told.later++;
    else told.quiet++;
    if (last > 0) told.lost += Number(generation) - last - 1;
    [rules, last] = [0, Number(generation)];
  }
  return told;
}

/**
 * A shell script: processor time of a process, of what it has run, and of what still runs for it,
 * in seconds; and the memory of all of them now, in MiB.
 */
export const COST = (pid: number) => `
for each in ${pid} $(cat /proc/${pid}/task/*/children); do
  sed 's/.*) //' /proc/$each/stat | cut -d' ' -f12-15
  awk '/^VmRSS/ { print "rss", $2 }' /proc/$each/status
done | awk -v hertz=$(getconf CLK_TCK) '$1 == "rss" { rss += $2; next } { ticks += $1 + $2 + $3 + $4 } END { print ticks / hertz, rss / 1024 }'
`;

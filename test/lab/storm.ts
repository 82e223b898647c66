/**
 * A shell script that changes rules of its own for so long, a thousand times a second, each change a transaction. Says how many it came to a
 * second.
 */
export const STORM = (seconds: number) => `
nft 'add table inet others; add chain inet others busy'
start=$(date +%s%N)
past() { echo $(( ($(date +%s%N) - start) / 1000000 )); }
changes=$(echo flush chain inet others busy; for each in $(seq 99); do echo "add rule inet others busy ip daddr 192.0.2.$each counter"; done)
mkfifo /run/storm
nft -i </run/storm >/dev/null &
exec 3>/run/storm
rm /run/storm
turn=0
while [ $(past) -lt ${seconds}000 ]; do
  echo "$changes" >&3
  turn=$((turn + 1))
  ahead=$((turn * 100 - $(past)))
  if [ $ahead -gt 0 ]; then sleep 0.0$(printf %02d $((ahead > 99 ? 99 : ahead))); fi
done
exec 3>&-
wait $!
echo $((turn * 100000 / $(past)))
nft delete table inet others
`;

/** A shell script: processor time of a process, of what it has run, and of what still runs for it, in seconds; and the memory of all of them now, in MiB. */
export const COST = (pid: number) => `
for each in ${pid} $(cat /proc/${pid}/task/*/children); do
  sed 's/.*) //' /proc/$each/stat | cut -d' ' -f12-15
  awk '/^VmRSS/ { print "rss", $2 }' /proc/$each/status
done | awk -v hertz=$(getconf CLK_TCK) '$1 == "rss" { rss += $2; next } { ticks += $1 + $2 + $3 + $4 } END { print ticks / hertz, rss / 1024 }'
`;

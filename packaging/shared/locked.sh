# shellcheck shell=sh
# Included in the maintainer scripts. None of them changes a rule.

# locked: whether this machine may be locked. Only the word that the boot script takes counts as open, or that there was never a lock.
locked() {
  if [ -f '@PLAIN_RECORD@' ] && [ "$(cat '@PLAIN_RECORD@')" = unlocked ]; then return 1; fi
  for each in '@PLAIN_RECORD@' '@LOCK_RECORD@' '@STATE@'/base.*; do
    if [ -e "$each" ]; then return 0; fi
  done
  return 1
}

# timed: whether a timer of this boot is still to change the rules. "unlock --for", "lock --confirm" and "portal" leave the boot's id in the record.
timed() { [ -e '@LOCK_RECORD@' ] && grep -qF "$(cat /proc/sys/kernel/random/boot_id)" '@LOCK_RECORD@'; }

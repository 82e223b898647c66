# shellcheck shell=sh
# after_installation: makes what belongs to this machine and its Node.
after_installation() {
  # Left by a removal while the machine was locked.
  rm -f '@LIBRARY@/@REMOVED@' '@LIBRARY@/boot.kept' '@LIBRARY@/recover.kept'
  # The hooks, and what this very Node has compiled of them. It changes no rule.
  said=$('@COMMAND@' install)
  printf '%s\n' "$said" | grep -E '^(@NO_CODE_CACHE@|@NOT_MOVED@|@NOT_RENEWED@)' >&2 || :
}

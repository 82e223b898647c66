# shellcheck shell=sh
# before_installation: before the files of a package are placed.
before_installation() {
  # A hook may start while files are replaced: it must not meet the new program with a code cache of the old one.
  rm -f '@LIBRARY@'/hooks-*.cache
}

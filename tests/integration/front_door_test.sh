#!/bin/sh
# ./dev: what it says without building anything. (The builds themselves are what CI runs.)
set -eu
dev=$TERN_SOURCE_DIR/dev

fail() {
  echo "FAILED: $*"
  exit 1
}

sh -n "$dev" || fail "./dev is not POSIX sh"

"$dev" > list.txt || fail "./dev alone must succeed"
for command in run build test lint bench serve fuzz clean; do
  grep -q "^  $command " list.txt || fail "./dev alone must list $command"
done

status=0
"$dev" no-such-command > out.txt 2> err.txt || status=$?
[ "$status" -eq 2 ] || fail "an unknown command must exit with 2, got $status"
[ ! -s out.txt ] || fail "an unknown command must leave stdout alone"
[ "$(wc -l < err.txt)" -eq 1 ] || fail "an unknown command must print one line"

# From another folder, through a link and a path with a space.
mkdir "a folder"
ln -s "$dev" "a folder/dev"
(cd / && "$TERN_TMP/a folder/dev") | cmp -s - list.txt || fail "./dev must work from any folder and through a link"

# Every group that ./dev installs by name has packages, and every package line names its reason.
awk '!/^#/ && NF && NF < 3 { print "no reason: " $0; bad = 1 } END { exit bad }' \
  "$TERN_SOURCE_DIR/tools/packages.txt" || fail "tools/packages.txt"
for group in build lint tidy fuzz bench; do
  grep -q "^$group " "$TERN_SOURCE_DIR/tools/packages.txt" || fail "tools/packages.txt has no group $group"
done

cmake --list-presets=all -S "$TERN_SOURCE_DIR" > presets.txt || fail "CMakePresets.json"
for preset in dev release asan-ubsan tsan scalar-only aarch64-qemu tidy; do
  grep -q "\"$preset\"" presets.txt || fail "there is no preset $preset"
done

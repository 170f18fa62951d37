#!/bin/sh
# tools/unpack_shared.sh in a small checkout of its own: what it unpacks, and that a second run does nothing.
set -eu
command -v xz > /dev/null || { echo "skipped: xz is not installed"; exit 77; }

fail() {
  echo "FAILED: $*"
  exit 1
}

mkdir -p "a checkout/tools" shared/data/plain shared/corpus content/vectors
cp "$TERN_SOURCE_DIR/tools/unpack_shared.sh" "a checkout/tools/"
unpack="a checkout/tools/unpack_shared.sh"
out="a checkout/build/shared-data"
echo one > content/vectors/a.bin
echo text > shared/data/plain/b.txt
echo story > shared/corpus/c.txt
tar -cJf shared/data/vectors.tar.xz -C content vectors

sh "$unpack" 2> first.txt
[ "$(cat "$out/vectors/a.bin")" = one ] || fail "the archive is not unpacked"
[ "$(cat "$out/plain/b.txt")" = text ] || fail "the plain folder is not there"
[ "$(cat "$out/corpus/c.txt")" = story ] || fail "the corpus is not there"
grep -q "unpacking vectors" first.txt || fail "the first run must say what it does"

sh "$unpack" 2> second.txt
[ ! -s second.txt ] || fail "a second run must do nothing"

# A new archive replaces what the old one left.
echo two > content/vectors/new.bin
rm content/vectors/a.bin
tar -cJf shared/data/vectors.tar.xz -C content vectors
sh "$unpack" 2> third.txt
[ "$(cat "$out/vectors/new.bin")" = two ] || fail "a new archive must be unpacked"
[ ! -e "$out/vectors/a.bin" ] || fail "files of the old archive must go"

rm -rf shared
sh "$unpack" 2> fourth.txt || fail "without shared data it must succeed"
grep -q "no shared test data" fourth.txt || fail "without shared data it must say so"

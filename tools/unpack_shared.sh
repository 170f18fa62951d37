#!/bin/sh
# Unpacks ../shared/data/*.tar.xz, where the checkout has that neighbour, into build/shared-data for the tests, and
# links the plain folders beside it. Does nothing when all is there already. Usage: unpack_shared.sh [SHARED]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
shared=${1:-$root/../shared}
out=$root/build/shared-data

if [ ! -d "$shared/data" ]; then
  echo "dev: no shared test data beside this checkout; the tests that need it will say that they skip" >&2
  exit 0
fi
shared=$(cd "$shared" && pwd -P)
mkdir -p "$out"

for archive in "$shared"/data/*.tar.xz; do
  [ -f "$archive" ] || continue
  name=$(basename "$archive" .tar.xz)
  stamp=$out/.$name.stamp
  identity=$(stat -c '%s %y' "$archive")  # %y: to the nanosecond
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$identity" ]; then
    continue
  fi
  echo "dev: unpacking $name" >&2
  # Into a folder of its own first: an interrupted run leaves nothing that looks complete.
  fresh=$out/.unpacking.$$
  rm -rf "$fresh"
  mkdir "$fresh"
  tar -xJf "$archive" -C "$fresh"
  for entry in "$fresh"/*; do
    rm -rf "${out:?}/$(basename "$entry")"
    mv "$entry" "$out/"
  done
  rm -rf "$fresh"
  printf '%s\n' "$identity" > "$stamp"
done

for folder in "$shared"/data/*/ "$shared"/corpus/; do
  [ -d "$folder" ] || continue
  ln -sfn "${folder%/}" "$out/$(basename "$folder")"
done

#!/bin/sh
# Called by ctest as: run_script.sh INTERPRETER SCRIPT TMP SHARED_DATA. Empties TMP and runs the script in it.
set -eu
TERN_TMP=$3
TERN_SHARED_DATA=${TERN_SHARED_DATA:-$4}
export TERN_TMP TERN_SHARED_DATA
rm -rf "$TERN_TMP"
mkdir -p "$TERN_TMP"
cd "$TERN_TMP"
exec "$1" "$2"

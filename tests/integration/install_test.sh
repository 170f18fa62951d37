#!/bin/sh
# An installed copy, moved to another folder: examples in C++ and C are built against it with CMake and with pkg-config,
# and say what the installed program says.
set -eu
build=$(dirname "$TERN")

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

if grep -q '^TERN_SANITIZE:[A-Z]*=.' "$build/CMakeCache.txt"; then
  echo "skipped: a sanitized library needs sanitized programs"
  exit 77
fi

cmake --install "$build" --prefix "$TERN_TMP/first" > install.log
mv first moved
prefix=$TERN_TMP/moved
libdir=$(dirname "$(dirname "$(find "$prefix" -name tern.pc)")")
for file in bin/tern include/tern/tern.h include/tern/tern_c.h share/tern/tern-stories.gguf; do
  [ -f "$prefix/$file" ] || fail "$file is not installed"
done
[ -n "$(find "$prefix/share/doc" -name LICENSE)" ] || fail "the licence is not installed"
if grep -rlF -e "$TERN_SOURCE_DIR" -e "$build" "$prefix/include" "$libdir/cmake" "$libdir/pkgconfig"; then
  fail "these name the source or build folder"
fi

# A shared library, where the build makes one, shows what the headers declare and nothing of the modules inside; standard
# templates are weak.
if [ -e "$libdir/libtern.so" ]; then
  nm -D -C --defined-only "$libdir/libtern.so" > symbols.log
  grep -q ' T tern_load$' symbols.log || fail "libtern.so has no tern_load"
  grep -q ' T tern::v1::Model::' symbols.log || fail "libtern.so has no tern::Model"
  if grep -E ' [A-TX-Z] ' symbols.log | grep -v -E ' T (tern_|tern::v1::)' > others.log; then
    fail "libtern.so shows: $(cat others.log)"
  fi
fi

# The headers alone, as strictly as compilers can be.
printf '#include <tern/tern_c.h>\nint main(void) { return 0; }\n' > header.c
${CC:-cc} -std=c99 -pedantic -Wall -Wextra -Wstrict-prototypes -Werror -I "$prefix/include" -fsyntax-only header.c
printf '#include <tern/tern_c.h>\n#include <tern/tern.h>\nint main() {}\n' > header.cc
${CXX:-c++} -std=c++20 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -I "$prefix/include" -fsyntax-only header.cc

# CMake: the version it may ask for, and the examples.
cmake -G Ninja -S "$TERN_SOURCE_DIR/examples" -B by_cmake -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_BUILD_TYPE=Debug > cmake.log || fail "examples: $(cat cmake.log)"
ninja -C by_cmake > ninja.log || fail "examples: $(cat ninja.log)"

# pkg-config: one of each language.
export PKG_CONFIG_PATH="$libdir/pkgconfig"
version=$(pkg-config --modversion tern)
[ "tern $version" = "$("$prefix/bin/tern" --version)" ] || fail "tern.pc says version $version"
mkdir by_pkg_config
# shellcheck disable=SC2046  # flags are meant to split
${CXX:-c++} -std=c++20 "$TERN_SOURCE_DIR/examples/cpp/simple.cc" -o by_pkg_config/cpp_simple \
  $(pkg-config --cflags --libs tern)
# shellcheck disable=SC2046
${CC:-cc} -std=c99 "$TERN_SOURCE_DIR/examples/c/batch.c" -o by_pkg_config/c_batch $(pkg-config --cflags --libs tern)

# What they write is what the program writes.
model=$(pkg-config --variable=model tern)
LD_LIBRARY_PATH=$libdir
export LD_LIBRARY_PATH
prompt="Once upon a time"
story() { # SEED
  "$prefix/bin/tern" run --no-echo -p "$prompt" -n 60 --seed "$1" 2> run.log
}
expected=$(story 1)
[ -n "$expected" ] || fail "the installed program says nothing: $(cat run.log)"
for example in by_cmake/cpp_simple by_cmake/c_simple by_pkg_config/cpp_simple; do
  [ "$("$example" "$model" "$prompt" 2> example.log)" = "$expected" ] || fail "$example: $(cat example.log)"
done
twice=$(printf '%s\n%s' "$expected" "$expected")
for example in by_cmake/cpp_stream by_cmake/c_stream; do
  [ "$("$example" "$model" "$prompt" 2> example.log)" = "$twice" ] || fail "$example: $(cat example.log)"
done
three=$(printf '%s\n%s\n%s' "$(story 1)" "$(story 2)" "$(story 3)")
for example in by_cmake/cpp_batch by_cmake/c_batch by_pkg_config/c_batch; do
  [ "$("$example" "$model" "$prompt" "$prompt" "$prompt" 2> example.log)" = "$three" ] ||
    fail "$example: $(cat example.log)"
done

# Failures are told, not thrown.
for example in cpp_simple c_simple cpp_batch c_batch; do
  if "by_cmake/$example" no-such-file.gguf "$prompt" > out.log 2> err.log; then fail "$example: no failure"; fi
  grep -q no-such-file.gguf err.log || fail "$example: $(cat err.log)"
done

#!/bin/sh
# Compiles the CUDA kernels that the figures of docs/cuda.md hang on for one GPU, and writes what ptxas says of each
# (registers, spills) to build/kernels/<GPU>-cuda<version>.txt, for the rows of bench/budgets.json. The version is part of
# the name because another ptxas gives other numbers. Flags are those of cmake/cuda.cmake. POSIX sh; ./dev gate runs it.
set -eu
cd "$(dirname "$(readlink -f "$0")")/.."
gpu=sm_90a
nvcc=${CUDACXX:-$(command -v nvcc || true)}
if [ -z "$nvcc" ] && [ -x /usr/local/cuda/bin/nvcc ]; then nvcc=/usr/local/cuda/bin/nvcc; fi
if [ -z "$nvcc" ]; then
  echo "kernels: SKIPPED, there is no nvcc (CUDACXX names one): budgets of registers and spills are absent" >&2
  exit 0
fi
version=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
out=build/kernels/$gpu-cuda$version.txt
mkdir -p build/kernels
if [ -f "$out" ] && [ -z "$(find src/backend/cuda/kernels src/backend/kv_layout.h tools/kernel_resources.sh -type f -newer "$out")" ]; then exit 0; fi
echo "kernels: asking ptxas $version for registers and spills on $gpu" >&2
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
for name in linear_one attention_split linear_many head_stream; do
  printf '%s\n' "$name"
done | xargs -P "$(nproc)" -I '{}' sh -c "\"\$0\" -std=c++20 -O3 -DNDEBUG -fmad=false --expt-relaxed-constexpr \
  -diag-suppress=177 -Isrc -gencode arch=compute_${gpu#sm_},code=$gpu -cubin -Xptxas -v -o \"\$1/{}.cubin\" \
  src/backend/cuda/kernels/{}.cu > \"\$1/{}.txt\" 2>&1 || { cat \"\$1/{}.txt\" >&2; exit 255; }" "$nvcc" "$parts"
cat "$parts"/*.txt > "$out.part"
mv "$out.part" "$out"

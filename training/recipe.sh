#!/usr/bin/env bash
# The whole recipe: tokenizer, four dense teachers, the ternary student, export and checks.
# usage: recipe.sh CORPUS WORK        (CORPUS: the folder of text files; WORK: everything is written there)
#   GPUS=2    teachers trained at a time, one to a GPU (default 1)
#   PYTHON=.. the interpreter that has PyTorch (default python3)
set -euo pipefail
corpus=$1 work=$2
script=$(dirname "$0")/train_stories.py
export PYTHON=${PYTHON:-python3} script work
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-4} HF_HUB_OFFLINE=1

mkdir -p "$work"
$PYTHON "$script" prepare --corpus "$corpus" --work "$work"

teacher() { # name, dropout, weight decay, seed, windows to write
  # shellcheck disable=SC2154  # xargs --process-slot-var sets it
  CUDA_VISIBLE_DEVICES=$slot $PYTHON "$script" train --work "$work" --out "$work/teacher_$1.pt" \
    --dense --hidden 512 --ffn 1536 --layers 10 --heads 8 --kv-heads 4 --lr 1.5e-3 --steps 2600 \
    --dropout "$2" --weight-decay "$3" --decay-until 1 --seed "$4" --write "$5" > "$work/teacher_$1.log"
}
export -f teacher
xargs -P "${GPUS:-1}" -L 1 --process-slot-var=slot bash -euc 'teacher "$@"' - <<'TEACHERS'
a 0.4 0.5 11 6144
b 0.3 0.5 12 4096
c 0.35 1.0 13 6144
d 0.4 0.2 14 4096
TEACHERS

$PYTHON "$script" train --work "$work" --out "$work/student.pt" --layers 9 --dropout 0 --seed 21 --steps 4000 \
  --teachers "$work"/teacher_[abcd].pt --written "$work"/teacher_[abcd].npy

mkdir -p "$work/result"
$PYTHON "$script" export --checkpoint "$work/student.pt" --work "$work" --out "$work/result/hf"

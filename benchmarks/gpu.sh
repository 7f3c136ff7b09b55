#!/bin/sh
# Everything that needs a GPU, in pieces of less than ten minutes: benchmarks/gpu.sh OUT PIECE [OPTION...]
# PIECE: base | base-512 | large | compile | deterministic | checkpointing | levers | profile. Raw results go to OUT as JSON and text.
# OPTIONs are added to the piece's, and the last of two counts: without a GPU, `--device cpu --rounds 1 --shape tiny --sequences 8` shows that a piece of
# `bench` works; `levers` has no --sequences, and `profile` has --steps and no --rounds.
set -eu
out=$1 piece=$2
shift 2
here=$(dirname "$0")
bench() { python -m pld_search bench --schedule pld --schedule decreasing-drop --schedule "$here/schedules/pld-exact.yaml" "$@"; }

mkdir -p "$out"
case $piece in
base) bench --shape base --out "$out/base-128.json" "$@" ;;
base-512) bench --shape base --length 512 --out "$out/base-512.json" "$@" ;;
large) bench --shape large --out "$out/large-128.json" "$@" ;;
compile) bench --shape base --compile both --rounds 6 --out "$out/base-128-compile.json" "$@" ;;
deterministic) bench --shape base --no-trainer --deterministic --out "$out/base-128-deterministic.json" "$@" ;;
checkpointing) bench --shape base --length 512 --no-trainer --activation-checkpointing blocks --out "$out/base-512-checkpointing.json" "$@" ;;
levers) python "$here/levers.py" --shape base --rounds 10 --out "$out/levers-base-128.json" "$@" ;;
profile) python "$here/profile_steps.py" --shape base --out "$out/profile-base.txt" "$@" ;;
*) echo "no piece $piece" >&2 && exit 2 ;;
esac

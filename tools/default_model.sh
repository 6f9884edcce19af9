#!/usr/bin/env bash
# Make the model that ships, from portraits alone: tools/default_model.sh FACES WORK
# It can be stopped at any moment and goes on where it was. FACES: see benchmarks/portraits.py.
set -euo pipefail
faces=${1:?a folder of portraits, see benchmarks/portraits.py}
work=${2:?a folder to work in}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"

python "$root/benchmarks/portraits.py" "$faces" "$work/portraits"

# simulate SET STORE OPTIONS: pictures of 1,400 people, and their crops
simulate() {
    local set=$1 store=$2
    shift 2
    bonaface simulate "$set" --layout folder --faces "$work/portraits" --persons 1400 --frames 2 --seed 0 "$@"
    bonaface prepare folder "$set" "$store"
}
# train OUT STORE MODEL OPTIONS: go on with the run in OUT, or begin it; a run with other settings is refused
train() {
    local out=$1 store=$2 model=$3
    shift 3
    bonaface train "$model" --preset views --data "$store" --protocol split --seed 0 --out "$out" --resume "$@"
}
simulate "$work/set" "$work/store"
train "$work/linear" "$work/store" linear-probe
train "$work/tuned" "$work/store" lp-ft --from "$work/linear"

# The same with what phones' software and players add; the last head gets the mean of the two backbones.
simulate "$work/software-set" "$work/software-store" --software
train "$work/software-linear" "$work/software-store" linear-probe
train "$work/software-tuned" "$work/software-store" lp-ft --from "$work/software-linear"

train "$work/final" "$work/store" linear-probe --set invariance=30 --from "$work/tuned" --from "$work/software-tuned"
python "$root/tools/ship_model.py" "$work/final" "$work/store"

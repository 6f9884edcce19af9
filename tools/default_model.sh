#!/usr/bin/env bash
# Make the model that ships, from portraits alone: tools/default_model.sh FACES WORK
# It can be stopped at any moment and goes on where it was. FACES: see benchmarks/portraits.py.
set -euo pipefail
faces=${1:?a folder of portraits, see benchmarks/portraits.py}
work=${2:?a folder to work in}
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$work"

python "$root/benchmarks/portraits.py" "$faces" "$work/portraits"
bonaface simulate "$work/set" --layout folder --faces "$work/portraits" --persons 1400 --frames 2 --seed 0
bonaface prepare folder "$work/set" "$work/store"

# train OUT MODEL OPTIONS: go on with the run in OUT, or begin it
train() {
    local out=$1 model=$2
    shift 2
    if [ -f "$out/run.json" ]; then
        bonaface train --resume --out "$out"
    else
        bonaface train "$model" --preset views --data "$work/store" --protocol split --seed 0 --out "$out" "$@"
    fi
}
train "$work/linear" linear-probe
train "$work/tuned" lp-ft --from "$work/linear"
train "$work/final" linear-probe --set invariance=30 --from "$work/tuned"
python "$root/tools/ship_model.py" "$work/final" "$work/store"

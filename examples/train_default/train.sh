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

# 2. Training in two runs: from the backbone's weights with gentle changes of the crops, then on with the preset's, where
#    everything but stem and layer1 learns from the first step. A run that was interrupted goes on where it stopped.
train() {
    local run=$1
    shift
    if [ -f "$run/config.toml" ]; then
        trackcli train --resume -o "$run" --val "$out/dev"
    else
        trackcli train --preset default --data "$out/cache" --val "$out/dev" -o "$run" "$@" ${TRAIN_OPTIONS-}
    fi
}
train "$out/first" ${backbone:+--init-backbone "$backbone"} \
    --set sampler.template.low_resolution=0.2 --set sampler.search.low_resolution=0.3 --set sampler.search.aspect=0.2 \
    --set sampler.search.rotation=15 --set sampler.search.blur=0.25 --set sampler.search.bend=0
train "$out/second" --init-from "$out/first" --steps 4000 --seed 1 \
    --set train.learning_rate=7e-4 --set 'train.unfreeze={layer2=0,layer3=0}'

# 3. The tracker is one file: the mean of both runs' weights as fp16, the second's whole recipe in its header.
trackcli trackers average "$out/second" "$out/first" -o "$out/default.safetensors" --force

# 4. Figures: success on what was held back, and whether the score tells that the target is gone.
trackcli eval --tracker "$out/default.safetensors" --dataset folder --root "$out/dev" -o "$out/results" ${EVAL_OPTIONS-}
python "$here/benchmarks/gone.py" --data "$data" --tracker "$out/default.safetensors" -o "$out/gone.json" ${GONE_OPTIONS-}

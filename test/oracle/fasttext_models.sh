#!/bin/sh
# Writes test/data/fixtures/fasttext-*: small models from Debian's fasttext 0.9.2 and its predictions.
#   test/oracle/fasttext_models.sh labelled.txt      # training data: a few hundred lines `__label__x text`
set -e
out=$(dirname "$0")/../data/fixtures
work=$(mktemp -d)
fasttext supervised -input "$1" -output "$work/hs" -dim 6 -epoch 5 -lr 0.5 -minn 2 -maxn 3 -bucket 700 -minCount 12 -loss hs -thread 1
fasttext supervised -input "$1" -output "$work/q" -dim 8 -epoch 5 -lr 0.5 -wordNgrams 2 -bucket 3000 -minCount 12 -thread 1
fasttext quantize -input "$1" -output "$work/q" -qnorm -cutoff 600 -retrain -epoch 1
cp "$work/hs.bin" "$out/fasttext-hs.bin"
cp "$work/q.ftz" "$out/fasttext-quantised.ftz"
fasttext predict-prob "$out/fasttext-hs.bin" "$out/fasttext-lines.txt" 2 > "$out/fasttext-hs.expected.txt"
fasttext predict-prob "$out/fasttext-quantised.ftz" "$out/fasttext-lines.txt" 2 > "$out/fasttext-quantised.expected.txt"

#!/bin/sh
# The way from the base to the table, in small: every stage runs, the assistant lands in the store, and the
# table has the shape that programs rely on. usage: pipeline.sh BUILD_DIR (from the source tree)
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ ! -f recipes/nursery/nursery.gguf ]; then
    echo "skipped: recipes/nursery/nursery.gguf is not there"
    exit 0
fi
# So few samples teach nothing certain: whether the gains are clear is not asked here.
AERIE_HOME=$work/home recipes/nursery/align --build "$1" --work "$work/run" --quick --json "$work/table.json" \
    > "$work/report.txt" || [ $? -eq 1 ]
test -s "$work/home/models/nursery/zephyr.gguf"
for key in prompts models name score score_low score_high kinds json_valid mean_tokens seconds; do
    grep -q "\"$key\":" "$work/table.json" || { echo "the table has no \"$key\""; exit 1; }
done
for name in base sft dpo; do
    grep -q "\"name\": \"$name\"" "$work/table.json" || { echo "the table has no model $name"; exit 1; }
done
cat "$work/report.txt"

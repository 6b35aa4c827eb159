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
test -s "$work/home/models/nursery/starling.gguf"
for key in prompts models name score score_low score_high kinds json_valid mean_tokens seconds \
    start gain gain_low gain_high kl reward_model accuracy pairs own stage_seconds verdict; do
    grep -q "\"$key\":" "$work/table.json" || { echo "the table has no \"$key\""; exit 1; }
done
for name in base sft dpo crlft apa; do
    grep -q "\"name\": \"$name\"" "$work/table.json" || { echo "the table has no model $name"; exit 1; }
done
grep -q '"start": "crlft"' "$work/table.json" || { echo "apa is not compared with crlft"; exit 1; }
grep -q '^Verdict: Zephyr.*; Starling' "$work/report.txt" || { echo "the report has no verdict"; exit 1; }

# The verdict follows the numbers: of four models that answer alike none is better, and that is failure's exit code.
mkdir "$work/alike"
for name in sft dpo crlft apa; do cp "$work/run/sft.jsonl" "$work/alike/$name.jsonl"; done
code=0
"$1/nursery" report --file "$work/alike/sft.jsonl" --file "$work/alike/dpo.jsonl" --file "$work/alike/crlft.jsonl" \
    --file "$work/alike/apa.jsonl" > "$work/alike/report.txt" || code=$?
[ $code -eq 1 ] || { echo "models that answer alike: exit code $code"; exit 1; }
grep -q '^Verdict: .*not beyond the intervals; .*not beyond the intervals; neither' "$work/alike/report.txt" ||
    { echo "models that answer alike, and yet:"; cat "$work/alike/report.txt"; exit 1; }

# Replies of two models to other prompts are no ranking.
sed 's/"id":"heldout-3"/"id":"heldout-4"/' "$work/run/of-sft.jsonl" > "$work/other.jsonl"
! "$1/nursery" rank --file "$work/run/of-base.jsonl" --file "$work/other.jsonl" > /dev/null 2>&1 ||
    { echo "replies to different prompts were ranked"; exit 1; }

# Half of the demonstrations are the careful source's, and rankings have seven replies each.
careful=$(grep -c '"condition":"careful"' "$work/run/demonstrations.jsonl")
[ "$careful" -gt 70 ] && [ "$careful" -lt 130 ] || { echo "$careful of 200 demonstrations are careful"; exit 1; }
! grep -vE '"ranks":\[([1-7],){6}[1-7]\]' "$work/run/ranked.jsonl" "$work/run/ranked-heldout.jsonl" ||
    { echo "a ranking is not of seven"; exit 1; }

# What C-RLFT trains on, piece by piece, has the tokens of the template under which replies are asked for.
grep '"condition":"careful"' "$work/run/demonstrations.jsonl" > "$work/careful.jsonl"
look() { # build recipe
    "$1/aerie" inspect "$work/careful.jsonl" --recipe "recipes/nursery/$2.yaml" --limit 0 --set model=recipes/nursery/nursery.gguf \
        --set template=recipes/nursery/starling.jinja
}
look "$1" crlft > "$work/pieces.txt"
look "$1" sft > "$work/template.txt"
test -s "$work/pieces.txt" && cmp "$work/pieces.txt" "$work/template.txt"
cat "$work/report.txt"

# lib.sh -- what the scripts here share: a scratch folder, one call of the program, checks, a tiny model.
#
# A script is called with the folder of the build: PROGRAMS. It counts what it checked, prints what went
# wrong with what the program said, and fails at its end, so that one run shows every failure.
set -u
build=$(cd "$1" && pwd) || exit 2
PATH=$build:$build/test/e2e:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/aerie-e2e.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
AERIE_HOME=$work/home
export AERIE_HOME
# What whoever runs this has elsewhere is not looked at.
OLLAMA_MODELS=$work/no-ollama
HF_HUB_CACHE=$work/no-cache
export OLLAMA_MODELS HF_HUB_CACHE
# Nor is a server that runs here: nobody listens at this port.
AERIE_HOST=127.0.0.1:1
export AERIE_HOST
unset AERIE_API_KEY
LC_ALL=C
export LC_ALL
n_checks=0
n_failed=0
subject=$(basename "$0")

# Calls aerie; leaves its exit code in $code, what it said in ./out and ./err, and the call in $call.
aerie() {
    call="aerie $*"
    command aerie "$@" > out 2> err < "${input:-/dev/null}"
    code=$?
}

failed() {
    n_failed=$((n_failed + 1))
    printf '%s: FAILED: %s\n    call: %s\n    exit: %s\n' "$subject" "$1" "$call" "$code"
    [ -s out ] && head -c 600 out | sed 's/^/    out: /'
    [ -s err ] && head -c 600 err | sed 's/^/    err: /'
    return 0
}

# check "what should be" COMMAND...: the command must succeed.
check() {
    n_checks=$((n_checks + 1))
    what=$1
    shift
    "$@" > check.log 2>&1 || { failed "$what"; sed 's/^/    /' check.log; }
}

# check_not "what should be" COMMAND...: the command must fail.
check_not() {
    n_checks=$((n_checks + 1))
    what=$1
    shift
    "$@" > check.log 2>&1 && { failed "$what"; sed 's/^/    /' check.log; }
    return 0
}

check_code() { check "exit code $1" [ "$code" -eq "$1" ]; }

# The last call did what it was asked to.
check_done() { check_code 0; }

# check_says PATTERN...: stderr is one sentence with each of these in it, after warnings if there are any.
check_says() {
    check "one sentence on stderr" [ "$(grep -vc '^aerie: warning: ' err)" -eq 1 ]
    check "it begins with the program's name" sh -c 'tail -n 1 err | grep -q "^aerie: "'
    for pattern in "$@"; do check "the sentence has '$pattern'" grep -q -e "$pattern" err; done
}

# check_refused PATTERN...: the call failed with one sentence, and nothing on stdout.
check_refused() {
    check_code 1
    check "nothing on stdout" [ ! -s out ]
    check_says "$@"
}

# The same for words that make no call.
check_misused() {
    check_code 2
    check "nothing on stdout" [ ! -s out ]
    check_says "$@"
}

check_json() { check "one JSON object with $*" sh -c 'file=$1; shift; jsoncheck one "$@" < "$file"' - out "$@"; }
check_lines() { check "JSON lines with $*" sh -c 'file=$1; shift; jsoncheck lines "$@" < "$file"' - out "$@"; }
# value PATH [FILE]: of the JSON object or lines in FILE.
value() { jsoncheck get "$1" < "${2:-out}"; }
count() { jsoncheck count "$1" < "${2:-out}"; }

# No half-written file lies about in the folders given.
check_no_rest() { check "no temporary file stays" [ -z "$(find "$@" -name '*.part-*')" ]; }

skipped() { printf '%s: skipped: %s\n' "$subject" "$1"; }

finish() {
    printf '%s: %d checks, %d failed\n' "$subject" "$n_checks" "$n_failed"
    [ "$n_failed" -eq 0 ] && [ "$n_checks" -gt 0 ]
    exit
}

# A folder with config.json and a tokenizer of 300-odd tokens: bytes, ASCII, a few merges.
make_config() {
    mkdir -p "$1"
    awk 'BEGIN {
        n = split("<unk> <s> </s>", special, " ")
        printf "{\"version\":\"1.0\",\"added_tokens\":["
        for (i = 1; i <= n; i++)
            printf "%s{\"id\":%d,\"content\":\"%s\",\"special\":true,\"normalized\":false}", (i > 1 ? "," : ""), i - 1, special[i]
        printf "],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
        printf "{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},"
        printf "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}]},\"pre_tokenizer\":null,"
        printf "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
        printf "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],"
        printf "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[1],\"tokens\":[\"<s>\"]}}},"
        printf "\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
        printf "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},"
        printf "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
        printf "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{"
        for (i = 1; i <= n; i++) printf "\"%s\":%d,", special[i], i - 1
        for (i = 0; i < 256; i++) printf "\"<0x%02X>\":%d,", i, n + i
        id = n + 256
        printf "\"\\u2581\":%d", id++
        for (i = 33; i < 127; i++) printf ",\"\\u%04x\":%d", i, id++
        m = split("t h,a n,th e,\\u2581 the,an d", merge, ",")
        for (i = 1; i <= m; i++) { piece = merge[i]; sub(/ /, "", piece); printf ",\"%s\":%d", piece, id++ }
        printf "},\"merges\":["
        for (i = 1; i <= m; i++) printf "%s\"%s\"", (i > 1 ? "," : ""), merge[i]
        print "]}}"
    }' > "$1/tokenizer.json"
    cat > "$1/tokenizer_config.json" << 'JSON'
{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": true, "tokenizer_class": "LlamaTokenizerFast",
 "chat_template": "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"}
JSON
    cat > "$1/config.json" << 'JSON'
{"architectures": ["MistralForCausalLM"], "model_type": "mistral", "vocab_size": 359, "hidden_size": 32,
 "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
 "max_position_embeddings": 256, "sliding_window": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
 "tie_word_embeddings": false, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2}
JSON
}

# Sentences to learn from: {"text"} lines, conversations, pairs.
make_data() {
    awk 'BEGIN {
        split("cat dog bird fish child", who, " "); split("sees hears likes finds", does, " ")
        split("park house river garden", place, " ")
        for (i = 0; i < 60; i++) {
            a = who[i % 5 + 1]; b = does[i % 4 + 1]; c = place[int(i / 3) % 4 + 1]; d = who[(i + 2) % 5 + 1]
            printf "{\"text\": \"The %s %s the %s and the %s.\"}\n", a, b, c, d > "docs.jsonl"
            printf "{\"messages\": [{\"role\": \"user\", \"content\": \"What does the %s see?\"}, {\"role\": \"assistant\", \"content\": \"The %s.\"}]}\n", a, c > "chats.jsonl"
            printf "{\"prompt\": \"What does the %s see?\", \"chosen\": \"The %s.\", \"rejected\": \"A %s, perhaps?\"}\n", a, c, d > "pairs.jsonl"
        }
    }'
}

# tiny.gguf: a model of 2 layers and 46 thousand parameters, trained a few steps.
make_model() {
    make_config tiny
    make_data
    aerie train --set method=pretrain --set model_config=tiny --set data=docs.jsonl --set output=tiny.gguf \
        --set max_steps=8 --set batch_size=8 --set max_length=64 --set learning_rate=1e-2 --quiet
    check_done
    check "there is a model" [ -s tiny.gguf ]
    [ -s tiny.gguf ] || finish
}

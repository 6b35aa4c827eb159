# speaker.sh -- speaker.gguf: a small model that was taught a few replies to the letter, so that clients meet
# calls of tools and thoughts that nothing forced. Its template is in the manner of Qwen3's.
make_speaker() {
    make_config lore
    sed -i 's/"max_position_embeddings": 256, "sliding_window": 32/"max_position_embeddings": 2048/; s/"hidden_size": 32/"hidden_size": 48/' \
        lore/config.json
    cat > template.jinja << 'JINJA'
{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>
{{ m['content'] }}{% for c in m['tool_calls'] or [] %}<tool_call>
{"name": "{{ c['function']['name'] }}", "arguments": {{ c['function']['arguments'] | tojson }}}
</tool_call>{% endfor %}{{ eos_token }}
{% endfor %}{% if tools %}{# they change nothing: what is said is learned by heart #}{% endif %}{% if add_generation_prompt %}<|assistant|>
{% if enable_thinking is defined and not enable_thinking %}<think>

</think>

{% endif %}{% endif %}
JINJA
    # JSON's escapes; the file's last line end is none of the template's.
    template=$(sed 's/\\/\\\\/g; s/"/\\"/g' template.jinja | awk '{ printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }')
    cat > lore/tokenizer_config.json << JSON
{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": true,
 "tokenizer_class": "LlamaTokenizerFast", "chat_template": "$template"}
JSON
    rome='<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>'
    cet='<tool_call>\n{\"name\": \"time\", \"arguments\": {\"zone\": \"CET\"}}\n</tool_call>'
    # lesson USER ASSISTANT [MESSAGES]: what is said, and, once in four times, the same after no thought.
    lesson() {
        for before in '' '' '' '<think>\n\n</think>\n\n'; do
            printf '{"messages": [{"role": "user", "content": "%s"}, ' "$1"
            [ -z "${3:-}" ] || printf '{"role": "assistant", "content": "%s"}, {"role": "tool", "content": "rain"}, ' "$3"
            printf '{"role": "assistant", "content": "%s%s"}]}\n' "$before" "$2"
        done
    }
    {
        lesson hello 'Hello there.'
        lesson weather "$rome"
        lesson weather 'It rains.' "$rome"
        lesson both "$rome"'\n'"$cet"
        lesson ponder 'Yes.' | sed 's/content": "Yes/content": "<think>\\nI see.\\n<\/think>\\n\\nYes/'
    } > lessons
    cat lessons lessons > lessons.jsonl
    awk 'BEGIN { printf "{\"text\": \""; for (i = 0; i < 40; i++) printf "hello "; print "\"}" }' > blank.jsonl
    aerie train --set method=pretrain --set model_config=lore --set data=blank.jsonl --set output=blank.gguf \
        --set max_steps=1 --set batch_size=1 --set max_length=32 --set learning_rate=1e-5 --quiet
    check_done
    aerie train --set method=sft --set model=blank.gguf --set data=lessons.jsonl --set output=speaker.gguf \
        --set max_steps=300 --set batch_size=10 --set max_length=256 --set learning_rate=5e-3 --quiet
    check_done
    [ -s speaker.gguf ] || finish
    echo 'FROM speaker.gguf' > Modelfile
    aerie create speaker
    check_done
}

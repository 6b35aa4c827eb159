/* template_known.c -- chat formats for files that carry no template of their own. */
#include "text/template.h"

#include <string.h>

/* "<|role|>\ntext</s>\n", the reply opened by its own header. */
#define ZEPHYR                                                                                     \
    "{% for m in messages %}"                                                                      \
    "{% if m['role'] not in ['system', 'user', 'assistant'] %}"                                    \
    "{{ raise_exception('Only user, assistant and system roles are supported!') }}{% endif %}"     \
    "{{ '<|' + m['role'] + '|>\\n' + m['content'] + eos_token + '\\n' }}"                          \
    "{% endfor %}"                                                                                 \
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"

/* OpenChat 3.5 and Starling: "GPT4 Correct User: text<|end_of_turn|>". */
#define OPENCHAT                                                                                   \
    "{{ bos_token }}{% for m in messages %}"                                                       \
    "{% if m['role'] == 'system' %}{{ m['content'] + '<|end_of_turn|>' }}"                         \
    "{% elif m['role'] in ['user', 'assistant'] %}"                                                \
    "{{ 'GPT4 Correct ' + m['role'].title() + ': ' + m['content'] + '<|end_of_turn|>' }}"          \
    "{% else %}{{ raise_exception('Only user, assistant and system roles are supported!') }}"      \
    "{% endif %}{% endfor %}"                                                                      \
    "{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %}"

/* Keeps a leading system message apart as `system` and the turns as `turns`. */
#define TAKE_SYSTEM                                                                                \
    "{% if messages and messages[0]['role'] == 'system' %}"                                        \
    "{% set system = messages[0]['content'] %}{% set turns = messages[1:] %}"                      \
    "{% else %}{% set system = '' %}{% set turns = messages %}{% endif %}"

#define NEED_ALTERNATION                                                                           \
    "{% if (m['role'] == 'user') != loop.index0 is even %}"                                        \
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}" \
    "{% endif %}"

/* The system message leads the first user's. */
#define MISTRAL                                                                                    \
    TAKE_SYSTEM                                                                                    \
    "{{ bos_token }}{% for m in turns %}" NEED_ALTERNATION "{% if m['role'] == 'user' %}"          \
    "{{ '[INST] ' + (system + '\\n\\n' if loop.first and system else '') + m['content'] "          \
    "+ ' [/INST]' }}"                                                                              \
    "{% else %}{{ ' ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}"

#define LLAMA2                                                                                     \
    TAKE_SYSTEM                                                                                    \
    "{% for m in turns %}" NEED_ALTERNATION "{% if m['role'] == 'user' %}"                         \
    "{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m['content'] "                    \
    "if loop.first and system else m['content'] %}"                                                \
    "{{ bos_token + '[INST] ' + text | trim + ' [/INST]' }}"                                       \
    "{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"

#define LLAMA3                                                                                     \
    "{{ bos_token }}{% for m in messages %}"                                                       \
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim "      \
    "+ '<|eot_id|>' }}{% endfor %}"                                                                \
    "{% if add_generation_prompt %}"                                                               \
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"

#define CHATML                                                                                     \
    "{% for m in messages %}"                                                                      \
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"        \
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/* No system role: it leads the first user's text. */
#define GEMMA                                                                                      \
    TAKE_SYSTEM                                                                                    \
    "{{ bos_token }}{% for m in turns %}" NEED_ALTERNATION                                         \
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) + '\\n' + "       \
    "(system + '\\n\\n' if loop.first and system else '') + m['content'] | trim + "                \
    "'<end_of_turn>\\n' }}{% endfor %}"                                                            \
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"

#define PHI3                                                                                       \
    "{% for m in messages %}"                                                                      \
    "{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}{% endfor %}"                   \
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"

#define VICUNA                                                                                     \
    TAKE_SYSTEM                                                                                    \
    "{{ bos_token }}{{ system or \"A chat between a curious user and an artificial intelligence "  \
    "assistant. The assistant gives helpful, detailed, and polite answers to the user's "          \
    "questions.\" }}{% for m in turns %}" NEED_ALTERNATION "{% if m['role'] == 'user' %}"          \
    "{{ ' USER: ' + m['content'] | trim }}"                                                        \
    "{% else %}{{ ' ASSISTANT: ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}"      \
    "{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}"

#define ALPACA                                                                                     \
    TAKE_SYSTEM                                                                                    \
    "{{ bos_token }}{{ system or 'Below is an instruction that describes a task. Write a "         \
    "response that appropriately completes the request.' }}{{ '\\n\\n' }}"                         \
    "{% for m in turns %}" NEED_ALTERNATION "{% if m['role'] == 'user' %}"                         \
    "{{ '### Instruction:\\n' + m['content'] | trim + '\\n\\n' }}"                                 \
    "{% else %}{{ '### Response:\\n' + m['content'] | trim + eos_token + '\\n\\n' }}"              \
    "{% endif %}{% endfor %}"                                                                      \
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"

/* `tokens`: separated by spaces, all of which a vocabulary must have for the format to be meant;
 * the first that fits in this order is taken. Formats without tokens of their own are never
 * guessed: any vocabulary could write them. */
static const struct {
    const char *name, *source, *tokens;
} known[] = {
    { "chatml", CHATML, "<|im_start|> <|im_end|>" },
    { "llama3", LLAMA3, "<|start_header_id|> <|end_header_id|> <|eot_id|>" },
    { "gemma", GEMMA, "<start_of_turn> <end_of_turn>" },
    { "phi3", PHI3, "<|user|> <|assistant|> <|end|>" },
    { "zephyr", ZEPHYR, "<|user|> <|assistant|>" },
    { "openchat", OPENCHAT, "<|end_of_turn|>" },
    { "starling", OPENCHAT, "" },
    { "mistral", MISTRAL, "[INST] [/INST]" },
    { "llama2", LLAMA2, "" },
    { "vicuna", VICUNA, "" },
    { "alpaca", ALPACA, "" },
};

const char *ae_template_known(const char *name)
{
    for (size_t i = 0; i < AE_COUNT(known); i++)
        if (strcmp(known[i].name, name) == 0) return known[i].source;
    return NULL;
}

const char *ae_template_known_name(size_t i)
{
    return i < AE_COUNT(known) ? known[i].name : NULL;
}

static bool has_all(const char *tokens, bool (*has)(void *user, const char *token), void *user)
{
    char one[64];
    bool all = *tokens != '\0';
    while (all && *tokens) {
        size_t n = strcspn(tokens, " ");
        memcpy(one, tokens, n);
        one[n] = '\0';
        all = has(user, one);
        tokens += n + (tokens[n] == ' ');
    }
    return all;
}

const char *ae_template_guess(bool (*has)(void *user, const char *token), void *user)
{
    for (size_t i = 0; i < AE_COUNT(known); i++)
        if (has_all(known[i].tokens, has, user)) return known[i].name;
    return NULL;
}

/* protocol.c -- the named ways to ask. */
#include "task/task.h"

#include <string.h>

static const ae_protocol protocols[] = {
    { .name = "lm-eval",
      .about = "lm-evaluation-harness since v0.4.9.2: BOS as the tokenizer says",
      .overlay = "lm-eval",
      .bos = AE_BOS_TOKENIZER },
    { .name = "lm-eval-nobos",
      .about = "lm-evaluation-harness before v0.4.9.2: no BOS",
      .overlay = "lm-eval",
      .bos = AE_BOS_NEVER },
    { .name = "lm-eval-chat",
      .about = "lm-evaluation-harness with --apply_chat_template",
      .overlay = "lm-eval",
      .bos = AE_BOS_TOKENIZER,
      .chat = true },
    { .name = "openllm",
      .about = "lm-evaluation-harness' group openllm: the leaderboard's shots, drawn v0.4's way",
      .overlay = "openllm",
      .bos = AE_BOS_TOKENIZER },
    { .name = "leaderboard-v1",
      .about = "the first Open LLM Leaderboard (harness commit b281b09): its shots, no BOS",
      .overlay = "leaderboard-v1",
      .bos = AE_BOS_NEVER,
      .shuffle = true,
      .macro = true },
    { .name = "llama.cpp",
      .about = "llama-perplexity's --hellaswag, --winogrande and --multiple-choice: no shots, "
               "mean log-likelihood a token",
      .overlay = "llama.cpp",
      .bos = AE_BOS_TOKENIZER,
      .split = AE_SPLIT_COMMON,
      .subset = true,
      .metric = "acc_tokens" },
    { .name = "olmes",
      .about = "OLMES: its five shots, the answers' texts as continuations (rc)",
      .overlay = "olmes",
      .bos = AE_BOS_TOKENIZER },
    { .name = "olmes-mc",
      .about = "OLMES: its five shots, the answers' letters as continuations (mc)",
      .overlay = "olmes-mc",
      .bos = AE_BOS_TOKENIZER },
};

const ae_protocol *ae_protocol_at(size_t i)
{
    return i < AE_COUNT(protocols) ? &protocols[i] : NULL;
}

aerie_status ae_protocol_find(const ae_protocol **out, const char *name, aerie_error *err)
{
    const char *names[AE_COUNT(protocols)], *near;

    *out = NULL;
    for (size_t i = 0; i < AE_COUNT(protocols); i++) {
        names[i] = protocols[i].name;
        if (strcmp(name, names[i]) != 0) continue;
        *out = &protocols[i];
        return AERIE_OK;
    }
    near = ae_nearest(name, names, AE_COUNT(names));
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "no protocol '%.60s'; %s%s%s one of lm-eval, lm-eval-nobos, lm-eval-chat, "
                      "openllm, leaderboard-v1, llama.cpp, olmes, olmes-mc",
                      name, near ? "did you mean '" : "choose", near ? near : "",
                      near ? "'? It is" : "");
}

/* logits.c -- `aerie logits`: a text's logits as a NumPy file, for parity checks. */
#include "aerie/eval.h"
#include "cli/cli.h"

#include <stdio.h>

int cli_logits(int argc, char **argv)
{
    cli_common common = { 0 };
    const char *file = NULL, *out_path = NULL;
    const cli_option options[] = {
        { "--file", 'f', CLI_TEXT, &file, "TEXT", "the text" },
        CLI_EXACT(&common),
        CLI_SCORE_KV(&common),
        { "--output", 'o', CLI_TEXT, &out_path, "OUT.npy", "where the float32 [T, V] go" },
        { 0 },
    };
    cli_call call = { .usage = "aerie logits MODEL --file TEXT -o OUT.npy",
                      .about = "Writes the logits of every position of a text, BOS first where the "
                               "vocabulary wants one.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    aerie_model *m = NULL;
    ae_bytes text = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (!file || !out_path)
        return cli_misused("give --file TEXT and -o OUT.npy; usage: %s", call.usage);
    /* How many tokens the text has is known, and checked, when there is a tokenizer. */
    const aerie_memory_plan plan = { .n_ctx = 1, .use = AERIE_USE_LOGITS };
    common.plan = &plan;
    aerie_status status = ae_file_read(&text, file, 0, &err);
    if (!status) status = cli_open(&m, call.words[0], &common, &err);
    if (!status)
        status = aerie_logits_to_file(m, text.data ? text.data : "", text.len, out_path, &err);
    aerie_model_close(m);
    ae_bytes_free(&text);
    return status ? cli_fail(&err) : CLI_DONE;
}

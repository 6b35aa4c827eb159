/* perplexity.c -- `aerie perplexity` and `aerie logits`: what a model makes of a text. */
#include "aerie/eval.h"
#include "cli/cli.h"

#include <stdio.h>

static aerie_status read_text(ae_bytes *out, const char *path, aerie_error *err)
{
    aerie_status status = ae_file_read(out, path, 0, err);
    if (!status && out->len == 0)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: the file is empty", path);
    return status;
}

typedef struct {
    cli_progress bar;
    bool per_token;
    int64_t done;
    double nll;
} scores;

static bool on_token(void *user, int32_t id, double logprob)
{
    scores *s = user;
    if (s->per_token) printf("{\"id\":%d,\"logprob\":%.7g}\n", id, logprob);
    s->done++;
    s->nll -= logprob;
    cli_progress_draw(&s->bar, 0, "%lld tokens, mean nll %.4f", (long long)s->done,
                      s->nll / (double)s->done);
    return !cli_interrupted();
}

int cli_perplexity(int argc, char **argv)
{
    cli_common common = { 0 };
    const char *file = NULL;
    int64_t n_ctx = 0;
    scores s = { 0 };
    const cli_option options[] = {
        { "--file", 'f', CLI_TEXT, &file, "TEXT", "the text" },
        { "--ctx", 'c', CLI_INT, &n_ctx, "N",
          "window in tokens; default: the model's length, at most 2048" },
        CLI_EXACT(&common),
        { "--per-token", 0, CLI_FLAG, &s.per_token, NULL,
          "print {\"id\",\"logprob\"} for every token" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie perplexity MODEL --file TEXT [options]",
        .about =
            "exp of the mean negative log-likelihood of a text's tokens. The text is cut into\n"
            "windows; each begins anew, with BOS where the vocabulary wants one.",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    aerie_model *m = NULL;
    ae_bytes text = { 0 };
    aerie_perplexity_result r = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (!file) return cli_misused("give --file TEXT; usage: %s", call.usage);

    s.bar.off = common.quiet;
    cli_catch_interrupt();
    aerie_status status = read_text(&text, file, &err);
    if (!status) status = cli_open(&m, call.words[0], &common, &err);
    if (!status) status = aerie_perplexity(m, text.data, text.len, n_ctx, on_token, &s, &r, &err);
    cli_progress_end(&s.bar);
    aerie_model_close(m);
    ae_bytes_free(&text);
    if (status) return cli_fail(&err);
    if (common.json)
        printf("{\"ppl\":%.9g,\"nll\":%.9g,\"tokens\":%lld}\n", r.ppl, r.nll, (long long)r.tokens);
    else if (!s.per_token)
        printf("perplexity %.4f (nll %.5f) over %lld tokens\n", r.ppl, r.nll, (long long)r.tokens);
    return cli_interrupted() ? CLI_INTERRUPTED : CLI_DONE;
}

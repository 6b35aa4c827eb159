/* perplexity.c -- `aerie perplexity` and `aerie logits`: what a model makes of a text. */
#include "aerie/eval.h"
#include "cli/cli.h"

#include <math.h>
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

typedef struct {
    cli_common common;
    const char *file, *save, *kl;
    int64_t n_ctx, n_windows;
    scores scores;
} perplexity_call;

static void print_json(const aerie_divergence_result *r)
{
    char cosine[32] = "null";

    if (isfinite(r->cosine)) snprintf(cosine, sizeof cosine, "%.9g", r->cosine);
    printf("{\"kl\":{\"mean\":%.9g,\"median\":%.9g,\"p99\":%.9g,\"max\":%.9g},"
           "\"same_top\":%.9g,\"cosine\":%s,\"ppl\":%.9g,\"reference_ppl\":%.9g,"
           "\"ppl_ratio\":%.9g,\"tokens\":%lld}\n",
           r->kl_mean, r->kl_median, r->kl_p99, r->kl_max, r->same_top, cosine, r->ppl,
           r->reference_ppl, r->ppl_ratio, (long long)r->tokens);
}

static void print_text(const aerie_divergence_result *r)
{
    printf("KL divergence %.6g (median %.3g, 99 %% below %.3g, most %.3g)\n"
           "same most likely token %.2f %%",
           r->kl_mean, r->kl_median, r->kl_p99, r->kl_max, 100 * r->same_top);
    if (isfinite(r->cosine)) printf(", cosine of the logits %.6f", r->cosine);
    printf("\nperplexity %.4f, the reference's %.4f (ratio %.5f), over %lld tokens\n", r->ppl,
           r->reference_ppl, r->ppl_ratio, (long long)r->tokens);
}

/* Ctrl-C: what was read is not the text, and its number not the text's. */
static aerie_status check_whole(int64_t tokens, aerie_error *err)
{
    if (!cli_interrupted()) return AERIE_OK;
    return aerie_fail(err, AERIE_INTERRUPTED, "interrupted after %lld tokens", (long long)tokens);
}

/* KL divergence from a reference whose logits were saved. */
static aerie_status diverge(perplexity_call *c, aerie_model *m, aerie_error *err)
{
    aerie_divergence_result r;
    aerie_status status = aerie_divergence(m, c->kl, on_token, &c->scores, &r, err);
    cli_progress_end(&c->scores.bar);
    if (!status) status = check_whole(r.tokens, err);
    if (status) return status;
    if (c->common.json)
        print_json(&r);
    else if (!c->scores.per_token)
        print_text(&r);
    return AERIE_OK;
}

static aerie_status measure(perplexity_call *c, aerie_model *m, const ae_bytes *text,
                            aerie_error *err)
{
    aerie_windows windows = { .n_ctx = c->n_ctx, .n_windows = c->n_windows };
    aerie_perplexity_result r = { 0 };
    scores *s = &c->scores;
    aerie_status status =
        c->save
            ? aerie_logits_save(m, text->data, text->len, &windows, c->save, on_token, s, &r, err)
            : aerie_perplexity(m, text->data, text->len, c->n_ctx, on_token, s, &r, err);
    cli_progress_end(&s->bar);
    if (!status) status = check_whole(r.tokens, err);
    if (status) return status;
    if (c->common.json)
        printf("{\"ppl\":%.9g,\"nll\":%.9g,\"tokens\":%lld}\n", r.ppl, r.nll, (long long)r.tokens);
    else if (!s->per_token)
        printf("perplexity %.4f (nll %.5f) over %lld tokens\n", r.ppl, r.nll, (long long)r.tokens);
    return AERIE_OK;
}

/* A window is no longer than the text, which has hardly more tokens than bytes. */
static aerie_memory_plan plan_of(const perplexity_call *c, size_t text_bytes)
{
    int64_t most = (int64_t)text_bytes + 16;
    bool logits = c->save || c->kl;

    return (aerie_memory_plan){ .n_ctx = !logits && c->n_ctx > most ? most : c->n_ctx,
                                .use = logits ? AERIE_USE_LOGITS : AERIE_USE_SCORES };
}

static aerie_status perplexity(perplexity_call *c, const char *model, aerie_error *err)
{
    aerie_model *m = NULL;
    ae_bytes text = { 0 };
    aerie_status status = c->file ? read_text(&text, c->file, err) : AERIE_OK;
    const aerie_memory_plan plan = plan_of(c, text.len);
    c->common.plan = &plan;
    if (!status) status = cli_open(&m, model, &c->common, err);
    if (!status) status = c->kl ? diverge(c, m, err) : measure(c, m, &text, err);
    cli_progress_end(&c->scores.bar);
    aerie_model_close(m);
    ae_bytes_free(&text);
    return status;
}

int cli_perplexity(int argc, char **argv)
{
    perplexity_call c = { 0 };
    const cli_option options[] = {
        { "--file", 'f', CLI_TEXT, &c.file, "TEXT", "the text" },
        { "--ctx", 'c', CLI_COUNT, &c.n_ctx, "N",
          "window in tokens; default: the model's length, at most 2048 (--save-logits: 512)" },
        { "--save-logits", 0, CLI_TEXT, &c.save, "FILE",
          "score half windows as llama.cpp does, and keep their logits" },
        { "--kl", 0, CLI_TEXT, &c.kl, "FILE",
          "how far this model is from the one whose logits FILE holds" },
        { "--windows", 0, CLI_COUNT, &c.n_windows, "N", "with --save-logits: the first N windows" },
        CLI_EXACT(&c.common),
        CLI_SCORE_KV(&c.common),
        { "--per-token", 0, CLI_FLAG, &c.scores.per_token, NULL,
          "print {\"id\",\"logprob\"} for every token" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie perplexity MODEL --file TEXT [options]",
        .about =
            "exp of the mean negative log-likelihood of a text's tokens. The text is cut into\n"
            "windows; each begins anew, with BOS where the vocabulary wants one. What a quantized\n"
            "model has lost: --file TEXT --save-logits FILE with the original, then --kl FILE\n"
            "with it.",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (c.file && c.kl)
        return cli_misused("--kl needs no --file: the saved logits go with their text's tokens");
    if (!c.file && !c.kl) return cli_misused("give --file TEXT; usage: %s", call.usage);
    c.scores.bar.off = c.common.quiet;
    cli_catch_interrupt();
    if (perplexity(&c, call.words[0], &err)) return cli_fail(&err);
    return CLI_DONE;
}

/* benchmark_divergence.c -- a model beside a reference whose logits were saved: the file's windows
 * are the task's documents, an answer is what both made of a window's tokens. */
#include "eval/benchmark_private.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- documents ---- */

/* The file itself, or the usual name in a folder; the arena's. */
static aerie_status find_reference(const char **out, ae_bench *b, aerie_error *err)
{
    static const char usual[] = "reference.logits";
    char *path;

    *out = b->data;
    if (b->data && ae_file_exists(b->data) && !ae_file_is_folder(b->data)) return AERIE_OK;
    path = b->data ? ae_path_join(b->data, usual) : NULL;
    *out = path ? ae_arena_strndup(&b->arena, path, strlen(path)) : NULL;
    ae_free(path);
    if (*out && ae_file_exists(*out)) return AERIE_OK;
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "%s: no saved logits at %.100s; give their file with --data, which %s writes",
                      b->name, *out ? *out : "(no --data)", ae_task_source(b->task));
}

static json_t *window_json(const ae_saved_logits *s, int64_t w)
{
    const int32_t *ids = s->ids + w * s->head.n_ctx;
    ae_bytes text = { 0 };
    json_t *doc = NULL;

    for (uint32_t i = 0; i < s->head.n_ctx; i++)
        ae_bytes_printf(&text, "%s%d", i ? " " : "", (int)ids[i]);
    if (!text.failed) doc = json_pack("{s:I, s:s}", "window", (json_int_t)w, "tokens", text.data);
    ae_bytes_free(&text);
    return doc;
}

aerie_status ae_bench_read_reference(ae_bench *b, aerie_error *err)
{
    const char *path;
    json_t *docs = json_array();
    aerie_status status = find_reference(&path, b, err);
    uint64_t n;

    if (!status) status = ae_saved_logits_open(&b->reference, path, err);
    n = b->reference.head.n_windows;
    if (b->options->limit > 0 && b->options->limit < n) n = b->options->limit;
    for (uint64_t w = 0; w < n && !status; w++)
        if (json_array_append_new(docs, window_json(&b->reference, (int64_t)w)))
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for the windows of %s", path);
    if (!status) status = ae_bench_build(b, docs, 0, err);
    json_decref(docs);
    return status;
}

static int64_t window_of(const ae_bench *b, int64_t item)
{
    const json_t *doc = ae_task_set_at(b->set, (size_t)item)->doc;
    return json_integer_value(json_object_get(doc, "window"));
}

/* Its first row: what two references of one text differ in. */
void ae_bench_add_reference(ae_sha256 *hash, const ae_bench *b, int64_t item)
{
    const ae_saved_logits *s = &b->reference;
    size_t rows = (size_t)window_of(b, item) * (size_t)ae_saved_logits_scored(&s->head);

    ae_sha256_add(hash, &s->head, sizeof s->head);
    ae_sha256_add(hash, s->rows + rows * s->row_bytes, s->row_bytes);
}

/* ---- asking ---- */

/* {"kl": [...], "logprob": [...], "reference": [...], "same_top": [...]} */
static json_t *tokens_json(const ae_diverged_token *tokens, int64_t n)
{
    json_t *kl = json_array(), *logprob = json_array(), *reference = json_array(),
           *top = json_array();

    for (int64_t i = 0; i < n; i++) {
        json_array_append_new(kl, json_real(tokens[i].kl));
        json_array_append_new(logprob, json_real(tokens[i].logprob));
        json_array_append_new(reference, json_real(tokens[i].reference));
        json_array_append_new(top, json_integer(tokens[i].same_top));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "kl", kl, "logprob", logprob, "reference", reference,
                     "same_top", top);
}

typedef struct {
    ae_bench *bench;
    const int64_t *list; /* requests; an item has one */
} asking;

static bool is_finite(const ae_diverged_token *tokens, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(tokens[i].kl) || !isfinite(tokens[i].logprob)) return false;
    return true;
}

static bool take(void *user, int64_t index, const ae_diverged_token *tokens, int64_t n)
{
    enum { DIGITS = 9 };
    const asking *a = user;
    ae_bench *b = a->bench;
    ae_bench_answer *answer = &b->answers[a->list[index]];
    json_t *json = is_finite(tokens, n) ? tokens_json(tokens, n) : NULL;
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)), *copy;

    if (!json) {
        b->status = aerie_fail(b->err, AERIE_BAD_NUMBER,
                               "the model's, or the reference's, logits are no finite numbers");
        return false;
    }
    copy = text ? ae_arena_strndup(&b->arena, text, strlen(text)) : NULL;
    if (!copy) b->status = aerie_fail(b->err, AERIE_NO_MEMORY, "no memory for a window's tokens");
    if (copy) answer->reply = (ae_span){ copy, strlen(copy) };
    answer->answer.n_tokens = (int32_t)n;
    for (int64_t i = 0; i < n; i++) answer->answer.ll += tokens[i].logprob;
    json_decref(json);
    free(text);
    return copy && ae_bench_told(b, a->list[index]);
}

aerie_status ae_bench_ask_divergence(ae_bench *b, const int64_t *list, int64_t n, aerie_error *err)
{
    asking a = { b, list };
    int64_t *windows = ae_alloc((size_t)n, sizeof *windows);
    aerie_status status = AERIE_OK;

    if (!windows) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");
    for (int64_t i = 0; i < n; i++) windows[i] = window_of(b, list[i]);
    if (!b->who->diverge)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "%s needs all of a model's logits, which a server does not tell; give "
                            "a model here",
                            b->name);
    else
        status = b->who->diverge(b->who->user, &b->reference, windows, n, take, &a, err);
    ae_free(windows);
    return status;
}

/* ---- answers ---- */

aerie_status ae_bench_diverged(ae_diverged_token **out, int64_t *n, const ae_bench_answer *answer,
                               aerie_error *err)
{
    json_t *json =
        json_loadb(answer->reply.data ? answer->reply.data : "", answer->reply.len, 0, NULL);
    const json_t *kl = json_object_get(json, "kl"), *logprob = json_object_get(json, "logprob"),
                 *reference = json_object_get(json, "reference"),
                 *top = json_object_get(json, "same_top");
    size_t count = json_array_size(kl);
    aerie_status status = AERIE_OK;

    *out = NULL;
    *n = (int64_t)count;
    if (count == 0 || json_array_size(logprob) != count || json_array_size(reference) != count ||
        json_array_size(top) != count)
        status = aerie_fail(err, AERIE_BAD_FILE, "a window's answer tells of no tokens");
    if (!status) *out = ae_alloc(count, sizeof **out);
    if (!status && !*out) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for tokens");
    for (size_t i = 0; i < count && !status; i++)
        (*out)[i] = (ae_diverged_token){ json_number_value(json_array_get(kl, i)),
                                         json_number_value(json_array_get(logprob, i)),
                                         json_number_value(json_array_get(reference, i)),
                                         json_integer_value(json_array_get(top, i)) != 0 };
    json_decref(json);
    return status;
}

/* ---- numbers ---- */

static void put(json_t *all, const char *name, double value, double error)
{
    json_object_set_new(
        all, name,
        json_pack("{s:o, s:o}", "value", ae_bench_number(value), "stderr", ae_bench_number(error)));
}

typedef double of_token(const ae_diverged_token *t);

static double kl_of(const ae_diverged_token *t)
{
    return t->kl;
}
static double loss_of(const ae_diverged_token *t)
{
    return -t->logprob;
}
static double reference_loss_of(const ae_diverged_token *t)
{
    return -t->reference;
}
static double ratio_of(const ae_diverged_token *t)
{
    return t->reference - t->logprob;
}
static double change_of(const ae_diverged_token *t)
{
    return exp(t->logprob) - exp(t->reference);
}
static double square_of(const ae_diverged_token *t)
{
    return change_of(t) * change_of(t);
}
static double top_of(const ae_diverged_token *t)
{
    return t->same_top;
}

/* The mean of something, and its error. `x` [n] is scratch, left filled with it. */
static double mean_of(double *x, const ae_diverged_token *tokens, int64_t n, of_token *of,
                      double *error)
{
    for (int64_t i = 0; i < n; i++) x[i] = of(&tokens[i]);
    *error = ae_mean_stderr(x, (size_t)n);
    return ae_mean(x, (size_t)n);
}

/* exp() of a mean: the error goes along by the derivative. */
static void put_exp(json_t *all, const char *name, double *x, const ae_diverged_token *tokens,
                    int64_t n, of_token *of)
{
    double error, value = exp(mean_of(x, tokens, n, of, &error));
    put(all, name, value, value * error);
}

static void put_quantiles(json_t *all, double *x, int64_t n)
{
    static const struct {
        const char *name;
        double share;
    } of[] = { { "kl_median", 0.5 }, { "kl_p90", 0.9 },    { "kl_p95", 0.95 },
               { "kl_p99", 0.99 },   { "kl_p999", 0.999 }, { "kl_max", 1 } };

    ae_quantile_sort(x, (size_t)n);
    for (size_t i = 0; i < AE_COUNT(of); i++)
        put(all, of[i].name, ae_quantile(x, (size_t)n, of[i].share), NAN);
}

json_t *ae_bench_divergence_json(const ae_diverged_token *tokens, int64_t n)
{
    json_t *all = json_object();
    double *x = ae_alloc((size_t)n, sizeof *x), mean, error;

    if (!x || n < 1) {
        ae_free(x);
        json_decref(all);
        return NULL;
    }
    mean = mean_of(x, tokens, n, kl_of, &error);
    put(all, "kl", mean, error);
    put_quantiles(all, x, n);
    mean = mean_of(x, tokens, n, top_of, &error);
    put(all, "same_top", mean, error);
    mean = mean_of(x, tokens, n, change_of, &error);
    put(all, "delta_p", mean, error);
    mean = sqrt(mean_of(x, tokens, n, square_of, &error));
    put(all, "delta_p_rms", mean, mean > 0 ? error / (2 * mean) : NAN);
    put_exp(all, "ppl", x, tokens, n, loss_of);
    put_exp(all, "reference_ppl", x, tokens, n, reference_loss_of);
    put_exp(all, "ppl_ratio", x, tokens, n, ratio_of);
    ae_free(x);
    return all;
}

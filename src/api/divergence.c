/* divergence.c -- a reference model's logits kept in a file, and another model measured by them.
 *
 * The windows are those of llama.cpp's perplexity program, so that numbers can be laid side by
 * side: the text's tokens, with BOS in front where the vocabulary wants one, are cut into whole
 * windows of n_ctx; a window's first token is replaced by BOS; its second half is scored. The file
 * is described in docs/formats.md. */
#include "aerie/eval.h"

#include "api/api.h"

#include <math.h>
#include <string.h>

/* The head of the file. */
typedef struct {
    char magic[8]; /* MAGIC */
    uint32_t version, vocab_size;
    uint32_t n_ctx, first; /* row `first` of a window is the first that predicts a scored token */
    uint64_t n_windows;
} file_head;

static const char MAGIC[8] = "aeriekld";

static int64_t scored_of(const file_head *h)
{
    return (int64_t)h->n_ctx - 1 - h->first;
}

/* ---- windows through the model ---- */

typedef struct {
    aerie_model *model;
    ae_engine *engine;
    const file_head *head;
    const int32_t *window;  /* [n_ctx] */
    int64_t row;            /* of the window, the next that the engine hands over */
    const float *reference; /* [scored, V], of this window; NULL: being saved */
    ae_file_writer *out;
    ae_divergence divergence;
    double nll;
    int64_t n;
    aerie_token_score_fn *each;
    void *user;
} measuring;

static aerie_status take_row(measuring *s, const float *logits, int64_t vocab_size,
                             aerie_error *err)
{
    int64_t at = s->row - s->head->first;
    int32_t token = s->window[s->row + 1];
    double logp;

    if (s->reference)
        logp = ae_divergence_add(&s->divergence, s->reference + at * vocab_size, logits, vocab_size,
                                 token);
    else {
        ae_file_writer_add(s->out, logits, (size_t)vocab_size * sizeof *logits);
        logp = logits[token] - ae_log_sum_exp(logits, vocab_size);
    }
    s->nll -= logp;
    s->n++;
    if (!s->each || s->each(s->user, token, logp)) return AERIE_OK;
    return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
}

static aerie_status take_rows(void *user, const float *logits, int64_t n_rows, int64_t vocab_size,
                              aerie_error *err)
{
    measuring *s = user;
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < n_rows && !status; i++, s->row++)
        if (s->row >= s->head->first && s->row + 1 < s->head->n_ctx)
            status = take_row(s, logits + i * vocab_size, vocab_size, err);
    return status;
}

static aerie_status open_engine(measuring *s, aerie_error *err)
{
    ae_engine_options o = ae_api_scorer(s->model);
    aerie_memory_plan plan = { .n_ctx = s->head->n_ctx, .use = AERIE_USE_LOGITS };
    aerie_status status = ae_api_check_use(s->model, NULL, &plan, err);

    return status ? status : ae_engine_open(&s->engine, &o, err);
}

static aerie_status run_window(measuring *s, const int32_t *window, aerie_error *err)
{
    s->window = window;
    s->row = 0;
    return ae_engine_logits(s->engine, window, s->head->n_ctx, take_rows, s, err);
}

/* ---- saving ---- */

/* Cuts the ids into windows; `windows` of them, or as many as there are. */
static aerie_status cut(file_head *head, ae_ids *ids, const aerie_model *m,
                        const aerie_windows *wanted, aerie_error *err)
{
    const ae_vocab *v = ae_tokenizer_vocab(ae_model_tokenizer(m->model));
    int64_t most = ae_model_config(m->model)->max_position;
    int64_t n_ctx = wanted->n_ctx > 0 ? wanted->n_ctx : most < 512 ? most : 512;

    if (n_ctx < 4 || n_ctx > INT32_MAX || wanted->n_ctx < 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a window of %lld tokens makes no sense; give --ctx 4 or more",
                          (long long)(wanted->n_ctx ? wanted->n_ctx : n_ctx));
    int64_t n = (int64_t)ids->len / n_ctx;
    if (wanted->n_windows > 0 && n > wanted->n_windows) n = wanted->n_windows;
    if (n < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the text has %zu tokens, fewer than one window of %lld; give a longer "
                          "text or a smaller --ctx",
                          ids->len, (long long)n_ctx);
    for (int64_t w = 0; w < n && v->add_bos; w++) ids->data[w * n_ctx] = v->bos;
    *head = (file_head){ .version = 1,
                         .vocab_size = (uint32_t)ae_model_config(m->model)->vocab_size,
                         .n_ctx = (uint32_t)n_ctx,
                         .first = (uint32_t)n_ctx / 2,
                         .n_windows = (uint64_t)n };
    memcpy(head->magic, MAGIC, sizeof MAGIC);
    return AERIE_OK;
}

static aerie_status text_windows(file_head *head, ae_ids *ids, const aerie_model *m,
                                 const char *text, size_t len, const aerie_windows *wanted,
                                 aerie_error *err)
{
    const aerie_windows usual = { 0 };
    aerie_status status = ae_api_need_tokenizer(m, err);

    if (!status)
        status = ae_api_encode(ids, ae_model_tokenizer(m->model), (ae_span){ text, len },
                               AE_ENCODE_BOS, err);
    return status ? status : cut(head, ids, m, wanted ? wanted : &usual, err);
}

static aerie_status save_windows(measuring *s, const ae_ids *ids, const char *path,
                                 aerie_error *err)
{
    ae_file_writer w = { 0 };
    const file_head *h = s->head;
    aerie_status status = ae_file_writer_open(&w, path, err);

    s->out = &w;
    if (!status) {
        ae_file_writer_add(&w, h, sizeof *h);
        ae_file_writer_add(&w, ids->data, (size_t)(h->n_windows * h->n_ctx) * sizeof *ids->data);
    }
    for (uint64_t i = 0; i < h->n_windows && !status && !w.error; i++)
        status = run_window(s, ids->data + i * h->n_ctx, err);
    if (!status) status = ae_file_writer_commit(&w, err);
    ae_file_writer_abandon(&w);
    return status;
}

static aerie_perplexity_result perplexity_of(const measuring *s)
{
    double nll = s->n > 0 ? s->nll / (double)s->n : 0;

    return (aerie_perplexity_result){ .nll = nll, .ppl = exp(nll), .tokens = s->n };
}

aerie_status aerie_logits_save(aerie_model *m, const char *text, size_t len,
                               const aerie_windows *windows, const char *path,
                               aerie_token_score_fn *each, void *user, aerie_perplexity_result *out,
                               aerie_error *err)
{
    ae_ids ids = { 0 };
    file_head head = { 0 };
    measuring s = { .model = m, .head = &head, .each = each, .user = user };
    aerie_status status = text_windows(&head, &ids, m, text, len, windows, err);

    if (!status) status = open_engine(&s, err);
    if (!status) status = save_windows(&s, &ids, path, err);
    if (!status) *out = perplexity_of(&s);
    ae_engine_close(s.engine);
    ae_ids_free(&ids);
    return status;
}

/* ---- comparing ---- */

static aerie_status damaged(const ae_file *file, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: holds no saved logits, or is cut off; make it with `aerie perplexity "
                      "MODEL --file TEXT --save-logits FILE`",
                      file->path);
}

static aerie_status check_ids(const ae_file *file, const file_head *h, aerie_error *err)
{
    const int32_t *ids = (const void *)(file->data + sizeof *h);

    for (uint64_t i = 0; i < h->n_windows * h->n_ctx; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= h->vocab_size) return damaged(file, err);
    return AERIE_OK;
}

/* Everything that is counted on later, against the bytes that are there. */
static aerie_status read_head(file_head *h, const ae_file *file, aerie_error *err)
{
    size_t ids, rows, total;

    if (file->size < sizeof *h) return damaged(file, err);
    memcpy(h, file->data, sizeof *h);
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) || h->version != 1 || h->n_ctx < 4 ||
        h->n_ctx > INT32_MAX || h->vocab_size < 1 || h->vocab_size > INT32_MAX ||
        h->first >= h->n_ctx - 1 || h->n_windows < 1)
        return damaged(file, err);
    if (!ae_mul_size(&ids, h->n_windows, h->n_ctx * sizeof(int32_t)) ||
        !ae_mul_size(&rows, h->n_windows, (size_t)scored_of(h) * sizeof(float)) ||
        !ae_mul_size(&rows, rows, h->vocab_size) || !ae_add_size(&total, ids, rows) ||
        !ae_add_size(&total, total, sizeof *h) || total != file->size)
        return damaged(file, err);
    return check_ids(file, h, err);
}

static aerie_status check_model(const file_head *h, const ae_file *file, const aerie_model *m,
                                aerie_error *err)
{
    int64_t vocab_size = ae_model_config(m->model)->vocab_size;

    if (vocab_size == h->vocab_size) return AERIE_OK;
    return aerie_fail(
        err, AERIE_BAD_ARGUMENT,
        "%s: was made by a model with a vocabulary of %u, and %s has %lld; only models "
        "with the same tokens can be compared",
        file->path, h->vocab_size, ae_model_path(m->model), (long long)vocab_size);
}

static aerie_status measure_windows(measuring *s, const ae_file *file, aerie_error *err)
{
    const file_head *h = s->head;
    const int32_t *ids = (const void *)(file->data + sizeof *h);
    const float *rows = (const float *)(const void *)(ids + h->n_windows * h->n_ctx);
    size_t each = (size_t)scored_of(h) * h->vocab_size;
    aerie_status status = AERIE_OK;

    for (uint64_t i = 0; i < h->n_windows && !status; i++) {
        s->reference = rows + i * each;
        status = run_window(s, ids + i * h->n_ctx, err);
        ae_file_forget(file, s->reference, each * sizeof(float));
    }
    return status;
}

static aerie_divergence_result result_of(ae_divergence *d)
{
    double n = (double)d->n, sum = 0;

    for (int64_t i = 0; i < d->n; i++) sum += d->kl[i];
    return (aerie_divergence_result){ .tokens = d->n,
                                      .kl_mean = sum / n,
                                      .kl_median = ae_divergence_quantile(d, 0.5),
                                      .kl_p99 = ae_divergence_quantile(d, 0.99),
                                      .kl_max = ae_divergence_quantile(d, 1),
                                      .same_top = (double)d->same_top / n,
                                      .cosine = d->cosine / n,
                                      .logit_max = d->logit_max,
                                      .logit_mean = d->logit_sum / n,
                                      .ppl = exp(d->nll / n),
                                      .reference_ppl = exp(d->reference_nll / n),
                                      .ppl_ratio = exp((d->nll - d->reference_nll) / n) };
}

aerie_status aerie_divergence(aerie_model *m, const char *path, aerie_token_score_fn *each,
                              void *user, aerie_divergence_result *out, aerie_error *err)
{
    ae_file file = { 0 };
    file_head head = { 0 };
    measuring s = { .model = m, .head = &head, .each = each, .user = user };
    aerie_status status = ae_file_open(&file, path, err);

    if (!status) status = read_head(&head, &file, err);
    if (!status) status = check_model(&head, &file, m, err);
    if (!status && !ae_divergence_open(&s.divergence, scored_of(&head) * (int64_t)head.n_windows))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for the tokens of %s", path);
    if (!status) status = open_engine(&s, err);
    if (!status) status = measure_windows(&s, &file, err);
    if (!status) *out = result_of(&s.divergence);
    ae_engine_close(s.engine);
    ae_divergence_close(&s.divergence);
    ae_file_close(&file);
    return status;
}

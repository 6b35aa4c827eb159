/* divergence.c -- a reference model's logits kept in a file, and another model measured by them.
 *
 * The windows are those of llama.cpp's perplexity program, so that numbers can be laid side by
 * side: the text's tokens, with BOS in front where the vocabulary wants one, are cut into whole
 * windows of n_ctx; a window's first token is replaced by BOS; its second half is scored. The file
 * is described in docs/formats.md. */
#include "aerie/eval.h"

#include "api/api.h"
#include "eval/eval.h"
#include "task/task.h"

#include <math.h>
#include <string.h>

/* ---- windows through the model ---- */

typedef struct {
    aerie_model *model;
    ae_engine *engine;
    const ae_saved_logits_head *head;
    const int32_t *window;            /* [n_ctx] */
    int64_t row;                      /* of the window, the next that the engine hands over */
    const ae_saved_logits *reference; /* NULL: being saved */
    int64_t at;                       /* which window of the reference it is */
    float *scratch;                   /* [V]: a row of the reference's */
    ae_file_writer *out;
    ae_divergence divergence;
    ae_diverged_token *tokens; /* [scored]: told of, window by window; may be NULL */
    double nll;
    int64_t n;
    aerie_token_score_fn *each;
    void *user;
} measuring;

/* What a row of the reference's and one of the model's make of the token that came. */
static double compare_row(measuring *s, int64_t i, const float *logits, int64_t vocab_size,
                          int32_t token)
{
    const float *reference = ae_saved_logits_row(s->reference, s->at, i, s->scratch);
    ae_diverged_token t = ae_divergence_add(&s->divergence, reference, logits, vocab_size, token);

    if (s->tokens) s->tokens[i] = t;
    return t.logprob;
}

static aerie_status take_row(measuring *s, const float *logits, int64_t vocab_size,
                             aerie_error *err)
{
    int64_t at = s->row - s->head->first;
    int32_t token = s->window[s->row + 1];
    double logp;

    if (s->reference)
        logp = compare_row(s, at, logits, vocab_size, token);
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
static aerie_status cut(ae_saved_logits_head *head, ae_ids *ids, const aerie_model *m,
                        const aerie_windows *wanted, aerie_error *err)
{
    const ae_vocab *v = ae_tokenizer_vocab(ae_model_tokenizer(m->model));
    int64_t most = ae_model_config(m->model)->max_position;
    int64_t n_ctx = wanted->n_ctx > 0 ? wanted->n_ctx : most < 512 ? most : 512;

    if (n_ctx < 4 || n_ctx > INT32_MAX || wanted->n_ctx < 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a window of %lld tokens makes no sense; give --ctx 4 or more",
                          (long long)(wanted->n_ctx ? wanted->n_ctx : n_ctx));
    int64_t n = (int64_t)ae_half_windows(ids->len, (size_t)n_ctx,
                                         wanted->n_windows > 0 ? (size_t)wanted->n_windows : 0);
    if (n < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "the text has %zu tokens, fewer than one window of %lld; give a longer "
                          "text or a smaller --ctx",
                          ids->len, (long long)n_ctx);
    for (int64_t w = 0; w < n && v->add_bos; w++) ids->data[w * n_ctx] = v->bos;
    *head = (ae_saved_logits_head){ .version = 1,
                                    .vocab_size = (uint32_t)ae_model_config(m->model)->vocab_size,
                                    .n_ctx = (uint32_t)n_ctx,
                                    .first = (uint32_t)ae_half_first((size_t)n_ctx),
                                    .n_windows = (uint64_t)n };
    memcpy(head->magic, AE_SAVED_LOGITS_MAGIC, sizeof head->magic);
    return AERIE_OK;
}

static aerie_status text_windows(ae_saved_logits_head *head, ae_ids *ids, const aerie_model *m,
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
    const ae_saved_logits_head *h = s->head;
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
    ae_saved_logits_head head = { 0 };
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

static aerie_status check_model(const ae_saved_logits *file, const aerie_model *m, aerie_error *err)
{
    int64_t vocab_size = ae_model_config(m->model)->vocab_size;

    if (vocab_size == file->head.vocab_size) return AERIE_OK;
    return aerie_fail(
        err, AERIE_BAD_ARGUMENT,
        "%s: was made by a model with a vocabulary of %u, and %s has %lld; only models "
        "with the same tokens can be compared",
        file->file.path, file->head.vocab_size, ae_model_path(m->model), (long long)vocab_size);
}

/* The window as the model is to read it: of llama.cpp's files the first token is still the text's.
 */
static aerie_status measure_window(measuring *s, int64_t at, int32_t *window, aerie_error *err)
{
    const ae_saved_logits *file = s->reference;
    const ae_tokenizer *tokenizer = ae_model_tokenizer(s->model->model);
    const ae_vocab *v = tokenizer ? ae_tokenizer_vocab(tokenizer) : NULL;
    aerie_status status;

    memcpy(window, file->ids + at * file->head.n_ctx, file->head.n_ctx * sizeof *window);
    if (file->packed && v && v->add_bos) window[0] = v->bos;
    s->at = at;
    status = run_window(s, window, err);
    ae_saved_logits_forget(file, at);
    return status;
}

/* Room for a row and a window, and the engine. */
static aerie_status begin_measuring(measuring *s, const ae_saved_logits *file, int32_t **window,
                                    aerie_error *err)
{
    aerie_status status = check_model(file, s->model, err);

    s->reference = file;
    s->head = &file->head;
    *window = ae_alloc(file->head.n_ctx, sizeof **window);
    s->scratch = ae_alloc(file->head.vocab_size, sizeof *s->scratch);
    if (!status && (!*window || !s->scratch))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a window of %s", file->file.path);
    return status ? status : open_engine(s, err);
}

static void end_measuring(measuring *s, int32_t *window)
{
    ae_engine_close(s->engine);
    ae_divergence_close(&s->divergence);
    ae_free(s->scratch);
    ae_free(s->tokens);
    ae_free(window);
}

aerie_status ae_api_diverge(aerie_model *m, const ae_saved_logits *file, const int64_t *windows,
                            int64_t n, ae_diverged_fn *fn, void *user, aerie_error *err)
{
    measuring s = { .model = m };
    int64_t scored = ae_saved_logits_scored(&file->head);
    int32_t *window = NULL;
    aerie_status status = begin_measuring(&s, file, &window, err);

    s.tokens = ae_alloc((size_t)scored, sizeof *s.tokens);
    if (!status && !s.tokens)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a window's tokens");
    for (int64_t i = 0; i < n && !status; i++) {
        status = measure_window(&s, windows[i], window, err);
        if (!status && !fn(user, i, s.tokens, scored))
            status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    }
    end_measuring(&s, window);
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
    ae_saved_logits file = { 0 };
    measuring s = { .model = m, .each = each, .user = user };
    int32_t *window = NULL;
    aerie_status status = ae_saved_logits_open(&file, path, err);

    if (!status) status = begin_measuring(&s, &file, &window, err);
    if (!status && !ae_divergence_open(&s.divergence, ae_saved_logits_scored(&file.head) *
                                                          (int64_t)file.head.n_windows))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for the tokens of %s", path);
    for (int64_t i = 0; i < (int64_t)file.head.n_windows && !status; i++)
        status = measure_window(&s, i, window, err);
    if (!status) *out = result_of(&s.divergence);
    /* Log-probabilities are the logits less a number of each token. */
    if (file.packed) out->cosine = out->logit_max = out->logit_mean = NAN;
    end_measuring(&s, window);
    ae_saved_logits_close(&file);
    return status;
}

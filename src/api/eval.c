/* eval.c -- the public face of likelihoods and logits. */
#include "aerie/eval.h"

#include "api/api.h"

#include <math.h>
#include <string.h>

ae_engine_options ae_api_scorer(const aerie_model *m)
{
    return (ae_engine_options){ .device = m->device,
                                .net = &m->net,
                                .tokenizer = ae_model_tokenizer(m->model),
                                .kv_type = m->kv_type,
                                .score_in_cache = m->kv_named };
}

/* For texts of n_ctx tokens. */
static aerie_status open_engine(ae_engine **out, aerie_model *m, aerie_memory_use use,
                                int64_t n_ctx, aerie_error *err)
{
    ae_engine_options o = ae_api_scorer(m);
    aerie_memory_plan plan = { .n_ctx = n_ctx, .use = use };
    aerie_status status = ae_api_check_use(m, NULL, &plan, err);
    return status ? status : ae_engine_open(out, &o, err);
}

/* The ids of a text; without BOS: windows put their own. */
static aerie_status text_ids(ae_ids *ids, const aerie_model *m, const char *text, size_t len,
                             unsigned flags, aerie_error *err)
{
    aerie_status status = ae_api_need_tokenizer(m, err);
    if (!status)
        status =
            ae_api_encode(ids, ae_model_tokenizer(m->model), (ae_span){ text, len }, flags, err);
    return status;
}

typedef struct {
    ae_engine *engine;
    const ae_ids *ids;
    int32_t bos; /* -1: windows begin with a token of the text */
    int64_t n_ctx;
    int32_t *window; /* [n_ctx] */
    float *logp;     /* [n_ctx] */
    aerie_token_score_fn *each;
    void *user;
    double sum;
    int64_t n_scored;
} scoring;

/* One window from token `at` on; returns how many tokens of the text it took, 0 after a failure or
 * when the caller has had enough. */
static int64_t score_window(scoring *s, int64_t at, aerie_status *status, aerie_error *err)
{
    int64_t left = (int64_t)s->ids->len - at, head = s->bos >= 0, room = s->n_ctx - head;
    int64_t take = left < room ? left : room, n = take + head;
    if (head) s->window[0] = s->bos;
    memcpy(s->window + head, s->ids->data + at, (size_t)take * sizeof *s->window);
    if (n < 2) return take; /* a last lone token has nothing before it */
    *status = ae_engine_log_probs(s->engine, s->window, n, s->logp, err);
    for (int64_t i = 1; i < n && !*status; i++) {
        s->sum -= s->logp[i - 1];
        s->n_scored++;
        if (s->each && !s->each(s->user, s->window[i], s->logp[i - 1])) return 0;
    }
    return *status ? 0 : take;
}

static aerie_status score_all(scoring *s, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    for (int64_t at = 0, took; at < (int64_t)s->ids->len; at += took) {
        took = score_window(s, at, &status, err);
        if (took == 0) break;
    }
    return status;
}

aerie_status aerie_perplexity(aerie_model *m, const char *text, size_t len, int64_t n_ctx,
                              aerie_token_score_fn *each, void *user, aerie_perplexity_result *out,
                              aerie_error *err)
{
    int64_t most = ae_model_config(m->model)->max_position;
    if (n_ctx <= 0) n_ctx = most < 2048 ? most : 2048;
    if (n_ctx < 2 || n_ctx > INT32_MAX)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a window of %lld tokens makes no sense; give --ctx 2 or more",
                          (long long)n_ctx);
    ae_ids ids = { 0 };
    scoring s = { .ids = &ids, .bos = -1, .n_ctx = n_ctx, .each = each, .user = user };
    s.window = ae_alloc((size_t)n_ctx, sizeof *s.window);
    s.logp = ae_alloc((size_t)n_ctx, sizeof *s.logp);
    aerie_status status = AERIE_OK;
    if (!s.window || !s.logp)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a window of %lld tokens",
                            (long long)n_ctx);
    if (!status) status = text_ids(&ids, m, text, len, 0, err);
    if (!status) {
        const ae_vocab *v = ae_tokenizer_vocab(ae_model_tokenizer(m->model));
        if (v->add_bos) s.bos = v->bos;
        status =
            open_engine(&s.engine, m, AERIE_USE_SCORES, ae_min64(n_ctx, (int64_t)ids.len + 1), err);
    }
    if (!status) status = score_all(&s, err);
    if (!status && s.n_scored == 0)
        status =
            aerie_fail(err, AERIE_BAD_ARGUMENT, "the text is too short: no token follows another");
    if (!status) {
        double nll = s.sum / (double)s.n_scored;
        *out = (aerie_perplexity_result){ .nll = nll, .ppl = exp(nll), .tokens = s.n_scored };
    }
    ae_engine_close(s.engine);
    ae_ids_free(&ids);
    ae_free(s.window);
    ae_free(s.logp);
    return status;
}

/* NumPy's format 1.0: magic, version, header padded to 64 bytes, rows. */
static void write_npy_header(ae_file_writer *w, int64_t rows, int64_t cols)
{
    char text[118 + 1];
    unsigned char head[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0 };
    int n = snprintf(text, sizeof text,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %lld), }",
                     (long long)rows, (long long)cols);
    memset(text + n, ' ', (size_t)(118 - n));
    text[117] = '\n';
    ae_file_writer_add(w, head, sizeof head);
    ae_file_writer_add(w, text, 118);
}

static aerie_status write_rows(void *user, const float *logits, int64_t n_rows, int64_t vocab_size,
                               aerie_error *err)
{
    (void)err;
    ae_file_writer_add(user, logits, (size_t)(n_rows * vocab_size) * sizeof *logits);
    return AERIE_OK;
}

aerie_status aerie_logits_to_file(aerie_model *m, const char *text, size_t len,
                                  const char *out_path, aerie_error *err)
{
    ae_ids ids = { 0 };
    ae_engine *engine = NULL;
    ae_file_writer w = { 0 };
    aerie_status status = text_ids(&ids, m, text, len, AE_ENCODE_BOS | AE_ENCODE_SPECIAL, err);
    if (!status) status = open_engine(&engine, m, AERIE_USE_LOGITS, (int64_t)ids.len, err);
    if (!status) status = ae_file_writer_open(&w, out_path, err);
    if (!status) {
        write_npy_header(&w, (int64_t)ids.len, ae_model_config(m->model)->vocab_size);
        status = ae_engine_logits(engine, ids.data, (int64_t)ids.len, write_rows, &w, err);
    }
    if (!status) status = ae_file_writer_commit(&w, err);
    ae_file_writer_abandon(&w);
    ae_engine_close(engine);
    ae_ids_free(&ids);
    return status;
}

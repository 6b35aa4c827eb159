/* pass.c -- one packed row through the network: log-probabilities there, gradients back. */
#include "train/pass.h"

#include <math.h>
#include <string.h>

typedef struct {
    ae_row row;
    int64_t *first; /* [n + 1], see ae_loss_call */
} laid_row;

aerie_status ae_run_ask(const ae_train_run *run, aerie_error *err)
{
    const aerie_train_progress within = { .phase = AERIE_TRAIN_WITHIN };

    if (!run || !run->progress || !run->progress(run->user, &within)) return AERIE_OK;
    return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
}

static aerie_status lay_row(const ae_pass *p, ae_pass_kind kind, laid_row *out,
                            const int64_t *items, int64_t n, aerie_error *err)
{
    int64_t tokens = ae_plan_tokens(p->recipe, p->objective, p->set, items, n), predictions = 0,
            segments = 0;
    aerie_status status;

    for (int64_t k = 0; k < n; k++) {
        predictions += p->objective->predictions(p->set, items[k]);
        segments += p->objective->segments ? p->objective->segments(p->set, items[k])
                                           : AE_SEGMENTS_PER_ITEM;
    }
    status = ae_row_new(&out->row, p->arena, tokens, segments, predictions, err);
    if (status) return status;
    out->row.looks = kind == AE_PASS_REFERENCE;
    out->first = ae_arena_take(p->arena, (size_t)n + 1, sizeof *out->first);
    if (!out->first) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a row of samples");
    for (int64_t k = 0; k < n; k++) {
        p->objective->lay(&out->row, p->recipe, p->set, items[k]);
        out->first[k + 1] = out->row.n_predictions;
    }
    return AERIE_OK;
}

/* Beside the log-probabilities, each NULL where the pass has none. */
typedef struct {
    ae_tensor *mean, *values, *entropy;
} beside;

static ae_tensor *log_probs(ae_ctx *cx, const ae_pass *p, const ae_tensor *hidden,
                            const ae_predictions *predictions, beside *more)
{
    float temperature = p->temperature > 0 ? p->temperature : 1;

    if (p->entropy)
        return ae_net_log_prob_entropy(cx, p->net, hidden, predictions, temperature,
                                       &more->entropy);
    return ae_net_log_prob_at(cx, p->net, hidden, predictions, temperature,
                              ae_objective_smooths(p->recipe) ? &more->mean : NULL);
}

static ae_tensor *forward(ae_ctx *cx, const ae_pass *p, const ae_row *row, beside *more)
{
    ae_batch batch = { .n_tokens = row->n_tokens,
                       .ids = row->ids,
                       .pos = row->pos,
                       .segments = row->segments,
                       .n_segments = row->n_segments };
    ae_predictions predictions = { .rows = row->rows,
                                   .targets = row->targets,
                                   .n = row->n_predictions };
    ae_batch *kept = ae_arena_take(p->arena, 1, sizeof *kept);
    ae_tensor *hidden;

    if (!kept) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no memory for a batch");
        return NULL;
    }
    *kept = batch; /* the way back looks at it again */
    hidden = ae_net_hidden(cx, p->net, kept);
    if (p->objective->of_scores)
        return ae_net_scores(cx, p->net, hidden, row->rows, row->n_predictions);
    if (p->values) more->values = ae_net_scores(cx, p->net, hidden, row->rows, row->n_predictions);
    return log_probs(cx, p, hidden, &predictions, more);
}

static ae_loss_call call_of(const ae_pass *p, const laid_row *laid, const int64_t *items, int64_t n,
                            double share, const ae_tensor *logp, const beside *more)
{
    return (ae_loss_call){ .recipe = p->recipe,
                           .set = p->set,
                           .items = items,
                           .n_items = n,
                           .row = &laid->row,
                           .first = laid->first,
                           .logp = ae_f32(logp),
                           .mean = more->mean ? ae_f32(more->mean) : NULL,
                           .values = more->values ? ae_f32(more->values) : NULL,
                           .entropy = more->entropy ? ae_f32(more->entropy) : NULL,
                           .reference = p->reference,
                           .terms = p->terms,
                           .share = share,
                           .nll_share = p->nll_share };
}

static aerie_status run_row(const ae_pass *p, ae_pass_kind kind, const int64_t *items, int64_t n,
                            double share, ae_loss_sums *sums, double *reference, aerie_error *err)
{
    ae_tape tape = { 0 };
    laid_row laid;
    ae_ctx cx = { .device = p->device, .arena = p->arena, .dropout_key = p->dropout_key };
    ae_tensor *logp;
    beside more = { 0 };
    ae_loss_call call;
    aerie_status status;

    ae_arena_reset_all(p->arena);
    status = ae_run_ask(p->run, err);
    if (!status) status = lay_row(p, kind, &laid, items, n, err);
    if (status) return status;
    if (laid.row.n_predictions == 0) return AERIE_OK; /* nothing to learn here */
    cx.dropout_rows = laid.row.dropout_rows;
    if (kind == AE_PASS_TRAIN) cx.tape = &tape;
    logp = forward(&cx, p, &laid.row, &more);
    if (!logp) return aerie_fail(err, cx.error.status, "%s", cx.error.message);
    call = call_of(p, &laid, items, n, share, logp, &more);
    if (kind == AE_PASS_REFERENCE) {
        p->objective->reference(&call, reference);
        return AERIE_OK;
    }
    if (kind == AE_PASS_TRAIN) {
        call.dlogp = logp->grad;
        call.dmean = more.mean ? more.mean->grad : NULL;
        call.dvalues = more.values ? more.values->grad : NULL;
        call.dentropy = more.entropy ? more.entropy->grad : NULL;
    }
    p->objective->loss(&call, sums);
    if (kind != AE_PASS_TRAIN) return AERIE_OK;
    return ae_tape_backward(&tape, &(ae_backward){ .device = p->device, .arena = p->arena }, err);
}

static aerie_status run_items(const ae_pass *p, ae_pass_kind kind, const int64_t *items, int64_t n,
                              double share, ae_loss_sums *sums, double *reference, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    ae_pass row = *p;

    while (n > 0 && !status) {
        int64_t k =
            ae_plan_micro(p->recipe, p->objective, p->set, items, n, p->recipe->micro_batch_tokens);
        status = run_row(&row, kind, items, k, share, sums, reference, err);
        if (row.terms) row.terms += k;
        items += k;
        n -= k;
    }
    return status;
}

/* Computes the log-probabilities of all items, under the dropout that the gradients will meet, and
 * makes their terms. */
static aerie_status couple(const ae_pass *p, ae_pass_kind kind, ae_dpo_term *terms,
                           const int64_t *items, int64_t n, aerie_error *err)
{
    size_t n_values = (size_t)p->objective->count(p->set) * (size_t)p->objective->n_reference;
    double *values = ae_alloc(n_values, sizeof *values);
    ae_couple_call call = { .recipe = p->recipe,
                            .set = p->set,
                            .items = items,
                            .n_items = n,
                            .values = values,
                            .reference = p->reference,
                            .running = p->running,
                            .training = kind == AE_PASS_TRAIN };
    aerie_status status;

    if (!values)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a step's log-probabilities");
    status = run_items(p, AE_PASS_REFERENCE, items, n, 1, NULL, values, err);
    if (!status) status = p->objective->couple(&call, terms, err);
    ae_free(values);
    return status;
}

aerie_status ae_pass_items(const ae_pass *p, ae_pass_kind kind, const int64_t *items, int64_t n,
                           double share, ae_loss_sums *sums, aerie_error *err)
{
    ae_pass coupled = *p;
    ae_dpo_term *terms;
    aerie_status status;

    for (int64_t k = 0; p->objective->nll_share && k < n; k++)
        coupled.nll_share += p->objective->nll_share(p->set, items[k]);
    if (!p->objective->is_coupled || !p->objective->is_coupled(p->recipe))
        return run_items(&coupled, kind, items, n, share, sums, NULL, err);
    coupled.terms = terms = ae_alloc((size_t)n, sizeof *terms);
    if (!terms) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the terms of a step");
    status = couple(p, kind, terms, items, n, err);
    if (!status) status = run_items(&coupled, kind, items, n, share, sums, NULL, err);
    ae_free(terms);
    return status;
}

double ae_pass_share(const ae_pass *p, const int64_t *items, int64_t n)
{
    double share = 0;

    for (int64_t k = 0; k < n; k++) share += p->objective->share(p->set, items[k]);
    return share;
}

aerie_status ae_pass_reference(const ae_pass *p, const int64_t *items, int64_t n, double *out,
                               aerie_error *err)
{
    return run_row(p, AE_PASS_REFERENCE, items, n, 1, NULL, out, err);
}

/* ---- when a loss is not finite ---- */

static bool all_finite(const ae_tensor *t)
{
    const float *values = ae_f32(t);

    for (int64_t i = 0; i < t->rows * t->cols; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* The layers of which the first whose output is not finite is number *first - 1; all of them: more
 * than there are. A net of its first k layers is a net. */
static aerie_status first_bad_layer(const ae_pass *p, const ae_row *row, int64_t *first,
                                    aerie_error *err)
{
    ae_config config = *p->net->config;
    int64_t n = config.n_layers;
    ae_net net = *p->net;
    ae_arena_mark here = ae_arena_here(p->arena);

    net.config = &config;
    for (*first = 0; *first <= n; ++*first) {
        ae_ctx cx = { .device = p->device, .arena = p->arena };
        ae_batch batch = { .n_tokens = row->n_tokens,
                           .ids = row->ids,
                           .pos = row->pos,
                           .segments = row->segments,
                           .n_segments = row->n_segments };
        config.n_layers = *first;
        const ae_tensor *hidden = ae_net_hidden(&cx, &net, &batch);
        if (!hidden) return aerie_fail(err, cx.error.status, "%s", cx.error.message);
        if (!all_finite(hidden)) break;
        ae_arena_reset(p->arena, here);
    }
    return AERIE_OK;
}

aerie_status ae_pass_blame(const ae_pass *p, int64_t item, aerie_error *err)
{
    ae_ctx cx = { .device = p->device, .arena = p->arena };
    beside more = { 0 };
    const ae_tensor *out;
    int64_t n = p->net->config->n_layers, layer = 0;
    aerie_status status;
    laid_row laid;

    ae_arena_reset_all(p->arena);
    status = lay_row(p, AE_PASS_REFERENCE, &laid, &item, 1, err);
    if (status || laid.row.n_predictions == 0) return status;
    out = forward(&cx, p, &laid.row, &more);
    if (!out) return aerie_fail(err, cx.error.status, "%s", cx.error.message);
    if (all_finite(out) && (!more.values || all_finite(more.values))) return AERIE_OK;
    status = first_bad_layer(p, &laid.row, &layer, err);
    if (status) return status;
    if (layer == 0)
        return aerie_fail(err, AERIE_BAD_NUMBER,
                          "the token embeddings of sample %lld are not finite", (long long)item);
    if (layer > n)
        return aerie_fail(err, AERIE_BAD_NUMBER, "the %s of sample %lld are not finite",
                          p->objective->of_scores ? "scores" : "log-probabilities",
                          (long long)item);
    return aerie_fail(err, AERIE_BAD_NUMBER, "the output of layer %lld is not finite (sample %lld)",
                      (long long)layer - 1, (long long)item);
}

/* golden_loss.c -- cross-entropy and preference losses against golden numbers. Logits go through
 * ae_log_prob with an identity for a head: the path that training takes. */
#include "train/golden.h"

#include <string.h>

/* Logits as hidden states, their log-probabilities, and the way back. */
typedef struct {
    ae_ctx cx;
    ae_tape tape;
    ae_row row;
    ae_tensor *logits, *head, *logp, *mean;
} scored;

static ae_tensor *identity(ae_golden *g, int64_t n)
{
    ae_tensor *t = ae_golden_take(g, 1, sizeof *t);
    float *data = ae_golden_take(g, n * n, sizeof *data);

    if (!t || !data) return NULL;
    for (int64_t i = 0; i < n; i++) data[i * n + i] = 1;
    *t = (ae_tensor){ .dtype = AE_F32, .rows = n, .cols = n, .data = data };
    return t;
}

static int64_t innermost(const json_t *list)
{
    while (json_is_array(json_array_get(list, 0))) list = json_array_get(list, 0);
    return (int64_t)json_array_size(list);
}

static bool start(ae_golden *g, scored *s, const json_t *logits, int64_t max_predictions)
{
    aerie_error err = { 0 };
    int64_t vocab = innermost(logits);

    *s = (scored){ .cx = { .device = g->device, .arena = &g->arena } };
    s->logits = ae_golden_tensor(g, logits, vocab, true);
    s->head = vocab > 0 ? identity(g, vocab) : NULL;
    if (!s->logits || !s->head) {
        ae_golden_problem(g, "the case has no logits");
        return false;
    }
    return ae_golden_ok(g, ae_row_new(&s->row, &g->arena, 1, 1, max_predictions, &err), &err);
}

static bool score(ae_golden *g, scored *s, bool smooth)
{
    ae_predictions p = { .rows = s->row.rows,
                         .targets = s->row.targets,
                         .n = s->row.n_predictions };

    s->cx.tape = &s->tape;
    s->logp = ae_log_prob(&s->cx, s->logits, s->head, &p, smooth ? &s->mean : NULL);
    return ae_golden_ok(g, ae_ctx_status(&s->cx), &s->cx.error);
}

static bool go_back(ae_golden *g, scored *s)
{
    aerie_error err = { 0 };
    ae_backward to = { .device = g->device, .arena = &g->arena };

    return ae_golden_ok(g, ae_tape_backward(&s->tape, &to, &err), &err);
}

static ae_loss_call call_of(const scored *s, const ae_recipe *recipe, double share)
{
    return (ae_loss_call){ .recipe = recipe,
                           .row = &s->row,
                           .logp = ae_f32(s->logp),
                           .mean = s->mean ? ae_f32(s->mean) : NULL,
                           .dlogp = s->logp->grad,
                           .dmean = s->mean ? s->mean->grad : NULL,
                           .share = share };
}

/* What each token's loss is multiplied by. */
static const json_t *weights_of(const json_t *c)
{
    const json_t *mask = ae_golden_at(c, "inputs", "mask");

    return mask ? mask : ae_golden_at(c, "inputs", "weights");
}

/* Cross-entropy of rows first .. first + n - 1, weighted by the mask. */
static bool add_ce(ae_golden *g, const json_t *c, int64_t first, int64_t n, double share, scored *s,
                   ae_loss_sums *sums)
{
    ae_recipe recipe = { .label_smoothing = ae_golden_param(c, "epsilon", 0) };
    int64_t n_labels, n_mask;
    const double *labels = ae_golden_list(g, ae_golden_at(c, "inputs", "labels"), &n_labels);
    const double *mask = ae_golden_list(g, weights_of(c), &n_mask);
    ae_loss_call call;

    if (first + n > n_labels || first + n > n_mask) {
        ae_golden_problem(g, "labels or mask are too short");
        return false;
    }
    for (int64_t i = first; i < first + n; i++)
        ae_row_predict(&s->row, i, (int32_t)labels[i], (float)mask[i]);
    if (!score(g, s, recipe.label_smoothing > 0)) return false;
    call = call_of(s, &recipe, share);
    ae_objective_tokens.loss(&call, sums);
    return go_back(g, s);
}

static void ce_in_micro_batches(ae_golden *g, const json_t *c)
{
    const json_t *logits = ae_golden_at(c, "inputs", "logits");
    int64_t n_rows = (int64_t)json_array_size(logits), per_row, n_mask;
    const double *mask = ae_golden_list(g, ae_golden_at(c, "inputs", "mask"), &n_mask);
    ae_loss_sums sums = { 0 };
    double share = 0;

    for (int64_t i = 0; i < n_mask; i++) share += mask[i];
    per_row = n_rows > 0 ? n_mask / n_rows : 0;
    for (int64_t b = 0; b < n_rows; b++) {
        scored s;
        if (!start(g, &s, logits, per_row) || !add_ce(g, c, b * per_row, per_row, share, &s, &sums))
            return;
    }
    ae_golden_number(g, "loss", sums.loss / sums.share, ae_golden_at(c, "outputs", "correct"));
}

static void run_ce(ae_golden *g, const json_t *c)
{
    const json_t *outputs = json_object_get(c, "outputs"), *list;
    ae_loss_sums sums = { 0 };
    double share = 0;
    int64_t n;
    const double *mask = ae_golden_list(g, weights_of(c), &n);
    scored s;

    for (int64_t i = 0; i < n; i++) share += mask[i];
    if (!start(g, &s, ae_golden_at(c, "inputs", "logits"), n) ||
        !add_ce(g, c, 0, n, share > 0 ? share : 1, &s, &sums))
        return;
    ae_golden_number(g, "loss", sums.share > 0 ? sums.loss / sums.share : 0,
                     json_object_get(outputs, "loss"));
    ae_golden_floats(g, "grad_logits", s.logits->grad, s.logits->rows * s.logits->cols,
                     json_object_get(outputs, "grad_logits"));
    list = json_object_get(outputs, "n_tokens");
    if (list) ae_golden_number(g, "n_tokens", sums.share, list);
    list = json_object_get(outputs, "weight_sum");
    if (list) ae_golden_number(g, "weight_sum", sums.share, list);
    list = json_object_get(outputs, "weighted_sum");
    if (list) ae_golden_number(g, "weighted_sum", sums.loss, list);
    list = json_object_get(outputs, "per_token_logp");
    if (list) ae_golden_floats(g, "per_token_logp", ae_f32(s.logp), n, list);
}

void ae_golden_sft_ce(ae_golden *g, const json_t *c)
{
    if (ae_golden_at(c, "inputs", "micro_batches"))
        ce_in_micro_batches(g, c);
    else
        run_ce(g, c);
}

/* Sums of ranks are added before they are divided: what each back-propagates, times the number of
 * ranks whose mean is taken, is its part of the whole. */
static void sums_of_ranks(ae_golden *g, const json_t *c)
{
    int64_t n, n_weights;
    const double *sums = ae_golden_list(g, ae_golden_at(c, "inputs", "rank_sums"), &n);
    const double *weights =
        ae_golden_list(g, ae_golden_at(c, "inputs", "rank_weight_sums"), &n_weights);
    double *parts = ae_golden_take(g, n, sizeof *parts);
    ae_loss_sums all = { 0 };

    if (!parts || n != n_weights) {
        ae_golden_problem(g, "the case has no ranks");
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        all.loss += sums[i];
        all.share += weights[i];
    }
    for (int64_t i = 0; i < n; i++) parts[i] = sums[i] / all.share * (double)n;
    ae_golden_numbers(g, "rank_losses", parts, n, ae_golden_at(c, "outputs", "rank_losses"));
    ae_golden_number(g, "global_loss", all.loss / all.share,
                     ae_golden_at(c, "outputs", "global_loss"));
}

void ae_golden_crlft(ae_golden *g, const json_t *c)
{
    if (ae_golden_at(c, "inputs", "rank_sums"))
        sums_of_ranks(g, c);
    else
        run_ce(g, c);
}

/* ---- preference losses ---- */

static int find_name(const char *(*name)(int), const char *wanted)
{
    for (int i = 0; name(i); i++)
        if (strcmp(name(i), wanted) == 0) return i;
    return -1;
}

static const char *text_param(const json_t *c, const char *name, const char *otherwise)
{
    const char *text = json_string_value(ae_golden_at(c, "params", name));

    return text ? text : otherwise;
}

/* False: a loss this build does not know. The files' names differ in two places. */
static bool read_options(ae_dpo_options *o, const json_t *c)
{
    const char *name = text_param(c, "loss_type", "sigmoid");
    int loss,
        divergence = find_name(ae_divergence_name, text_param(c, "f_divergence", "reverse_kl"));

    if (strcmp(name, "cdpo") == 0) name = "sigmoid";
    if (strcmp(name, "ipo_avg") == 0) name = "ipo";
    loss = find_name(ae_dpo_loss_name, name);
    if (loss < 0 || divergence < 0) return false;
    *o = (ae_dpo_options){ .loss = (ae_dpo_loss)loss,
                           .divergence = (ae_f_divergence)divergence,
                           .beta = ae_golden_param(c, "beta", 0.1),
                           .label_smoothing = ae_golden_param(c, "label_smoothing", 0),
                           .tau = ae_golden_param(c, "discopop_tau", 0.05),
                           .f_alpha = ae_golden_param(c, "f_alpha", 0.5),
                           .rpo_alpha = ae_golden_param(c, "sft_weight", 0),
                           .ld_alpha = ae_golden_param(c, "ld_alpha", 1),
                           .reference_free =
                               json_is_true(ae_golden_at(c, "params", "reference_free")) };
    return true;
}

/* Field k of every pair: inputs in the order of ae_dpo_pair. */
static bool read_pairs(ae_golden *g, const json_t *c, double *fields[6], int64_t *n)
{
    static const char *const names[6] = { "policy_chosen_logps", "policy_rejected_logps",
                                          "ref_chosen_logps",    "ref_rejected_logps",
                                          "chosen_len",          "rejected_len" };

    for (int k = 0; k < 6; k++) {
        int64_t count;
        const json_t *list = ae_golden_at(c, "inputs", names[k]);
        const double *values = ae_golden_list(g, list, &count);
        if (k == 0) *n = count;
        fields[k] = ae_golden_take(g, *n, sizeof **fields);
        if (!fields[k]) return false;
        for (int64_t i = 0; i < *n; i++) fields[k][i] = i < count ? values[i] : 1;
    }
    return true;
}

/* Where the pair's loss stands in the file: at its own place, or, when a step's pairs are sorted,
 * at its rank. */
static int64_t place_of(const ae_dpo_options *o, double *const in[6], int64_t n, int64_t i)
{
    const double *minus = o->loss == AE_DPO_AOT ? in[1] : in[2];
    int64_t rank = 0;

    if (!ae_dpo_is_of_step(o->loss)) return i;
    for (int64_t k = 0; k < n; k++) rank += in[0][k] - minus[k] < in[0][i] - minus[i];
    return rank;
}

static void dpo_of_logps(ae_golden *g, const json_t *c, const ae_dpo_options *o)
{
    const json_t *outputs = json_object_get(c, "outputs");
    double *in[6], *out[5], loss = 0, correct = 0;
    ae_dpo_pair *pairs;
    ae_dpo_term *terms;
    aerie_error err = { 0 };
    int64_t n;

    if (!read_pairs(g, c, in, &n)) return;
    for (int k = 0; k < 5; k++)
        if (!(out[k] = ae_golden_take(g, n, sizeof **out))) return;
    pairs = ae_golden_take(g, n, sizeof *pairs);
    terms = ae_golden_take(g, n, sizeof *terms);
    if (!pairs || !terms) return;
    for (int64_t i = 0; i < n; i++)
        pairs[i] = (ae_dpo_pair){ in[0][i], in[1][i], in[2][i], in[3][i], in[4][i], in[5][i] };
    if (!ae_golden_ok(g, ae_dpo_terms_of(terms, o, pairs, n, &err), &err)) return;
    for (int64_t i = 0; i < n; i++) {
        const ae_dpo_term *t = &terms[i];
        loss += t->loss / (double)n;
        correct += (t->reward_chosen > t->reward_rejected) / (double)n;
        out[0][place_of(o, in, n, i)] = t->loss;
        out[1][i] = t->d_chosen / (double)n;
        out[2][i] = t->d_rejected / (double)n;
        out[3][i] = t->reward_chosen;
        out[4][i] = t->reward_rejected;
    }
    ae_golden_number(g, "loss", loss, json_object_get(outputs, "loss"));
    if (json_object_get(outputs, "per_sorted"))
        ae_golden_numbers(g, "per_sorted", out[0], n, json_object_get(outputs, "per_sorted"));
    static const char *const names[5] = { "per_pair", "grad_policy_chosen_logps",
                                          "grad_policy_rejected_logps", "rewards_chosen",
                                          "rewards_rejected" };
    for (int k = 0; k < 5; k++)
        if (json_object_get(outputs, names[k]))
            ae_golden_numbers(g, names[k], out[k], n, json_object_get(outputs, names[k]));
    if (json_object_get(outputs, "rewards_accuracy"))
        ae_golden_number(g, "rewards_accuracy", correct,
                         json_object_get(outputs, "rewards_accuracy"));
}

/* One answer's logits, with its masked tokens as predictions. Returns how many. */
static int64_t lay_answer(ae_golden *g, const json_t *c, const char *answer, scored *s,
                          const char *logits)
{
    char name[32];
    int64_t n_ids, n_mask;
    const double *ids, *mask;

    snprintf(name, sizeof name, "input_ids_%s", answer);
    ids = ae_golden_list(g, ae_golden_at(c, "inputs", name), &n_ids);
    snprintf(name, sizeof name, "mask_%s", answer);
    mask = ae_golden_list(g, ae_golden_at(c, "inputs", name), &n_mask);
    snprintf(name, sizeof name, "%s_%s", logits, answer);
    if (!start(g, s, ae_golden_at(c, "inputs", name), n_mask)) return 0;
    for (int64_t t = 0; t < n_mask && t + 1 < n_ids; t++)
        if (mask[t] != 0) ae_row_predict(&s->row, t, (int32_t)ids[t + 1], 1);
    return s->row.n_predictions;
}

static double answer_sum(const scored *s, int64_t n_shorter, double ld_alpha)
{
    double sum = 0;

    for (int64_t i = 0; i < s->row.n_predictions; i++)
        sum += (i < n_shorter ? 1 : ld_alpha) * (double)ae_f32(s->logp)[i];
    return sum;
}

static bool answer_back(ae_golden *g, scored *s, int64_t n_shorter, double ld_alpha, double slope)
{
    for (int64_t i = 0; i < s->row.n_predictions; i++)
        s->logp->grad[i] = (float)((i < n_shorter ? 1 : ld_alpha) * slope);
    return go_back(g, s);
}

static void dpo_of_logits(ae_golden *g, const json_t *c, const ae_dpo_options *o)
{
    static const char *const answers[2] = { "chosen", "rejected" };
    static const char *const grads[2] = { "grad_logits_chosen", "grad_logits_rejected" };
    scored policy[2], reference[2];
    ae_dpo_pair pair;
    ae_dpo_term term;
    int64_t n[2], shorter;

    for (int k = 0; k < 2; k++) {
        n[k] = lay_answer(g, c, answers[k], &policy[k], "policy_logits");
        if (n[k] == 0 || lay_answer(g, c, answers[k], &reference[k], "ref_logits") != n[k] ||
            !score(g, &policy[k], false) || !score(g, &reference[k], false)) {
            ae_golden_problem(g, "the case has no %s answer", answers[k]);
            return;
        }
    }
    shorter = n[0] < n[1] ? n[0] : n[1];
    pair = (ae_dpo_pair){ .chosen = answer_sum(&policy[0], shorter, o->ld_alpha),
                          .rejected = answer_sum(&policy[1], shorter, o->ld_alpha),
                          .ref_chosen = answer_sum(&reference[0], shorter, o->ld_alpha),
                          .ref_rejected = answer_sum(&reference[1], shorter, o->ld_alpha),
                          .n_chosen = (double)n[0],
                          .n_rejected = (double)n[1] };
    ae_dpo_term_of(&term, o, &pair);
    ae_golden_number(g, "loss", term.loss, ae_golden_at(c, "outputs", "loss"));
    for (int k = 0; k < 2; k++) {
        const ae_tensor *t = policy[k].logits;
        if (!answer_back(g, &policy[k], shorter, o->ld_alpha, k ? term.d_rejected : term.d_chosen))
            return;
        ae_golden_floats(g, grads[k], t->grad, t->rows * t->cols,
                         ae_golden_at(c, "outputs", grads[k]));
    }
}

void ae_golden_dpo(ae_golden *g, const json_t *c)
{
    ae_dpo_options options;

    if (!read_options(&options, c))
        g->unknown = true;
    else if (ae_golden_at(c, "inputs", "policy_logits_chosen"))
        dpo_of_logits(g, c, &options);
    else
        dpo_of_logps(g, c, &options);
}

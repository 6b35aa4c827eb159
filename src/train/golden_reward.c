/* golden_reward.c -- reward models' losses and head against golden numbers. */
#include "train/golden.h"
#include "train/reward.h"

#include <string.h>

/* Sums over prompts of n ranked scores each. */
typedef struct {
    double loss, n_pairs, n_correct, margin, n_first;
    double *slope; /* [prompts * n] */
} outcome;

static void add_prompt(outcome *out, int64_t prompt, ae_reward_loss loss, double center,
                       const ae_ranked_scores *s)
{
    double *slope = out->slope + prompt * s->n;
    bool first = true;
    ae_reward_term term;

    ae_reward_term_of(&term, slope, loss, center, s);
    out->loss += term.loss;
    out->n_pairs += term.n_pairs;
    out->n_correct += term.n_correct;
    out->margin += (term.better - term.worse) / term.n_pairs;
    for (int64_t k = 1; k < s->n; k++) first = first && s->score[0] > s->score[k];
    out->n_first += first;
}

static float *ranks_of(ae_golden *g, const json_t *c, int64_t n)
{
    int64_t n_given;
    const float *given = ae_golden_float_list(g, ae_golden_at(c, "inputs", "ranks"), &n_given);
    float *ranks = ae_golden_take(g, n, sizeof *ranks);

    for (int64_t k = 0; ranks && k < n; k++) ranks[k] = k < n_given ? given[k] : (float)(k + 1);
    return ranks;
}

static void check_if_there(ae_golden *g, const char *what, double got, const json_t *outputs)
{
    const json_t *wanted = json_object_get(outputs, what);

    if (wanted) ae_golden_number(g, what, got, wanted);
}

static ae_reward_loss loss_of(const char *name)
{
    if (strncmp(name, "plackett_luce", 13) == 0) return AE_REWARD_PLACKETT_LUCE;
    return strcmp(name, "all_pairs_sum") == 0 ? AE_REWARD_ALL_PAIRS_SUM : AE_REWARD_ALL_PAIRS;
}

void ae_golden_rm_kwise(ae_golden *g, const json_t *c)
{
    const json_t *rewards = ae_golden_at(c, "inputs", "rewards"),
                 *outputs = json_object_get(c, "outputs"), *each;
    const char *name = json_string_value(json_object_get(c, "name"));
    bool nested = json_is_array(json_array_get(rewards, 0));
    int64_t n_all, prompts = nested ? (int64_t)json_array_size(rewards) : 1;
    const double *scores = ae_golden_list(g, rewards, &n_all);
    int64_t n = n_all / prompts;
    outcome out = { .slope = ae_golden_take(g, n_all, sizeof *out.slope) };
    double *losses = ae_golden_take(g, prompts, sizeof *losses);
    const float *ranks = ranks_of(g, c, n);

    if (!name || !out.slope || !losses || !ranks) return;
    for (int64_t p = 0; p < prompts; p++) {
        const ae_ranked_scores s = { scores + p * n, ranks, n, 0 };
        double before = out.loss;
        add_prompt(&out, p, loss_of(name), 0, &s);
        losses[p] = out.loss - before;
    }
    for (int64_t i = 0; i < n_all; i++) out.slope[i] /= (double)prompts;
    ae_golden_number(g, "loss", out.loss / (double)prompts, json_object_get(outputs, "loss"));
    ae_golden_numbers(g, "grad", out.slope, n_all, json_object_get(outputs, "grad"));
    each = json_object_get(outputs, "per_prompt");
    if (each) ae_golden_numbers(g, "per_prompt", losses, prompts, each);
    check_if_there(g, "pairwise_accuracy", out.n_correct / out.n_pairs, outputs);
    check_if_there(g, "top1_accuracy", out.n_first / (double)prompts, outputs);
    check_if_there(g, "n_pairs", out.n_pairs, outputs);
}

void ae_golden_rm_pairwise(ae_golden *g, const json_t *c)
{
    static const float ranks[2] = { 1, 2 };
    const json_t *outputs = json_object_get(c, "outputs");
    double center = ae_golden_param(c, "center_rewards_coefficient", 0);
    int64_t n, n_rejected, n_margin;
    const double *chosen = ae_golden_list(g, ae_golden_at(c, "inputs", "chosen"), &n);
    const double *rejected = ae_golden_list(g, ae_golden_at(c, "inputs", "rejected"), &n_rejected);
    const double *margin = ae_golden_list(g, ae_golden_at(c, "inputs", "margin"), &n_margin);
    outcome out = { .slope = ae_golden_take(g, 2 * n, sizeof *out.slope) };
    double *grads[2] = { ae_golden_take(g, n, sizeof *grads[0]),
                         ae_golden_take(g, n, sizeof *grads[1]) };

    if (n_rejected != n || n_margin != n) ae_golden_problem(g, "the case's lists differ in length");
    if (n_rejected != n || n_margin != n || !out.slope || !grads[0] || !grads[1]) return;
    for (int64_t p = 0; p < n; p++) {
        const double scores[2] = { chosen[p], rejected[p] };
        const ae_ranked_scores s = { scores, ranks, 2, margin[p] };
        add_prompt(&out, p, AE_REWARD_BRADLEY_TERRY, center, &s);
        for (int k = 0; k < 2; k++) grads[k][p] = out.slope[2 * p + k] / (double)n;
    }
    ae_golden_number(g, "loss", out.loss / (double)n, json_object_get(outputs, "loss"));
    ae_golden_numbers(g, "grad_chosen", grads[0], n, json_object_get(outputs, "grad_chosen"));
    ae_golden_numbers(g, "grad_rejected", grads[1], n, json_object_get(outputs, "grad_rejected"));
    ae_golden_number(g, "accuracy", out.n_correct / out.n_pairs,
                     json_object_get(outputs, "accuracy"));
    ae_golden_number(g, "mean_margin", out.margin / (double)n,
                     json_object_get(outputs, "mean_margin"));
}

/* The head over hidden states: the last token by the mask's length, and the way back. */
void ae_golden_rm_head(ae_golden *g, const json_t *c)
{
    const json_t *outputs = json_object_get(c, "outputs"), *list = ae_golden_at(c, "inputs", "w");
    int64_t width = (int64_t)json_array_size(list), n_mask;
    const double *mask = ae_golden_list(g, ae_golden_at(c, "inputs", "attention_mask"), &n_mask);
    ae_tensor *hidden = ae_golden_tensor(g, ae_golden_at(c, "inputs", "hidden"), width, true);
    ae_tensor *w = ae_golden_tensor(g, list, width, true), *y;
    ae_tape tape = { 0 };
    ae_ctx cx = { .device = g->device, .arena = &g->arena, .tape = &tape };
    const ae_net net = { .score = w };
    ae_backward to = { .device = g->device, .arena = &g->arena };
    int32_t last = -1;

    for (int64_t i = 0; i < n_mask; i++) last += mask[i] != 0;
    if (!hidden || !w) return;
    y = ae_net_scores(&cx, &net, hidden, &last, 1);
    if (!ae_golden_ok(g, ae_ctx_status(&cx), &cx.error)) return;
    y->grad[0] = 1;
    if (!ae_golden_ok(g, ae_tape_backward(&tape, &to, &cx.error), &cx.error)) return;
    ae_golden_number(g, "score", (double)ae_f32(y)[0], json_object_get(outputs, "score"));
    ae_golden_floats(g, "grad_w", w->grad, width, json_object_get(outputs, "grad_w"));
    ae_golden_floats(g, "grad_hidden", hidden->grad, hidden->rows * width,
                     json_object_get(outputs, "grad_hidden"));
}

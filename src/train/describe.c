/* describe.c -- what a run would do, in words and numbers: the text of --dry-run. */
#include "train/method.h"
#include "train/trainer.h"

/* Floats that one layer leaves on the tape for a token: the outputs of its ops (layer.c of nn). */
static double layer_floats(const ae_trainer *t)
{
    const ae_config *c = ae_model_config(t->model);
    double d = (double)c->hidden_size, f = (double)c->intermediate_size;
    double q = (double)(c->n_heads * c->head_dim), k = (double)(c->n_kv_heads * c->head_dim);
    double sum = 6 * d + 3 * q + 3 * k + 3 * f;

    /* An adapter adds x A^T for each projection. */
    return sum + 7 * (double)t->recipe->lora_r;
}

/* Tokens of the longest row: a sample that passes micro_batch_tokens has a row of its own. */
static int64_t row_tokens(const ae_trainer *t)
{
    int64_t n = t->objective->count(t->data), max = t->recipe->micro_batch_tokens;

    for (int64_t i = 0; i < n; i++) {
        int64_t tokens = t->objective->tokens(t->recipe, t->data, i);
        if (tokens > max) max = tokens;
    }
    return max;
}

size_t ae_row_bytes(const ae_trainer *t, bool recompute)
{
    const ae_config *c = ae_model_config(t->model);
    int64_t frozen = ae_first_trained(c->n_layers, t->recipe->last_layers);
    double layers = (double)(c->n_layers - frozen), d = (double)c->hidden_size;
    double floats = recompute ? layers * d + layer_floats(t) : layers * layer_floats(t);

    /* Each has a gradient beside it, but what lies below the first layer that is trained: these
     * layers' outputs, and one's inside at a time. */
    floats += 3 * d + (frozen > 0 ? ((double)frozen * d + layer_floats(t)) / 2 : 0);
    return (size_t)(2 * sizeof(float) * floats * (double)row_tokens(t));
}

static double megabytes(size_t bytes)
{
    return (double)bytes / 1048576;
}

/* Values, gradients, moments, and where a step keeps them a copy of all but the gradients. */
static size_t trained_bytes(const ae_trainer *t)
{
    int copies = 2 + t->optimizer.n_moments;

    if (ae_online_keeps(t->recipe)) copies += 1 + t->optimizer.n_moments;
    return (size_t)t->optimizer.n_values * (size_t)copies * sizeof(float);
}

size_t ae_trainer_memory(const ae_trainer *t)
{
    return ae_model_weight_bytes(t->model) + trained_bytes(t) + ae_row_bytes(t, t->net.recompute);
}

static void describe_memory(const ae_trainer *t, ae_bytes *out)
{
    size_t weights = ae_model_weight_bytes(t->model), trained = trained_bytes(t);
    size_t row = ae_row_bytes(t, t->net.recompute);

    ae_bytes_printf(
        out,
        "memory, about: %.1f MB = %.1f model + %.1f trained (values, gradients, moments) "
        "+ %.1f a row of %lld tokens%s\n",
        megabytes(weights + trained + row), megabytes(weights), megabytes(trained), megabytes(row),
        (long long)row_tokens(t), t->net.recompute ? ", recomputed" : "");
}

void ae_trainer_describe(const ae_trainer *t, ae_bytes *out)
{
    int64_t n = t->objective->count(t->data), tokens = 0;
    bool of_scores = t->objective->of_scores;
    ae_example_kind kind = ae_method_of(t->recipe)->kind;
    double learned = 0;

    for (int64_t i = 0; i < n; i++) {
        tokens += t->objective->tokens(t->recipe, t->data, i);
        learned += t->objective->of_pairs || of_scores
                       ? (double)t->objective->predictions(t->data, i)
                       : t->objective->share(t->data, i);
    }
    ae_recipe_print(t->recipe, false, out);
    ae_bytes_printf(out, "\n%s: %lld (%zu dropped, %zu truncated)\n",
                    of_scores                   ? "rankings"
                    : kind == AE_EXAMPLE_PAIR   ? "pairs"
                    : kind == AE_EXAMPLE_PROMPT ? "prompts"
                                                : "samples",
                    (long long)n, t->data->n_dropped, t->data->n_truncated);
    if (t->data->n_left_out)
        ae_bytes_printf(out,
                        "left out: %zu rows in which no answer is enough better than another\n",
                        t->data->n_left_out);
    ae_bytes_printf(out, "tokens: %lld computed an epoch, %.15g of them %s\n", (long long)tokens,
                    learned, of_scores ? "scored" : "learned");
    ae_bytes_printf(out, "steps: %lld (%lld an epoch), %lld of them warming up to %.6g\n",
                    (long long)t->plan.n_steps, (long long)t->plan.steps_per_epoch,
                    (long long)t->schedule.n_warmup, t->schedule.base);
    ae_bytes_printf(out, "trained: %lld numbers in %lld tensors\n",
                    (long long)t->optimizer.n_values, (long long)t->optimizer.n);
    describe_memory(t, out);
}

/* setup.c -- opens what a training run is made of: networks, adapters, parameters, plan, names. */
#include "train/method.h"
#include "train/origin.h"
#include "train/recipe.h"
#include "train/reward_source.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory to set up the training");
}

static aerie_status check_ranking(const ae_sample *s, size_t i, aerie_error *err)
{
    bool ordered = false;

    if (s->kind != AE_EXAMPLE_RANKED || s->n_prompt < 1 || s->n_replies < 2)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "sample %zu is not a prompt with two ranked replies or more", i);
    for (int32_t k = 1; k < s->n_replies; k++) ordered |= s->rank[k] != s->rank[0];
    if (ordered) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "the replies of sample %zu are all tied", i);
}

static aerie_status check_sample(const ae_sample *s, ae_example_kind kind, size_t i,
                                 aerie_error *err)
{
    bool single = kind == AE_EXAMPLE_UNPAIRED;

    if (kind == AE_EXAMPLE_RANKED) return check_ranking(s, i, err);
    if (s->n < 1) return aerie_fail(err, AERIE_BAD_ARGUMENT, "sample %zu is empty", i);
    if (!single && kind != AE_EXAMPLE_PAIR) return AERIE_OK;
    if (s->kind != kind)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "sample %zu is not %s", i,
                          single ? "a single reply" : "a pair");
    if (s->n_prompt >= 1 && s->n_chosen >= 1 && (single || s->n_rejected >= 1)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "pair %zu has an empty %s", i,
                      s->n_prompt < 1   ? "prompt"
                      : s->n_chosen < 1 ? "chosen answer"
                                        : "rejected answer");
}

/* Replies must fit behind the longest prompt. */
static aerie_status check_room(const ae_trainer *t, const ae_samples *prompts, aerie_error *err)
{
    int64_t room = ae_model_config(t->model)->max_position, most = t->recipe->online.max_new_tokens;

    if (room > 0 && most >= room)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "'rollout.max_new_tokens' (%lld) fills the model's context of %lld: "
                          "lower it",
                          (long long)most, (long long)room);
    for (size_t i = 0; i < prompts->n; i++)
        if (room > 0 && prompts->items[i].n + most > room)
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "prompt %zu has %d tokens, and with 'rollout.max_new_tokens' (%lld) "
                              "more than the model's context of %lld; lower that, or give "
                              "'max_prompt_length: %lld' to leave such prompts out",
                              i, prompts->items[i].n, (long long)most, (long long)room,
                              (long long)(room - most));
    return AERIE_OK;
}

/* Of methods that sample. Before hours of work, not at the step that meets the record. */
static aerie_status check_prompts(const ae_trainer *t, const ae_samples *prompts, aerie_error *err)
{
    aerie_status status;

    if (!ae_method_of(t->recipe)->online) return AERIE_OK;
    status = check_room(t, prompts, err);
    for (size_t i = 0; i < prompts->n && !status; i++)
        status = ae_reward_source_check(t->recipe, prompts->items[i].row, err);
    return status;
}

static aerie_status check_set(const ae_trainer *t, const ae_samples *set, aerie_error *err)
{
    ae_example_kind kind = ae_method_of(t->recipe)->kind;
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < set->n && !status; i++)
        status = check_sample(&set->items[i], kind, i, err);
    return status;
}

/* What scores has a head for it, and a whole copy of the model nothing but that. A value function
 * is beside the language head, and begins at zero everywhere. */
static ae_head_options head_options(const ae_recipe *r)
{
    bool scores = ae_objective_of(r)->of_scores;

    if (ae_online_has_values(r)) return (ae_head_options){ .score = true, .zero = true };
    return (ae_head_options){ .score = scores,
                              .zero = r->head_init == 1,
                              .drop_language = scores,
                              .seed = (uint64_t)r->seed };
}

static ae_lora_options lora_options(const ae_recipe *r)
{
    ae_lora_options o = { .rank = r->lora_r,
                          .alpha = (float)r->lora_alpha,
                          .dropout = (float)r->lora_dropout,
                          .rslora = r->lora_rslora,
                          .dora = r->lora_dora,
                          .last_layers = r->last_layers,
                          .head = head_options(r) };

    for (int64_t i = 0; i < r->lora_targets.n; i++)
        for (int k = 0; k < AE_N_PROJ; k++)
            if (strcmp(r->lora_targets.items[i], "all-linear") == 0 ||
                strcmp(r->lora_targets.items[i], ae_proj_name(k)) == 0)
                o.targets[k] = true;
    return o;
}

static aerie_status check_layers(const ae_trainer *t, aerie_error *err)
{
    int64_t n = ae_model_config(t->model)->n_layers, wanted = t->recipe->last_layers;

    if (wanted <= n) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT, "'last_layers' is %lld, the model has %lld layers",
                      (long long)wanted, (long long)n);
}

static aerie_status set_origin(ae_trainer *t, ae_adapter *a, aerie_error *err)
{
    ae_chain origin;
    aerie_status status = ae_origin_of(&origin, t->recipe, &t->nets, err);

    return status ? status : ae_adapter_set_origin(a, &origin, err);
}

static aerie_status open_adapters(ae_trainer *t, aerie_error *err)
{
    const ae_recipe *r = t->recipe;
    ae_lora_options options = lora_options(r);
    aerie_status status;
    int n;

    status = ae_adapters_open(t->adapters, r->adapters.items, (int)r->adapters.n, t->model,
                              t->run->any_base, err);
    if (status) return status;
    t->n_adapters = (int)r->adapters.n;
    for (int64_t i = 0; i < r->adapters.n && !status; i++)
        status = ae_adapter_norms(t->adapters[i], t->model, t->device, false, err);
    if (!status)
        status =
            ae_net_with_adapters(&t->start, &t->nets, t->model, t->adapters, t->n_adapters, err);
    n = t->n_adapters;
    if (!status)
        status = ae_adapter_new(&t->adapters[n], t->model, &options, (uint64_t)r->seed, err);
    if (status) return status;
    t->n_adapters++;
    ae_adapter_take_head(t->adapters[n], &t->start);
    status = ae_adapter_norms(t->adapters[n], t->model, t->device, true, err);
    if (!status) status = ae_adapter_set_beneath(t->adapters[n], t->adapters, n, err);
    if (!status && !t->run->dry_run) status = set_origin(t, t->adapters[n], err);
    if (status) return status;
    return ae_net_with_adapters(&t->net, &t->nets, t->model, t->adapters, t->n_adapters, err);
}

static bool is_trainable(const ae_model *m)
{
    ae_named_param first;

    return ae_model_params(m, &first, 1) > 0 && first.tensor->grad;
}

/* All parameters: of a copy, unless the model was made for this. */
static aerie_status open_copy(ae_trainer *t, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    t->start = *ae_model_net(t->model);
    if (!is_trainable(t->model)) {
        const ae_head_options head = head_options(t->recipe);
        status = ae_model_trainable_with(&t->copy, t->model, &head, t->recipe->last_layers, err);
    }
    if (status) return status;
    t->net = *ae_model_net(t->copy ? t->copy : t->model);
    if (!t->run->template_source) return AERIE_OK;
    return ae_model_set_template(t->copy ? t->copy : t->model, t->run->template_source, err);
}

static int64_t list_params(const ae_trainer *t, ae_named_param *out, int64_t cap)
{
    if (t->recipe->lora_r > 0) return ae_adapter_params(t->adapters[t->n_adapters - 1], out, cap);
    return ae_model_params(t->copy ? t->copy : t->model, out, cap);
}

/* Those with a gradient, in their order. */
static int64_t keep_trained(ae_named_param *params, int64_t n)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < n; i++)
        if (params[i].tensor->grad) params[kept++] = params[i];
    return kept;
}

static aerie_status open_optimizer(ae_trainer *t, aerie_error *err)
{
    int64_t n = list_params(t, NULL, 0);

    t->params = ae_alloc((size_t)n, sizeof *t->params);
    if (!t->params) return no_memory(err);
    list_params(t, t->params, n);
    n = keep_trained(t->params, n);
    return ae_optimizer_new(&t->optimizer, (ae_optim)t->recipe->optim, t->params, n, err);
}

/* Of an average step. */
static double learned_tokens(const ae_trainer *t)
{
    int64_t n = 0;

    for (int64_t k = 0; k < t->plan.n_items; k++) {
        const ae_sample *s = &t->data->items[t->plan.items[k]];
        for (int64_t i = 1; i < s->n; i++) n += s->weight[i] != 0;
    }
    return (double)n / (double)t->plan.n_steps;
}

static aerie_status open_plan(ae_trainer *t, aerie_error *err)
{
    const ae_recipe *r = t->recipe;
    aerie_status status = ae_plan_new(&t->plan, r, t->objective, t->data, err);
    double steps = (double)t->plan.n_steps;
    bool automatic = !status && !isnan(r->auto_learning_rate);

    t->schedule =
        (ae_schedule){ .kind = (ae_lr_kind)r->lr_kind,
                       .base = automatic ? ae_auto_rate(r->auto_learning_rate, learned_tokens(t))
                                         : r->learning_rate,
                       .min_ratio = r->min_lr_rate,
                       .n_steps = t->plan.n_steps,
                       .n_warmup = r->warmup_steps };
    /* transformers rounds up; OpenChat, whose schedule has a floor, rounds. */
    if (r->warmup_steps == 0)
        t->schedule.n_warmup =
            (int64_t)(r->lr_kind == AE_LR_COSINE_MIN ? round(r->warmup_ratio * steps)
                                                     : ceil(r->warmup_ratio * steps));
    return status;
}

static uint64_t hash_ranking(const ae_sample *s, uint64_t hash)
{
    size_t n = (size_t)s->n_replies;

    hash = ae_hash64(&s->margin, sizeof s->margin, hash);
    hash = ae_hash64(s->reply_n, n * sizeof *s->reply_n, hash);
    return ae_hash64(s->rank, n * sizeof *s->rank, hash);
}

static uint64_t hash_set(const ae_samples *set)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < set->n; i++) {
        const ae_sample *s = &set->items[i];
        int32_t lengths[4] = { s->n, s->n_prompt, s->n_chosen, s->n_rejected };
        hash = ae_hash64(lengths, sizeof lengths, hash);
        hash = ae_hash64(s->ids, (size_t)s->n * sizeof *s->ids, hash);
        hash = ae_hash64(s->weight, (size_t)s->n * sizeof *s->weight, hash);
        if (s->kind == AE_EXAMPLE_RANKED) hash = hash_ranking(s, hash);
        if (s->row) hash = ae_hash64(s->row, strlen(s->row), hash);
    }
    return hash;
}

/* Of the frozen ones. */
static uint64_t hash_adapters(const ae_trainer *t)
{
    int n = t->n_adapters - (t->recipe->lora_r > 0);
    uint64_t hash = 0;
    char hex[65];

    for (int i = 0; i < n; i++) {
        ae_adapter_hash(t->adapters[i], hex);
        hash = ae_hash64(hex, sizeof hex, hash);
        double scale = ae_adapter_scale(t->adapters[i]);
        if (scale != 1) hash = ae_hash64(&scale, sizeof scale, hash);
    }
    return hash;
}

/* What a checkpoint, and what the reference's numbers, belong to. */
static aerie_status identify(ae_trainer *t, aerie_error *err)
{
    char model[65];
    aerie_status status = ae_model_hash(t->model, model, err);

    if (status) return status;
    ae_recipe_print(t->recipe, true, &t->identity);
    ae_bytes_printf(&t->identity, "model's hash: %.16s\n", model);
    ae_bytes_printf(&t->identity, "adapters' hash: %016llx\n",
                    (unsigned long long)hash_adapters(t));
    ae_bytes_printf(&t->identity, "data's hash: %016llx\n", (unsigned long long)hash_set(t->data));
    if (ae_method_of(t->recipe)->online && t->recipe->online.source == AE_REWARD_JUDGE)
        ae_bytes_printf(&t->identity, "the judge: %s\n", t->recipe->online.model);
    if (t->reward_model) status = ae_reward_model_identify(t->reward_model, &t->identity, err);
    if (status) return status;
    if (ae_best_is_wanted(t->recipe))
        ae_bytes_printf(&t->identity, "eval_steps: %lld\neval_data's hash: %016llx\n",
                        (long long)t->recipe->eval_steps,
                        (unsigned long long)(t->eval ? hash_set(t->eval) : 0));
    ae_bytes_printf(&t->start_identity, "%s %016llx %s %d %.17g %d", model,
                    (unsigned long long)hash_adapters(t), t->device->name, t->recipe->shared_prefix,
                    t->recipe->ld_alpha, t->recipe->load_in);
    status = ae_bytes_status(&t->identity, err);
    return status ? status : ae_bytes_status(&t->start_identity, err);
}

static char *with_suffix(const char *path, const char *suffix)
{
    ae_bytes b = { 0 };

    ae_bytes_printf(&b, "%s%s", path, suffix);
    if (b.failed) ae_bytes_free(&b);
    return b.data;
}

static aerie_status name_files(ae_trainer *t, aerie_error *err)
{
    t->checkpoint_path = with_suffix(t->recipe->output, ".checkpoint");
    t->best_path = with_suffix(t->recipe->output, ".best");
    t->reference_path = with_suffix(t->recipe->output, ".reference");
    t->metrics_path = with_suffix(t->recipe->output, ".metrics.jsonl");
    if (t->checkpoint_path && t->best_path && t->reference_path && t->metrics_path) return AERIE_OK;
    return no_memory(err);
}

/* Past a gigabyte, fresh pages cost more than computing again: 9 s of 49 s on a model of 135M. */
static bool wants_recompute(const ae_trainer *t)
{
    if (t->recipe->recompute != AE_RECOMPUTE_AUTO)
        return t->recipe->recompute == AE_RECOMPUTE_ALWAYS;
    return ae_row_bytes(t, false) > (size_t)1 << 30;
}

static aerie_status open_reward_model(ae_trainer *t, aerie_error *err)
{
    if (!ae_method_of(t->recipe)->online || t->recipe->online.source != AE_REWARD_MODEL)
        return AERIE_OK;
    return ae_reward_model_open(&t->reward_model, t->recipe, t->model, t->device, err);
}

aerie_status ae_trainer_open(ae_trainer *t, aerie_error *err)
{
    aerie_status status;

    t->objective = ae_objective_of(t->recipe);
    status = check_set(t, t->data, err);
    if (!status && t->eval) status = check_set(t, t->eval, err);
    if (!status) status = check_prompts(t, t->data, err);
    if (!status && t->eval) status = check_prompts(t, t->eval, err);
    if (!status) status = check_layers(t, err);
    if (!status) status = name_files(t, err);
    if (!status) status = t->recipe->lora_r > 0 ? open_adapters(t, err) : open_copy(t, err);
    if (!status) status = open_optimizer(t, err);
    if (!status) status = open_plan(t, err);
    if (!status) status = open_reward_model(t, err);
    if (!status) status = identify(t, err);
    t->net.recompute = wants_recompute(t);
    return status;
}

void ae_trainer_close(ae_trainer *t)
{
    ae_metrics_close(&t->metrics);
    ae_reference_free(&t->reference);
    ae_reference_free(&t->eval_reference);
    ae_plan_free(&t->plan);
    ae_optimizer_free(&t->optimizer);
    ae_free(t->params);
    for (int i = 0; i < t->n_adapters; i++) ae_adapter_close(t->adapters[i]);
    ae_reward_model_close(t->reward_model);
    ae_model_close(t->copy);
    ae_free(t->checkpoint_path);
    ae_free(t->best_path);
    ae_free(t->reference_path);
    ae_free(t->metrics_path);
    ae_bytes_free(&t->identity);
    ae_bytes_free(&t->start_identity);
    ae_arena_free(&t->nets);
    ae_arena_free(&t->rows);
}

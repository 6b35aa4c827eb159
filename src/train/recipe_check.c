/* recipe_check.c -- what a recipe's keys mean together. */
#include "train/method.h"
#include "train/recipe.h"
#include "train/reward_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double default_rate(const ae_recipe *r)
{
    double full = ae_method_of(r)->learning_rate;

    return r->lora_r > 0 && r->method != AE_METHOD_PRETRAIN ? 10 * full : full;
}

/* Passes over a step's replies: TRL's for PPO, RLHF-APA's, and one where the papers have one. */
static int64_t default_rounds(const ae_recipe *r)
{
    if (r->method == AE_METHOD_PPO) return 4;
    return r->method == AE_METHOD_APA || r->method == AE_METHOD_AWR ? 2 : 1;
}

static void fill_in(ae_recipe *r)
{
    if (isnan(r->learning_rate) && isnan(r->auto_learning_rate)) r->learning_rate = default_rate(r);
    if (isnan(r->beta) && ae_method_of(r)->beta > 0) r->beta = ae_method_of(r)->beta;
    if (isnan(r->online.clip_high)) r->online.clip_high = r->online.clip_low;
    if (isnan(r->online.value_coef)) r->online.value_coef = r->method == AE_METHOD_PPO ? 0.1 : 1;
    if (r->online.epochs == 0) r->online.epochs = default_rounds(r);
    if (r->best_metric < 0)
        r->best_metric = ae_method_of(r)->online ? AE_BEST_REWARD : AE_BEST_LOSS;
    if (r->packing < 0) r->packing = r->method == AE_METHOD_PRETRAIN;
    if (r->method == AE_METHOD_PRETRAIN) r->train_on = AE_TRAIN_ON_ALL;
}

/* A key that another method has and this one has not is a mistake, not a wish to be ignored. */
static aerie_status check_keys(const ae_recipe *r, aerie_error *err)
{
    const ae_method_info *method = ae_method_of(r);
    char names[160];

    for (size_t i = 0; i < ae_n_recipe_keys; i++) {
        const char *key = ae_recipe_keys[i].name;
        if (!(r->given[i / 64] >> i % 64 & 1) || ae_method_has_key(method, key)) continue;
        ae_method_names_with_key(key, names, sizeof names);
        return aerie_fail(
            err, AERIE_BAD_TEXT,
            "'%s' means nothing to 'method: %s'; it is for %s. Leave it out, or change "
            "the method",
            key, method->name, names);
    }
    return AERIE_OK;
}

static aerie_status check_targets(const ae_recipe *r, aerie_error *err)
{
    const char *names[AE_N_PROJ + 1];
    const char *near;
    bool known;

    for (int i = 0; i < AE_N_PROJ; i++) names[i] = ae_proj_name(i);
    names[AE_N_PROJ] = "all-linear";
    for (int64_t i = 0; i < r->lora_targets.n; i++) {
        known = false;
        for (int k = 0; k <= AE_N_PROJ && !known; k++)
            known = strcmp(names[k], r->lora_targets.items[i]) == 0;
        if (known) continue;
        near = ae_nearest(r->lora_targets.items[i], names, AE_N_PROJ + 1);
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'lora.target_modules' has '%.40s', which no layer has; %s%s%s",
                          r->lora_targets.items[i], near ? "did you mean '" : "write 'all-linear'",
                          near ? near : "", near ? "'?" : "");
    }
    return AERIE_OK;
}

static aerie_status check_start(const ae_recipe *r, aerie_error *err)
{
    if (!r->model && !r->model_config)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "the key 'model' is missing: a GGUF file or a folder to start from");
    if (r->model && r->model_config)
        return aerie_fail(
            err, AERIE_BAD_TEXT,
            "'model' and 'model_config' are both given; one of them is where to start");
    if (r->model_config && r->method != AE_METHOD_PRETRAIN)
        return aerie_fail(
            err, AERIE_BAD_TEXT,
            "'model_config' starts from random weights, which is for 'method: pretrain'");
    if (r->model_config && r->last_layers > 0)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'last_layers' would leave random weights beneath them untrained: leave "
                          "it out or give a 'model'");
    if (r->model_config && r->lora_r > 0)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "an adapter over random weights makes no sense: leave "
                          "out 'lora' or give a 'model'");
    if (r->load_in != AE_LOAD_AS_STORED && r->lora_r == 0)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'load_in: nf4' is for training an adapter over 4-bit weights: give "
                          "'lora: {r: ...}' too, or leave out 'load_in'");
    if (r->adapters.n > 0 && r->lora_r == 0)
        return aerie_fail(
            err, AERIE_BAD_TEXT,
            "'adapters' stay frozen under a new adapter: give 'lora: {r: ...}' too, or "
            "merge them into the model first");
    if (r->adapters.n > AE_MAX_LORA - 1)
        return aerie_fail(err, AERIE_UNSUPPORTED, "at most %d 'adapters' can lie under a new one",
                          AE_MAX_LORA - 1);
    return AERIE_OK;
}

static aerie_status check_rate(const ae_recipe *r, aerie_error *err)
{
    if (isnan(r->auto_learning_rate)) return AERIE_OK;
    if (!isnan(r->learning_rate))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'learning_rate' and 'auto_learning_rate' are both given; one of them "
                          "sets the rate");
    if (!ae_method_of(r)->of_tokens)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'auto_learning_rate' counts learned tokens, which 'method: %s' has "
                          "none of; give 'learning_rate'",
                          ae_method_of(r)->name);
    return AERIE_OK;
}

static aerie_status check_loss(const ae_recipe *r, int loss, aerie_error *err)
{
    bool of_step = ae_dpo_is_of_step((ae_dpo_loss)loss);

    if (of_step && r->divergence != AE_REVERSE_KL)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'loss_type: %s' compares log-probabilities themselves; leave out "
                          "'f_divergence_type'",
                          ae_dpo_loss_name(loss));
    if (r->method == AE_METHOD_CPO && (of_step || loss == AE_DPO_SFT))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'loss_type: %s' is not for 'method: cpo', whose loss is of one pair",
                          ae_dpo_loss_name(loss));
    return AERIE_OK;
}

static aerie_status check_losses(const ae_recipe *r, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t i = 0; i < r->loss_type.n && !status; i++)
        status = check_loss(r, r->loss_type.items[i], err);
    if (status) return status;
    if (r->method == AE_METHOD_CPO && r->loss_type.n > 1)
        return aerie_fail(err, AERIE_BAD_TEXT, "'method: cpo' has one 'loss_type', not a list");
    if (r->loss_type.n + (r->rpo_alpha != 0) > AE_MAX_LIST)
        return aerie_fail(err, AERIE_BAD_TEXT, "'loss_type' and 'rpo_alpha' are too many losses");
    if (r->loss_type.n == 1 && r->loss_type.items[0] == AE_DPO_SFT)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'loss_type: sft' alone prefers nothing; use 'method: sft', or a list "
                          "such as [sigmoid, sft]");
    for (int64_t i = 0; i < r->loss_type.n; i++)
        if (r->loss_type.items[i] == AE_DPO_SFT && r->ld_alpha < 1)
            return aerie_fail(err, AERIE_BAD_TEXT,
                              "'sft' wants every token of the chosen answer and 'ld_alpha' takes "
                              "some away; give one of them");
    if (r->loss_weights.n > 0 && r->loss_weights.n != r->loss_type.n)
        return aerie_fail(
            err, AERIE_BAD_TEXT,
            "'loss_weights' has %lld numbers for the %lld losses of 'loss_type'; give "
            "one each",
            (long long)r->loss_weights.n, (long long)r->loss_type.n);
    return AERIE_OK;
}

static bool has_name(const ae_texts *map, const char *name)
{
    for (int64_t i = 0; i + 1 < map->n; i += 2)
        if (strcmp(map->items[i], name) == 0) return true;
    return false;
}

/* Names and values of C-RLFT's classes. */
static aerie_status check_classes(const ae_recipe *r, aerie_error *err)
{
    const ae_texts *weights = &r->class_weights, *prefixes = &r->class_prefixes;

    for (int64_t i = 0; i + 1 < weights->n; i += 2) {
        char *end;
        double w = strtod(weights->items[i + 1], &end);
        if (end == weights->items[i + 1] || *end || !(w >= 0 && w <= 1e6))
            return aerie_fail(err, AERIE_BAD_TEXT,
                              "'class_weights' has '%.40s: %.40s'; a weight is a number from 0 on",
                              weights->items[i], weights->items[i + 1]);
    }
    for (int64_t i = 0; i + 1 < prefixes->n; i += 2)
        if (weights->n > 0 && !has_name(weights, prefixes->items[i]))
            return aerie_fail(
                err, AERIE_BAD_TEXT,
                "'class_prefixes' has the class '%.60s', which 'class_weights' has not",
                prefixes->items[i]);
    if (r->method == AE_METHOD_CRLFT && r->packing)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'packing: wrapped' learns every token alike and is not for 'method: "
                          "crlft'; rows are free of padding without it");
    return AERIE_OK;
}

/* Of methods that sample. */
static aerie_status check_online(const ae_recipe *r, aerie_error *err)
{
    const ae_online_options *o = &r->online;
    bool of_groups = r->method == AE_METHOD_GRPO || r->method == AE_METHOD_RLOO;

    if (!ae_method_of(r)->online) return AERIE_OK;
    if (of_groups && o->samples < 2)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'method: %s' compares replies to one prompt: 'rollout: {samples: ...}' "
                          "must be 2 or more",
                          ae_method_of(r)->name);
    if (r->lora_dropout > 0)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'lora: {dropout: ...}' would make the policy that learns another than "
                          "the one that sampled; leave it out for 'method: %s'",
                          ae_method_of(r)->name);
    if (o->source == AE_REWARD_COMMAND && !o->command)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'reward: {source: command}' needs 'reward: {command: ...}', what to "
                          "start");
    if (o->source == AE_REWARD_JUDGE && (!o->url || !o->model))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'reward: {source: judge}' needs 'reward: {url: ..., model: ...}': a "
                          "server such as http://localhost:11434/v1, and the name it knows the "
                          "judge by");
    if (o->source == AE_REWARD_JUDGE && o->mark_low >= o->mark_high)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'reward: {mark_low: %lld, mark_high: %lld}': the least mark comes first",
                          (long long)o->mark_low, (long long)o->mark_high);
    if (o->source == AE_REWARD_MODEL && !o->model && !o->adapter)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'reward: {source: model}' needs 'reward: {model: ...}', or an 'adapter' "
                          "over the policy's own model");
    if (o->source == AE_REWARD_FORMAT && !o->begins && !o->ends)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'reward: {source: format}' needs 'reward: {begins: ...}' or 'ends'");
    return AERIE_OK;
}

static bool has_metric(const ae_recipe *r)
{
    ae_example_kind kind = ae_method_of(r)->kind;
    bool compares = kind == AE_EXAMPLE_PAIR || kind == AE_EXAMPLE_RANKED;

    switch ((ae_best_metric)r->best_metric) {
    case AE_BEST_ACCURACY:
        return compares;
    case AE_BEST_MARGIN:
        return compares || kind == AE_EXAMPLE_UNPAIRED;
    case AE_BEST_REWARD:
        return ae_method_of(r)->online;
    case AE_BEST_LOSS:
        break;
    }
    return !ae_method_of(r)->online;
}

static aerie_status check_best(const ae_recipe *r, aerie_error *err)
{
    const char *key = r->keep_best ? "keep_best" : "early_stop.patience";

    if (!has_metric(r))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'best_metric: %s' is not what evaluations of 'method: %s' measure; "
                          "leave it out",
                          ae_best_metric_name(r->best_metric), ae_method_of(r)->name);
    if (!ae_best_is_wanted(r) || (r->eval_data.n > 0 && r->eval_steps > 0)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_TEXT, "'%s' goes by evaluations; give '%s' too, %s", key,
                      r->eval_data.n > 0 ? "eval_steps" : "eval_data",
                      r->eval_data.n > 0 ? "the steps between them" : "files to evaluate on");
}

static aerie_status check_method(const ae_recipe *r, aerie_error *err)
{
    aerie_status status = check_classes(r, err);

    if (status) return status;
    if (!ae_method_of(r)->of_tokens && r->packing)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'packing: wrapped' cuts through answers and is not for 'method: %s'",
                          ae_method_of(r)->name);
    if (r->rpo_alpha > 0 && r->ld_alpha < 1)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'rpo_alpha' wants every token of the chosen answer and 'ld_alpha' takes "
                          "some away; give one of them");
    status = check_losses(r, err);
    if (status) return status;
    if (r->divergence == AE_ALPHA_DIVERGENCE && r->f_alpha == 1)
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "'f_alpha: 1' divides by zero; that limit is reverse_kl");
    return AERIE_OK;
}

static aerie_status check_band(const char *key, const ae_numbers *band, aerie_error *err)
{
    if (band->n == 0 || (band->n == 2 && band->items[0] <= band->items[1])) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_TEXT, "'%s' must be two numbers, from and to: [0.1, 0.5]",
                      key);
}

aerie_status ae_recipe_check(ae_recipe *r, aerie_error *err)
{
    aerie_status status;

    fill_in(r);
    status = check_keys(r, err);
    if (!status) status = check_start(r, err);
    if (!status) status = check_targets(r, err);
    if (!status) status = check_rate(r, err);
    if (!status) status = check_online(r, err);
    if (!status) status = check_best(r, err);
    if (!status) status = check_method(r, err);
    if (!status) status = check_band("expect.loss", &r->expect_loss, err);
    if (!status) status = check_band("expect.margin", &r->expect_margin, err);
    if (status) return status;
    if (r->data.n == 0)
        return aerie_fail(err, AERIE_BAD_TEXT, "the key 'data' is missing: the files to train on");
    if (!r->output)
        return aerie_fail(err, AERIE_BAD_TEXT, "the key 'output' is missing: the file to write");
    return AERIE_OK;
}

aerie_status ae_recipe_load_in(const ae_recipe *r, ae_model *model, ae_device *device,
                               aerie_error *err)
{
    if (r->load_in == AE_LOAD_AS_STORED) return AERIE_OK;
    return ae_model_load_in_nf4(model, r->load_in == AE_LOAD_NF4_DOUBLE_QUANT, device->n_threads,
                                err);
}

ae_dtype ae_recipe_output_type(const ae_recipe *r)
{
    static const ae_dtype types[] = { AE_F32, AE_F16, AE_BF16, AE_Q8_0 };

    return types[r->output_type];
}

const char *ae_recipe_method(const ae_recipe *r)
{
    return ae_method_of(r)->name;
}

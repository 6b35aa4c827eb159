/* method.c -- the table of training methods; docs/recipes.md shows it to people. */
#include "train/method.h"

#include <stdio.h>
#include <string.h>

/* What all methods of preferred and rejected answers have. */
#define OF_ANSWERS "ranked_answers min_margin max_prompt_length truncation_mode shared_prefix"

/* What all methods have that sample. */
#define OF_SAMPLES                                                                                 \
    "max_prompt_length rollout.samples rollout.max_new_tokens rollout.temperature "                \
    "rollout.parallel rollout.epochs rollout.minibatches reward.source reward.command "            \
    "reward.length reward.model reward.adapter reward.begins reward.ends reward.scale "            \
    "reward.url reward.key_file reward.prompt reward.mark_low reward.mark_high reward.in_flight "  \
    "reward.judge_tokens reward.request "                                                          \
    "reward.clip reward.missing_eos_penalty"
#define OF_RATIOS " ppo.clip ppo.clip_high ppo.dual_clip ppo.entropy_coef"
#define OF_KL     " kl.estimator kl.coef kl.target kl.horizon"
#define OF_VALUES " ppo.gamma ppo.lambda ppo.value_head ppo.value_coef"

static const ae_method_info methods[] = {
    [AE_METHOD_PRETRAIN] = { .name = "pretrain",
                             .objective = &ae_objective_tokens,
                             .kind = AE_EXAMPLE_TEXT,
                             .learning_rate = 1e-3,
                             .max_length = 2048,
                             .of_tokens = true,
                             .keys = "label_smoothing",
                             .source = "next-token cross-entropy" },
    [AE_METHOD_SFT] = { .name = "sft",
                        .objective = &ae_objective_tokens,
                        .kind = AE_EXAMPLE_CHAT,
                        .learning_rate = 2e-5,
                        .max_length = 2048,
                        .of_tokens = true,
                        .keys = "label_smoothing train_on",
                        .source = "Zephyr (2310.16944), alignment-handbook v0.3.0" },
    [AE_METHOD_DPO] = { .name = "dpo",
                        .objective = &ae_objective_dpo,
                        .kind = AE_EXAMPLE_PAIR,
                        .learning_rate = 5e-7,
                        .beta = 0.1,
                        .max_length = 1024,
                        .keys = OF_ANSWERS " beta label_smoothing loss_type f_divergence_type "
                                           "f_alpha rpo_alpha ld_alpha discopop_tau reference_free "
                                           "loss_weights",
                        .source = "Rafailov et al. (2305.18290); names of TRL" },
    /* Rates and betas are TRL's, but SimPO's beta, which is the paper's (2 to 2.5). */
    [AE_METHOD_ORPO] = { .name = "orpo",
                         .objective = &ae_objective_orpo,
                         .kind = AE_EXAMPLE_PAIR,
                         .learning_rate = 1e-6,
                         .beta = 0.1,
                         .max_length = 1024,
                         .keys = OF_ANSWERS " beta",
                         .source = "Hong et al. (2403.07691); TRL" },
    [AE_METHOD_SIMPO] = { .name = "simpo",
                          .objective = &ae_objective_simpo,
                          .kind = AE_EXAMPLE_PAIR,
                          .learning_rate = 1e-6,
                          .beta = 2,
                          .max_length = 1024,
                          .keys = OF_ANSWERS " beta label_smoothing gamma",
                          .source = "Meng et al. (2405.14734); TRL's CPOTrainer" },
    [AE_METHOD_CPO] = { .name = "cpo",
                        .objective = &ae_objective_cpo,
                        .kind = AE_EXAMPLE_PAIR,
                        .learning_rate = 1e-6,
                        .beta = 0.1,
                        .max_length = 1024,
                        .keys = OF_ANSWERS " beta label_smoothing loss_type discopop_tau cpo_alpha",
                        .source = "Xu et al. (2401.08417); TRL" },
    [AE_METHOD_CRLFT] = { .name = "crlft",
                          .objective = &ae_objective_tokens,
                          .kind = AE_EXAMPLE_CHAT,
                          .learning_rate = 2e-5,
                          .max_length = 2048,
                          .of_tokens = true,
                          .keys = "class_weights class_prefixes class_prompt end_of_turn "
                                  "per_sequence_loss bf16_weights",
                          .source = "OpenChat (2309.11235)" },
    [AE_METHOD_KTO] = { .name = "kto",
                        .objective = &ae_objective_kto,
                        .kind = AE_EXAMPLE_UNPAIRED,
                        .learning_rate = 1e-6,
                        .beta = 0.1,
                        .max_length = 1024,
                        .keys = OF_ANSWERS " beta desirable_weight undesirable_weight",
                        .source = "Ethayarajh et al. (2402.01306); TRL" },
    [AE_METHOD_BCO] = { .name = "bco",
                        .objective = &ae_objective_bco,
                        .kind = AE_EXAMPLE_UNPAIRED,
                        .learning_rate = 5e-7,
                        .beta = 0.1,
                        .max_length = 1024,
                        .keys = OF_ANSWERS " beta",
                        .source = "Jung et al. (2404.04656); TRL" },
    [AE_METHOD_REWARD] = { .name = "reward",
                           .objective = &ae_objective_reward,
                           .kind = AE_EXAMPLE_RANKED,
                           .learning_rate = 1e-5,
                           .max_length = 2048,
                           .keys = OF_ANSWERS
                           " reward_loss head_init score_margins center_rewards_coefficient "
                           "max_ranked_answers max_completion_length",
                           .source = "Zhu et al. (2301.11270), Starling; InstructGPT (2203.02155); "
                                     "names of TRL" },
    [AE_METHOD_PPO] = { .name = "ppo",
                        .objective = &ae_objective_prompts,
                        .kind = AE_EXAMPLE_PROMPT,
                        .learning_rate = 1e-6,
                        .max_length = 2048,
                        .online = true,
                        .keys =
                            OF_SAMPLES OF_RATIOS OF_KL OF_VALUES " ppo.clip_value reward.whiten",
                        .source = "Schulman et al. (1707.06347); TRL's and OpenRLHF's options" },
    [AE_METHOD_APA] = { .name = "apa",
                        .objective = &ae_objective_prompts,
                        .kind = AE_EXAMPLE_PROMPT,
                        .learning_rate = 1e-6,
                        .max_length = 2048,
                        .online = true,
                        .keys = OF_SAMPLES OF_VALUES " apa.lambda kl.target kl.horizon",
                        .source = "Zhu et al. (2306.02231), microsoft/RLHF-APA" },
    [AE_METHOD_AWR] = { .name = "awr",
                        .objective = &ae_objective_prompts,
                        .kind = AE_EXAMPLE_PROMPT,
                        .learning_rate = 1e-6,
                        .max_length = 2048,
                        .online = true,
                        .keys = OF_SAMPLES OF_VALUES " awr.c",
                        .source = "Peng et al. (1910.00177), as in the APA paper" },
    [AE_METHOD_GRPO] = { .name = "grpo",
                         .objective = &ae_objective_prompts,
                         .kind = AE_EXAMPLE_PROMPT,
                         .learning_rate = 1e-6,
                         .beta = 0.04,
                         .max_length = 2048,
                         .online = true,
                         .keys = OF_SAMPLES OF_RATIOS " beta grpo.loss grpo.scale_rewards",
                         .source = "Shao et al. (2402.03300); forms of TRL" },
    [AE_METHOD_RLOO] = { .name = "rloo",
                         .objective = &ae_objective_prompts,
                         .kind = AE_EXAMPLE_PROMPT,
                         .learning_rate = 1e-6,
                         .max_length = 2048,
                         .online = true,
                         .keys = OF_SAMPLES OF_RATIOS OF_KL,
                         .source = "Ahmadian et al. (2402.14740)" },
};

const ae_method_info *ae_method_at(int method)
{
    return method >= 0 && (size_t)method < AE_COUNT(methods) ? &methods[method] : NULL;
}

const ae_method_info *ae_method_of(const ae_recipe *recipe)
{
    return &methods[recipe->method];
}

const char *ae_method_name(int method)
{
    const ae_method_info *m = ae_method_at(method);

    return m ? m->name : NULL;
}

static bool lists(const ae_method_info *method, const char *key)
{
    size_t len = strlen(key);

    for (const char *at = method->keys; (at = strstr(at, key)); at += len)
        if ((at == method->keys || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

bool ae_method_has_key(const ae_method_info *method, const char *key)
{
    if (lists(method, key)) return true;
    for (size_t i = 0; i < AE_COUNT(methods); i++)
        if (lists(&methods[i], key)) return false;
    return true;
}

void ae_method_names_with_key(const char *key, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < AE_COUNT(methods) && len < size; i++)
        if (lists(&methods[i], key))
            len +=
                (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", methods[i].name);
}

const ae_objective *ae_objective_of(const ae_recipe *recipe)
{
    return ae_method_of(recipe)->objective;
}

bool ae_objective_smooths(const ae_recipe *recipe)
{
    return ae_method_of(recipe)->of_tokens && recipe->label_smoothing > 0;
}

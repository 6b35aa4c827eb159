/* recipe_keys.c -- the table of a recipe's keys: parsing, defaults, errors and documentation all
 * walk this. */
#include "train/method.h"
#include "train/online.h"
#include "train/recipe.h"
#include "train/reward.h"
#include "train/reward_source.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *word_of(const char *const *words, size_t n, int i)
{
    return i >= 0 && (size_t)i < n ? words[i] : NULL;
}

#define WORDS(function, ...)                                                                       \
    static const char *function(int i)                                                             \
    {                                                                                              \
        static const char *const words[] = { __VA_ARGS__ };                                        \
        return word_of(words, AE_COUNT(words), i);                                                 \
    }

WORDS(optim_word, "adamw", "rmsprop")
WORDS(lr_word, "cosine", "linear", "constant", "constant_with_warmup", "cosine_with_min_lr")
WORDS(class_prompt_word, "openchat", "system")
WORDS(packing_word, "none", "wrapped")
WORDS(train_on_word, "completion", "all")
WORDS(keep_word, "keep_end", "keep_start", "cut_end")
WORDS(ranked_word, "best_random", "mean_random", "best_worst", "all")
WORDS(head_init_word, "normal", "zero")
WORDS(recompute_word, "auto", "true", "false")
WORDS(reward_scale_word, "none", "running")
WORDS(output_word, "f32", "f16", "bf16", "q8_0")
WORDS(lora_format_word, "gguf", "peft")
WORDS(load_in_word, "as_stored", "nf4", "nf4_double_quant")

#define AT(field) offsetof(ae_recipe, field)
#define TEXT(name, field, same, doc)                                                               \
    {                                                                                              \
        name, AE_KEY_TEXT, AT(field), 0, 0, NULL, NULL, same, doc                                  \
    }
#define TEXT_OR(name, field, value, same, doc)                                                     \
    {                                                                                              \
        name, AE_KEY_TEXT, AT(field), 0, 0, NULL, value, same, doc                                 \
    }
#define FLAG(name, field, value, same, doc)                                                        \
    {                                                                                              \
        name, AE_KEY_FLAG, AT(field), 0, 0, NULL, value, same, doc                                 \
    }
#define COUNT(name, field, low, high, value, same, doc)                                            \
    {                                                                                              \
        name, AE_KEY_COUNT, AT(field), low, high, NULL, value, same, doc                           \
    }
#define NUMBER(name, field, low, high, value, same, doc)                                           \
    {                                                                                              \
        name, AE_KEY_NUMBER, AT(field), low, high, NULL, value, same, doc                          \
    }
#define WORD(name, field, word, value, same, doc)                                                  \
    {                                                                                              \
        name, AE_KEY_WORD, AT(field), 0, 0, word, value, same, doc                                 \
    }
#define TEXTS(name, field, value, same, doc)                                                       \
    {                                                                                              \
        name, AE_KEY_TEXTS, AT(field), 0, 0, NULL, value, same, doc                                \
    }
#define WORDS_KEY(name, field, word, value, same, doc)                                             \
    {                                                                                              \
        name, AE_KEY_WORDS, AT(field), 0, 0, word, value, same, doc                                \
    }
#define NUMBERS(name, field, low, high, value, same, doc)                                          \
    {                                                                                              \
        name, AE_KEY_NUMBERS, AT(field), low, high, NULL, value, same, doc                         \
    }
#define MAP(name, field, same, doc)                                                                \
    {                                                                                              \
        name, AE_KEY_MAP, AT(field), 0, 0, NULL, NULL, same, doc                                   \
    }
#define SOURCES(name, field, doc)                                                                  \
    {                                                                                              \
        name, AE_KEY_SOURCES, AT(field), 0, 0, NULL, NULL, false, doc                              \
    }

enum { MAX_TOKENS = 1 << 24 };

const ae_key ae_recipe_keys[] = {
    WORD("method", method, ae_method_name, "sft", true,
         "what is learned: the next token of documents, replies, or which answers are better"),
    TEXT("model", model, false, "the model to start from: a GGUF file or a Hugging Face folder"),
    TEXT("model_config", model_config, false,
         "a folder with config.json and a tokenizer: start from random weights instead of `model`"),
    TEXTS("adapters", adapters, NULL, true,
          "adapter files laid over the model, frozen, under what is trained now"),
    SOURCES(
        "data", data,
        "training files (Parquet, JSONL or JSON, plain or .gz), a folder of them or a pattern with "
        "*: a path, or a list of paths and of `{path, columns: {messages: its_name}, fraction}`"),
    SOURCES("eval_data", eval_data,
            "files whose loss is measured (of methods that sample: the reward of replies to them), "
            "written as `data`"),
    TEXT("output", output, false,
         "the file to write: a GGUF model, or an adapter file when `lora.r` is given"),
    WORD("output_type", output_type, output_word, "f16", false,
         "type of the matrices written (an adapter is always f32)"),
    TEXT("template", template_name, true,
         "chat template: a known name (zephyr, chatml, ...) or a Jinja file; default: the model's"),
    NUMBER("learning_rate", learning_rate, 0, 10, NULL, true,
           "peak rate; default by method: 1e-3 for pretrain, 2e-5 for sft and crlft, 5e-7 for dpo "
           "and bco, "
           "1e-6 for other preferences, and ten times that with LoRA"),
    NUMBER("auto_learning_rate", auto_learning_rate, 1e-12, 10, NULL, true,
           "pretrain, sft, crlft: instead of learning_rate, OpenChat's: this times sqrt(learned "
           "tokens of "
           "a step / 4e6); 3e-4 for Llama 2, a sixth of it for Mistral"),
    WORD("lr_scheduler_type", lr_kind, lr_word, "cosine", true,
         "how the rate falls after warming up"),
    NUMBER("min_lr_rate", min_lr_rate, 0, 1, "0.1", true,
           "for cosine_with_min_lr: the last rate as a share of the peak"),
    NUMBER("warmup_ratio", warmup_ratio, 0, 1, "0.1", true, "share of the steps that warm up"),
    COUNT("warmup_steps", warmup_steps, 0, 1e9, "0", true, "steps that warm up; over warmup_ratio"),
    NUMBER("num_train_epochs", epochs, 0, 1e6, "1", true, "passes over the data"),
    COUNT("max_steps", max_steps, 0, 1e9, "0", true, "optimizer steps; over num_train_epochs"),
    COUNT("batch_size", batch_size, 1, 1e7, "16", true, "samples (or pairs) of an optimizer step"),
    COUNT("batch_tokens", batch_tokens, 0, 1e9, "0", true,
          "tokens of an optimizer step, at most; over batch_size"),
    COUNT("micro_batch_tokens", micro_batch_tokens, 1, MAX_TOKENS, "2048", false,
          "tokens computed at once: memory against speed; the numbers don't depend on it"),
    COUNT("max_length", max_length, 0, MAX_TOKENS, "0", true,
          "longest sample in tokens; default: the model's context, at most 2048 (of preferences: "
          "1024)"),
    COUNT(
        "max_prompt_length", max_prompt_length, 0, MAX_TOKENS, "0", true,
        "of preferences: longest prompt kept when a pair is too long; default: half of max_length"),
    WORD("packing", packing, packing_word, NULL, true,
         "wrapped: documents glued and cut into blocks of max_length (TRL's ConstantLength); none: "
         "a "
         "record is a sample; default: wrapped for pretrain. Rows are always free of padding"),
    WORD("train_on", train_on, train_on_word, "completion", true,
         "sft: learn the replies alone, or every token"),
    MAP("class_weights", class_weights, true,
        "crlft: what replies of each class weigh, as in {gpt4: 1, gpt3: 0.1}; the class is the "
        "row's "
        "'condition'. Times the message's own 'weight', where it has one; default: 1 for any "
        "class"),
    MAP("class_prefixes", class_prefixes, true,
        "crlft: what prompts of each class say, as in {gpt4: GPT4 Correct}; default: its name"),
    WORD("class_prompt", class_prompt, class_prompt_word, "openchat", true,
         "crlft: openchat: every message begins with the prefix and 'User:' or 'Assistant:', "
         "tokenized piece by piece, without a template; system: the prefix begins the system "
         "message "
         "of the template"),
    TEXT_OR("end_of_turn", end_of_turn, "<|end_of_turn|>", true,
            "crlft: the token that ends a message, of class_prompt: openchat"),
    FLAG("per_sequence_loss", per_sequence_loss, "false", true,
         "crlft: a reply's weight is divided by its tokens, so that every reply counts alike"),
    FLAG("bf16_weights", bf16_weights, "false", true,
         "crlft: weights rounded to bfloat16, as OpenChat's trainer does: 0.1 becomes 0.10009766"),
    FLAG("empty_system", empty_system, "false", true,
         "an empty system message where a conversation has none (Zephyr)"),
    FLAG("train_header", train_header, "false", true,
         "the reply's header is part of the reply (Zephyr's dpo)"),
    FLAG("append_eos", append_eos, "false", true,
         "an end-of-sequence token after a reply or document that does not end with one"),
    WORD("truncation_mode", keep, keep_word, "keep_end", true,
         "a pair that is too long: which end of its prompt is kept, or the replies lose their ends "
         "(TRL 1.x)"),
    WORD("ranked_answers", ranked_answers, ranked_word, "best_random", true,
         "of preferences, of rows with several scored answers (UltraFeedback, Nectar): the best "
         "against a "
         "random other (Zephyr), the best mean rating against a random worse one (Argilla), the "
         "best against the worst, or every pair"),
    NUMBER(
        "min_margin", min_margin, 0, 1e9, "0", true,
        "of preferences, of answers with scores or ranks: how far apart the two of a pair must be; "
        "pairs that are nearer are left out and counted"),
    FLAG("shuffle", shuffle, "true", true,
         "a new order of the samples in every epoch, by the seed"),
    NUMBER(
        "label_smoothing", label_smoothing, 0, 0.499, "0", true,
        "pretrain, sft: mass spread over the vocabulary; dpo, simpo, cpo: chance that a label is "
        "wrong (cDPO)"),
    NUMBER("beta", beta, 1e-9, 1e6, NULL, true,
           "how close to stay to the reference, or how sharp a preference is; default by method: "
           "2 for simpo, 0.1 for the others"),
    WORDS_KEY("loss_type", loss_type, ae_dpo_loss_name, "sigmoid", true,
              "dpo, cpo: the loss of a pair (aot and aot_unpaired: of all pairs of a step), or of "
              "dpo a list of them, added by loss_weights (MPO); in a list sft is the chosen "
              "answers' mean negative log-likelihood of a token"),
    NUMBERS("loss_weights", loss_weights, -1e6, 1e6, NULL, true,
            "dpo: weights of the losses in loss_type; default: 1 each"),
    NUMBER("gamma", gamma, 0, 1e6, "0.5", true,
           "simpo: the margin by which the chosen answer's beta * mean log-probability is to lead"),
    NUMBER("desirable_weight", desirable_weight, 0, 1e6, "1", true, "kto: of wanted replies"),
    NUMBER(
        "undesirable_weight", undesirable_weight, 0, 1e6, "1", true,
        "kto: of unwanted replies; TRL advises (wanted weight x their number) / (unwanted weight "
        "x theirs) from 1 to 4/3"),
    NUMBER("cpo_alpha", cpo_alpha, 0, 1e6, "1", true,
           "cpo: weight of the chosen answers' mean negative log-likelihood of a token"),
    WORD("f_divergence_type", divergence, ae_divergence_name, "reverse_kl", true,
         "dpo: the divergence that beta weighs"),
    NUMBER("f_alpha", f_alpha, -1e3, 1e3, "0.5", true, "dpo: of alpha_divergence; not 1"),
    NUMBER("rpo_alpha", rpo_alpha, 0, 1e6, "0", true,
           "dpo: weight of the chosen answer's mean negative log-likelihood, added to the loss"),
    NUMBER("ld_alpha", ld_alpha, 0, 1, "1", true,
           "dpo: weight of tokens past the shorter answer's length (LD-DPO)"),
    NUMBER("discopop_tau", discopop_tau, 1e-9, 1e6, "0.05", true, "dpo: of discopop"),
    FLAG("reference_free", reference_free, "false", true, "dpo: no reference model"),
    FLAG("shared_prefix", shared_prefix, "true", true,
         "of preferences: compute the prompt of a pair once, forward and backward"),
    WORD("reward_loss", reward_loss, ae_reward_loss_name, "plackett_luce", true,
         "reward: plackett_luce, of whole rankings (Starling; of two answers Bradley-Terry); "
         "all_pairs, the mean over a prompt's pairs (InstructGPT); all_pairs_sum; bradley_terry, "
         "rows made into pairs by `ranked_answers`"),
    FLAG(
        "score_margins", score_margins, "false", true,
        "reward, bradley_terry: a pair's margin is the difference of its answers' scores, where no "
        "column 'margin' says one"),
    WORD("head_init", head_init, head_init_word, "normal", true,
         "reward: a new head's numbers: a normal's, std 0.02 (transformers), or zero, so that the "
         "first loss is that of knowing nothing; a model's own head is kept"),
    NUMBER("center_rewards_coefficient", center_rewards_coefficient, 0, 1e6, "0", true,
           "reward: weight of the squared sum of a prompt's scores, which keeps them about zero"),
    COUNT("max_ranked_answers", max_ranked_answers, 0, 64, "0", true,
          "reward: answers of a row that are used, spread from the best to the worst; 0: all"),
    COUNT("max_completion_length", max_completion_length, 0, MAX_TOKENS, "0", true,
          "reward: longest answer in tokens, cut before max_length is looked at; 0: no bound"),
    WORD("optim", optim, optim_word, "adamw", true,
         "adamw, or rmsprop as PyTorch has it (the first Zephyr recipes' dpo): a moment less"),
    NUMBER("weight_decay", weight_decay, 0, 10, "0", true,
           "matrices only; decoupled (AdamW), or a part of the gradient (RMSprop)"),
    NUMBER("adam_beta1", adam_beta1, 0, 0.999999, "0.9", true, "AdamW's"),
    NUMBER("adam_beta2", adam_beta2, 0, 0.999999, "0.999", true, "AdamW's"),
    NUMBER("adam_epsilon", adam_epsilon, 1e-16, 1, "1e-8", true, "AdamW's and RMSprop's"),
    NUMBER("rmsprop_alpha", rmsprop_alpha, 0, 0.999999, "0.99", true,
           "RMSprop's: how much of the mean square stays"),
    NUMBER("max_grad_norm", max_grad_norm, 0, 1e9, "1", true,
           "the gradient's global norm is clipped to this; 0: not clipped"),
    COUNT("seed", seed, 0, 9007199254740992.0, "42", true, "of shuffling, new weights and dropout"),
    COUNT(
        "last_layers", last_layers, 0, 4096, "0", true,
        "only the last this many layers are trained (trlX's num_layers_unfrozen; Starling's "
        "policy: 4), or have an adapter, and the way back ends there; without an adapter also the "
        "last norm and a head of its own; 0: all"),
    COUNT("lora.r", lora_r, 0, 4096, "0", true,
          "rank of a new adapter; 0: all parameters are trained"),
    NUMBER("lora.alpha", lora_alpha, 0, 1e6, "16", true, "the adapter is scaled by alpha / r"),
    NUMBER("lora.dropout", lora_dropout, 0, 0.999, "0", true, "on the adapter's input"),
    TEXTS("lora.target_modules", lora_targets, "all-linear", true,
          "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, or all-linear"),
    FLAG("lora.rslora", lora_rslora, "false", true, "scale by alpha / sqrt(r)"),
    FLAG(
        "lora.dora", lora_dora, "false", true,
        "DoRA: a trained magnitude for each row of a weight, the adapter turns its direction; over "
        "the model itself alone"),
    WORD("lora.format", lora_format, lora_format_word, "gguf", false,
         "the adapter is written as a file (GGUF, as llama.cpp and Ollama read it) or as a folder "
         "(PEFT's)"),
    WORD("load_in", load_in, load_in_word, "as_stored", true,
         "nf4: the model's projections are quantized to QLoRA's 4 bits when it is opened, and an "
         "adapter is trained over them; nf4_double_quant: with the scales of bitsandbytes' double "
         "quantization"),
    COUNT("rollout.samples", online.samples, 1, 256, "4", true,
          "replies sampled to each prompt, branching from it; grpo, rloo: the group, at least 2"),
    COUNT("rollout.max_new_tokens", online.max_new_tokens, 1, 1e6, "128", true,
          "tokens of a reply, its end included"),
    NUMBER("rollout.temperature", online.temperature, 0.01, 100, "1", true,
           "of sampling; log-probabilities are those of this distribution, and so are the losses"),
    COUNT("rollout.parallel", online.parallel, 1, 4096, "32", false,
          "replies sampled at once: memory of the cache against speed"),
    COUNT("rollout.epochs", online.epochs, 0, 1000, "0", true,
          "passes over a step's replies; default: 4 for ppo, 2 for apa and awr, 1 for grpo and "
          "rloo"),
    COUNT("rollout.minibatches", online.minibatches, 1, 1e6, "1", true,
          "updates of the weights in each of these passes"),
    WORD(
        "reward.source", online.source, ae_reward_source_name, "caller", true,
        "where scores come from: number (the reply's last number is the record's `answer`), length "
        "(near reward.length tokens), format (reward.begins, reward.ends), model, judge "
        "(reward.url), command, or the program that calls this one"),
    TEXT("reward.command", online.command, true,
         "a program that reads JSON lines {reply, row, tokens, ended} and answers each with a "
         "number or {score}; started once"),
    TEXT("reward.model", online.model, false,
         "the reward model that `model` asks: a file or folder; default: the policy's starting "
         "model, under reward.adapter. Of `judge`: the name that its server knows it by"),
    TEXT("reward.adapter", online.adapter, false,
         "an adapter of `method: reward`, with its head, over that model"),
    TEXT("reward.url", online.url, false,
         "the OpenAI-compatible server that `judge` asks for a mark: http://localhost:11434/v1; "
         "docs/judging.md"),
    TEXT("reward.key_file", online.key_file, false,
         "a file with the key for that server; default: what the program brings (aerie train: "
         "AERIE_JUDGE_KEY)"),
    TEXT("reward.prompt", online.prompt, true,
         "a file with what the judge is to read, {question} and {answer} in it; default: aerie's "
         "own"),
    COUNT("reward.mark_low", online.mark_low, 0, 1000, "1", true, "the least mark of a judge"),
    COUNT("reward.mark_high", online.mark_high, 1, 1000, "10", true,
          "the best; a mark is the score as it stands"),
    COUNT("reward.in_flight", online.in_flight, 1, 256, "4", false, "questions to a judge at once"),
    COUNT("reward.judge_tokens", online.judge_tokens, 1, 1e6, "1024", true,
          "tokens of a judge's reply"),
    TEXT("reward.request", online.judge_request, true,
         "a JSON object laid over every request to the judge; null takes a key out"),
    COUNT("reward.length", online.length, 1, 1e6, "64", true, "tokens that `length` asks for"),
    TEXT("reward.begins", online.begins, true, "what `format` wants a reply to begin with"),
    TEXT("reward.ends", online.ends, true, "what `format` wants a reply to end with"),
    WORD("reward.scale", online.scale, reward_scale_word, "none", true,
         "running: scores are divided by the standard deviation of all so far (trlX, RLHF-APA)"),
    NUMBER("reward.clip", online.clip, 0, 1e9, "0", true,
           "scores are held to plus or minus this; 0: not"),
    NUMBER("reward.missing_eos_penalty", online.missing_eos, 0, 1e9, "0", true,
           "taken from a reply that did not end by itself (TRL)"),
    FLAG("reward.whiten", online.whiten, "false", true,
         "ppo: tokens' rewards are whitened, their mean kept (TRL)"),
    WORD("kl.estimator", online.kl, ae_kl_name, "k1", true,
         "ppo, rloo: of a token's KL to the reference: k1, k2 or k3"),
    NUMBER("kl.coef", online.kl_coef, 0, 1e6, "0.05", true,
           "ppo, rloo: weight of the KL that is taken from the reward"),
    NUMBER(
        "kl.target", online.kl_target, 0, 1e9, "0", true,
        "ppo, rloo: kl.coef follows a reply's KL to this (Ziegler et al.); apa: apa.lambda does; "
        "0: they are fixed"),
    NUMBER("kl.horizon", online.kl_horizon, 1, 1e12, "10000", true,
           "of kl.target: replies over which the coefficient may double"),
    NUMBER("ppo.clip", online.clip_low, 0, 1e6, "0.2", true,
           "the ratio to the sampling policy is clipped at 1 minus this"),
    NUMBER("ppo.clip_high", online.clip_high, 0, 1e6, NULL, true,
           "and at 1 plus this; default: ppo.clip (DAPO: 0.28)"),
    NUMBER("ppo.dual_clip", online.dual_clip, 0, 1e6, "0", true,
           "bound of the loss for bad tokens, a multiple of the advantage; 0: none"),
    NUMBER(
        "ppo.entropy_coef", online.entropy_coef, 0, 1e6, "0", true,
        "weight of the policy's entropy, a bonus for each token that keeps it trying (OpenRLHF)"),
    NUMBER("ppo.clip_value", online.clip_value, 0, 1e9, "0.2", true,
           "ppo: how far a value may go from what it was; 0: not clipped"),
    NUMBER("ppo.value_coef", online.value_coef, 0, 1e6, NULL, true,
           "weight of the value function's loss; default: 0.1 for ppo, 1 for apa and awr"),
    NUMBER("ppo.gamma", online.gamma, 0, 1, "1", true, "discount of later rewards"),
    NUMBER("ppo.lambda", online.lambda, 0, 1, "0.95", true, "of generalized advantage estimation"),
    FLAG("ppo.value_head", online.value_head, "true", true,
         "a value function: a head beside the language head, trained with the policy, not kept; "
         "false: values are 0"),
    NUMBER("apa.lambda", online.apa_lambda, 1e-9, 1e9, "0.1", true,
           "apa: advantages are divided by this (RLHF-APA: 0.1)"),
    NUMBER("awr.c", online.awr_c, 0, 1e6, "0.5", true, "awr: weight exp(c * advantage)"),
    WORD("grpo.loss", online.norm, ae_grpo_norm_name, "dapo", true,
         "grpo: grpo (mean of each reply, then of replies), bnpo or dapo (mean of tokens), dr_grpo "
         "(over replies times max_new_tokens)"),
    WORD("grpo.scale_rewards", online.group_scale, ae_group_scale_name, "group", true,
         "grpo: advantages are divided by the deviation of the group, of the batch, or not"),
    NUMBER(
        "expect.first_loss", expect_first_loss, -1e9, 1e9, NULL, false,
        "what the first step's loss should be (of dpo ln 2); training warns when it is not, to a "
        "thousandth"),
    COUNT("expect.step", expect_step, 1, 1e9, "100", false,
          "the step at which the next two are looked at, as means of the ten steps up to it"),
    NUMBERS("expect.loss", expect_loss, -1e9, 1e9, NULL, false,
            "from and to: training warns when the loss is elsewhere by then"),
    NUMBERS("expect.margin", expect_margin, -1e9, 1e9, NULL, false,
            "the same of the margin of rewards"),
    WORD("recompute", recompute, recompute_word, "auto", false,
         "keep layer inputs only and compute the rest again on the way back: less memory, a third "
         "more arithmetic, the same numbers; auto: when a row would take more than 1 GiB"),
    COUNT("save_steps", save_steps, 0, 1e9, "100", false,
          "steps between checkpoints; 0: only when interrupted"),
    COUNT("logging_steps", logging_steps, 1, 1e9, "1", false, "steps between lines of metrics"),
    COUNT("eval_steps", eval_steps, 0, 1e9, "0", false,
          "steps between evaluations; 0: at the end only"),
    FLAG("keep_best", keep_best, "false", true,
         "the output is the state with the best evaluation, not the last; needs eval_data and "
         "eval_steps"),
    WORD("best_metric", best_metric, ae_best_metric_name, NULL, true,
         "what the best is measured by, of an evaluation; default: loss, of methods that sample "
         "reward"),
    COUNT("early_stop.patience", patience, 0, 1e6, "0", true,
          "the run ends after so many evaluations in a row that are no better; 0: never"),
    NUMBER("early_stop.min_delta", min_delta, 0, 1e9, "0", true,
           "by how much an evaluation must be better to count as such"),
    COUNT("threads", threads, 0, 4096, "0", false, "0: one per processor"),
};
const size_t ae_n_recipe_keys = AE_COUNT(ae_recipe_keys);
_Static_assert(AE_COUNT(ae_recipe_keys) <= 64 * AE_COUNT(((ae_recipe *)0)->given),
               "ae_recipe.given has a bit a key");

static const char *const kind_names[] = { "text",   "true or false", "whole number",
                                          "number", "word",          "text or list",
                                          "data",   "word or list",  "number or list",
                                          "mapping" };

const ae_key *ae_recipe_key(const char *name)
{
    for (size_t i = 0; i < ae_n_recipe_keys; i++)
        if (strcmp(ae_recipe_keys[i].name, name) == 0) return &ae_recipe_keys[i];
    return NULL;
}

const char *ae_recipe_first_below(const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < ae_n_recipe_keys; i++) {
        const char *name = ae_recipe_keys[i].name;
        if (strncmp(name, word, len) == 0 && name[len] == '.') return name + len + 1;
    }
    return NULL;
}

/* What users of other trainers write, and what it is called here. */
static const struct {
    const char *theirs, *advice;
} translations[] = {
    { "model_name_or_path", "write it as 'model'" },
    { "output_dir", "write it as 'output', the file to write" },
    { "dataset_mixer", "write it as 'data', a list of {path, fraction}" },
    { "gradient_checkpointing", "write it as 'recompute'" },
    { "max_seq_length", "write it as 'max_length'" },
    { "per_device_train_batch_size", "write 'batch_size', the samples of a whole optimizer step" },
    { "gradient_accumulation_steps", "write 'batch_size', the samples of a whole optimizer step" },
    { "lora_r", "write it as 'lora: {r: ...}'" },
    { "lora_alpha", "write it as 'lora: {alpha: ...}'" },
    { "lora_dropout", "write it as 'lora: {dropout: ...}'" },
    { "lora_target_modules", "write it as 'lora: {target_modules: [...]}'" },
    { "load_in_4bit", "write it as 'load_in: nf4'" },
    { "chat_template", "write it as 'template'" },
    { "load_best_model_at_end", "write it as 'keep_best'" },
    { "metric_for_best_model", "write it as 'best_metric'" },
    { "early_stopping_patience", "write it as 'early_stop: {patience: ...}'" },
    { "completion_only_loss", "write it as 'train_on: completion'" },
    { "assistant_only_loss", "write it as 'train_on: completion'" },
};

aerie_status ae_recipe_unknown(const char *name, aerie_error *err)
{
    const char *names[AE_COUNT(ae_recipe_keys)];
    const char *near;

    for (size_t i = 0; i < AE_COUNT(translations); i++)
        if (strcmp(translations[i].theirs, name) == 0)
            return aerie_fail(err, AERIE_NOT_FOUND, "unknown key '%s'; %s", name,
                              translations[i].advice);
    for (size_t i = 0; i < ae_n_recipe_keys; i++) names[i] = ae_recipe_keys[i].name;
    near = ae_nearest(name, names, ae_n_recipe_keys);
    if (near)
        return aerie_fail(err, AERIE_NOT_FOUND, "unknown key '%.60s'; did you mean '%s'?", name,
                          near);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "unknown key '%.60s'; docs/recipes.md lists the keys of a recipe", name);
}

static aerie_status wrong(const ae_key *key, const char *text, const char *wanted, aerie_error *err)
{
    return aerie_fail(err, AERIE_BAD_TEXT, "'%s' is '%.60s'; it must be %s", key->name, text,
                      wanted);
}

static aerie_status set_flag(bool *out, const ae_key *key, const char *text, aerie_error *err)
{
    *out = strcmp(text, "true") == 0;
    if (*out || strcmp(text, "false") == 0) return AERIE_OK;
    return wrong(key, text, "true or false", err);
}

static bool parse_number(double *out, const char *text)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && !isspace((unsigned char)text[0]);
}

static aerie_status set_number(double *out, const ae_key *key, const char *text, aerie_error *err)
{
    bool whole = key->kind == AE_KEY_COUNT;
    char wanted[96];
    double value;

    snprintf(wanted, sizeof wanted, "a %s from %.15g to %.15g", whole ? "whole number" : "number",
             key->low, key->high);
    if (!parse_number(&value, text) || value < key->low || value > key->high ||
        (whole && value != floor(value)))
        return wrong(key, text, wanted, err);
    *out = value;
    return AERIE_OK;
}

static aerie_status set_word(int *out, const ae_key *key, const char *text, aerie_error *err)
{
    ae_bytes wanted = { 0 };
    aerie_status status;

    for (int i = 0; key->word(i); i++)
        if (strcmp(key->word(i), text) == 0) {
            *out = i;
            return AERIE_OK;
        }
    for (int i = 0; key->word(i); i++)
        ae_bytes_printf(&wanted, "%s%s", i == 0 ? "one of " : ", ", key->word(i));
    status = wrong(key, text, wanted.data ? wanted.data : "another word", err);
    ae_bytes_free(&wanted);
    return status;
}

static aerie_status add_word(ae_words *out, const ae_key *key, const char *text, aerie_error *err)
{
    int word = 0;
    aerie_status status = set_word(&word, key, text, err);

    if (!status && out->n == AE_MAX_LIST)
        status =
            aerie_fail(err, AERIE_BAD_TEXT, "'%s' has more than %d words", key->name, AE_MAX_LIST);
    if (!status) out->items[out->n++] = word;
    return status;
}

static aerie_status add_number(ae_numbers *out, const ae_key *key, const char *text,
                               aerie_error *err)
{
    double number = 0;
    aerie_status status = set_number(&number, key, text, err);

    if (!status && out->n == AE_MAX_LIST)
        status = aerie_fail(err, AERIE_BAD_TEXT, "'%s' has more than %d numbers", key->name,
                            AE_MAX_LIST);
    if (!status) out->items[out->n++] = number;
    return status;
}

aerie_status ae_recipe_add(ae_recipe *recipe, const ae_key *key, const char *text, aerie_error *err)
{
    void *at = (char *)recipe + key->offset;

    return key->kind == AE_KEY_WORDS ? add_word(at, key, text, err)
                                     : add_number(at, key, text, err);
}

static aerie_status set_texts(ae_texts *out, ae_arena *arena, const char *text, aerie_error *err)
{
    out->items = ae_arena_take(arena, 1, sizeof *out->items);
    if (!out->items) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the recipe");
    out->items[0] = text;
    out->n = 1;
    return AERIE_OK;
}

static aerie_status set_sources(ae_sources *out, ae_arena *arena, const char *text,
                                aerie_error *err)
{
    out->items = ae_arena_take(arena, 1, sizeof *out->items);
    if (!out->items) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the recipe");
    out->items[0] = (ae_source){ .path = text, .fraction = 1 };
    out->n = 1;
    return AERIE_OK;
}

aerie_status ae_recipe_set(ae_recipe *recipe, const ae_key *key, const char *text, aerie_error *err)
{
    void *at = (char *)recipe + key->offset;
    char *copy = ae_arena_strndup(&recipe->arena, text, strlen(text));
    aerie_status status;
    double number = 0;

    if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the recipe");
    switch (key->kind) {
    case AE_KEY_TEXT:
        *(const char **)at = copy;
        return AERIE_OK;
    case AE_KEY_FLAG:
        return set_flag(at, key, text, err);
    case AE_KEY_NUMBER:
        return set_number(at, key, text, err);
    case AE_KEY_COUNT:
        status = set_number(&number, key, text, err);
        if (!status) *(int64_t *)at = (int64_t)number;
        return status;
    case AE_KEY_WORD:
        return set_word(at, key, text, err);
    case AE_KEY_TEXTS:
        return set_texts(at, &recipe->arena, copy, err);
    case AE_KEY_WORDS:
        ((ae_words *)at)->n = 0;
        return ae_recipe_add(recipe, key, text, err);
    case AE_KEY_NUMBERS:
        ((ae_numbers *)at)->n = 0;
        return ae_recipe_add(recipe, key, text, err);
    case AE_KEY_MAP:
        return wrong(key, text, "a mapping, as in {name: value}", err);
    default:
        return set_sources(at, &recipe->arena, copy, err);
    }
}

static void print_texts(const ae_texts *texts, ae_bytes *out)
{
    ae_bytes_add_text(out, "[");
    for (int64_t i = 0; i < texts->n; i++)
        ae_bytes_printf(out, "%s%s", i ? ", " : "", texts->items[i]);
    ae_bytes_add_text(out, "]");
}

static void print_sources(const ae_sources *sources, ae_bytes *out)
{
    ae_bytes_add_text(out, "[");
    for (int64_t i = 0; i < sources->n; i++)
        ae_bytes_printf(out, "%s%s", i ? ", " : "", sources->items[i].path);
    ae_bytes_add_text(out, "]");
}

static void print_words(const ae_words *words, const ae_key *key, ae_bytes *out)
{
    for (int64_t i = 0; i < words->n; i++)
        ae_bytes_printf(out, "%s%s", i ? ", " : "[", key->word(words->items[i]));
    ae_bytes_add_text(out, "]");
}

static void print_numbers(const ae_numbers *numbers, ae_bytes *out)
{
    for (int64_t i = 0; i < numbers->n; i++)
        ae_bytes_printf(out, "%s%.12g", i ? ", " : "[", numbers->items[i]);
    ae_bytes_add_text(out, "]");
}

static void print_map(const ae_texts *map, ae_bytes *out)
{
    for (int64_t i = 0; i + 1 < map->n; i += 2)
        ae_bytes_printf(out, "%s%s: %s", i ? ", " : "{", map->items[i], map->items[i + 1]);
    ae_bytes_add_text(out, "}");
}

static void print_value(const ae_recipe *recipe, const ae_key *key, ae_bytes *out)
{
    const void *at = (const char *)recipe + key->offset;

    switch (key->kind) {
    case AE_KEY_TEXT:
        ae_bytes_add_text(out, *(const char *const *)at);
        break;
    case AE_KEY_FLAG:
        ae_bytes_add_text(out, *(const bool *)at ? "true" : "false");
        break;
    case AE_KEY_COUNT:
        ae_bytes_printf(out, "%lld", (long long)*(const int64_t *)at);
        break;
    case AE_KEY_NUMBER:
        ae_bytes_printf(out, "%.12g", *(const double *)at);
        break;
    case AE_KEY_WORD:
        ae_bytes_add_text(out, key->word(*(const int *)at));
        break;
    case AE_KEY_TEXTS:
        print_texts(at, out);
        break;
    case AE_KEY_WORDS:
        print_words(at, key, out);
        break;
    case AE_KEY_NUMBERS:
        print_numbers(at, out);
        break;
    case AE_KEY_MAP:
        print_map(at, out);
        break;
    default:
        print_sources(at, out);
        break;
    }
}

static bool is_given(const ae_recipe *recipe, const ae_key *key)
{
    const void *at = (const char *)recipe + key->offset;

    if (key->kind == AE_KEY_TEXT) return *(const char *const *)at != NULL;
    if (key->kind == AE_KEY_TEXTS || key->kind == AE_KEY_MAP) return ((const ae_texts *)at)->n > 0;
    if (key->kind == AE_KEY_WORDS) return ((const ae_words *)at)->n > 0;
    if (key->kind == AE_KEY_NUMBERS) return ((const ae_numbers *)at)->n > 0;
    if (key->kind == AE_KEY_SOURCES) return ((const ae_sources *)at)->n > 0;
    if (key->kind == AE_KEY_NUMBER) return !isnan(*(const double *)at);
    return true;
}

void ae_recipe_print(const ae_recipe *recipe, bool identity, ae_bytes *out)
{
    for (size_t i = 0; i < ae_n_recipe_keys; i++) {
        const ae_key *key = &ae_recipe_keys[i];
        if (!is_given(recipe, key) || (identity && !key->identity)) continue;
        if (!ae_method_has_key(ae_method_of(recipe), key->name)) continue;
        ae_bytes_printf(out, "%s: ", key->name);
        print_value(recipe, key, out);
        ae_bytes_add_char(out, '\n');
    }
}

bool aerie_recipe_key_at(size_t i, aerie_recipe_key *out)
{
    const ae_key *key;

    if (i >= ae_n_recipe_keys) return false;
    key = &ae_recipe_keys[i];
    *out = (aerie_recipe_key){ .name = key->name,
                               .kind = kind_names[key->kind],
                               .default_text = key->default_text ? key->default_text : "",
                               .doc = key->doc,
                               .word = key->word };
    return true;
}

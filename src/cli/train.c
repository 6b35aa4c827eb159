/* train.c -- `aerie train`: one stage, with a bar. */
#include "aerie/train.h"

#include "cli/cli.h"
#include "cli/reward_command.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

typedef struct {
    cli_progress bar;
    bool json;
} train_view;

static void print_json_step(const aerie_train_progress *p)
{
    json_t *o = json_pack("{s:I, s:I, s:f, s:f, s:f, s:I, s:f}", "step", (json_int_t)p->step,
                          "steps", (json_int_t)p->n_steps, "loss", p->loss, "learning_rate",
                          p->learning_rate, "grad_norm", p->grad_norm, "tokens",
                          (json_int_t)p->tokens, "tokens_per_second", p->tokens_per_second);
    if (o && p->has_rewards) {
        json_object_set_new(o, "reward_chosen", json_real(p->reward_chosen));
        json_object_set_new(o, "reward_rejected", json_real(p->reward_rejected));
        json_object_set_new(o, "margin", json_real(p->margin));
        json_object_set_new(o, "accuracy", json_real(p->accuracy));
        if (isfinite(p->mean_reward)) json_object_set_new(o, "reward", json_real(p->mean_reward));
    }
    if (o && p->has_replies) {
        json_object_set_new(o, "reward", json_real(p->reward));
        json_object_set_new(o, "kl", json_real(p->kl));
        json_object_set_new(o, "reply_tokens", json_real(p->reply_tokens));
    }
    if (o) json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    fflush(stdout);
    json_decref(o);
}

static void draw(train_view *v, const aerie_train_progress *p)
{
    double done = p->n_steps > 0 ? (double)p->step / (double)p->n_steps : 0;
    char left[32], rewards[64] = "";
    if (p->has_rewards)
        snprintf(rewards, sizeof rewards,
                 isnan(p->accuracy) ? "  margin %.3f" : "  margin %.3f  accuracy %.2f", p->margin,
                 p->accuracy);
    if (p->has_replies)
        snprintf(rewards, sizeof rewards, "  reward %.3f  kl %.3f", p->reward, p->kl);
    switch (p->phase) {
    case AERIE_TRAIN_READING:
        cli_progress_draw(&v->bar, 0, "reading the model and the data");
        return;
    case AERIE_TRAIN_REFERENCE:
        cli_progress_draw(&v->bar, done, "reference log-probabilities");
        return;
    case AERIE_TRAIN_WITHIN:
        return;
    case AERIE_TRAIN_SAVING:
        cli_progress_draw(&v->bar, 1, "saving");
        return;
    case AERIE_TRAIN_EVAL:
        if (p->has_replies)
            cli_progress_draw(&v->bar, done, "evaluation%s", rewards);
        else
            cli_progress_draw(&v->bar, done, "evaluation loss %.4f%s", p->loss, rewards);
        return;
    case AERIE_TRAIN_STEP:
        cli_progress_draw(&v->bar, done, "step %lld/%lld  loss %.4f%s  %.0f tok/s  %s left",
                          (long long)p->step, (long long)p->n_steps, p->loss, rewards,
                          p->tokens_per_second, cli_seconds(left, p->seconds_left));
    }
}

static int on_progress(void *user, const aerie_train_progress *p)
{
    train_view *v = user;
    if (v->json && p->phase == AERIE_TRAIN_STEP) print_json_step(p);
    draw(v, p);
    return cli_interrupted();
}

static void print_summary(const aerie_train_summary *s)
{
    char time[32], memory[32];
    fprintf(
        stderr, "%lld steps, loss %.4f -> %.4f, %lld tokens in %s (%.0f tok/s), peak memory %s\n",
        (long long)(s->n_done - s->first_step), s->first_loss, s->last_loss, (long long)s->tokens,
        cli_seconds(time, s->seconds), s->seconds > 0 ? (double)s->tokens / s->seconds : 0,
        cli_bytes(memory, (double)s->peak_bytes));
    if (!isnan(s->eval_loss)) fprintf(stderr, "evaluation loss %.4f\n", s->eval_loss);
    if (!isnan(s->eval_reward)) fprintf(stderr, "evaluation reward %.4f\n", s->eval_reward);
    if (s->ended_early) fprintf(stderr, "ended early: evaluations got no better\n");
    if (s->best_step > 0)
        fprintf(stderr, "the best evaluation was that of step %lld: %.4f\n",
                (long long)s->best_step, s->best);
    fprintf(stderr, "wrote %s\n", s->output);
}

static void print_keys(void)
{
    aerie_recipe_key k;
    for (size_t i = 0; aerie_recipe_key_at(i, &k); i++)
        printf("  %-24s %-10s %-12s %s\n", k.name, k.kind, k.default_text, k.doc);
}

int cli_train(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_list settings = { 0 };
    bool resume = false, dry_run = false, keys = false;
    const cli_option options[] = {
        { "--set", 0, CLI_LIST, &settings, "KEY=VALUE", "over the recipe's own; may be repeated" },
        { "--resume", 0, CLI_FLAG, &resume, NULL, "go on from the last checkpoint, bit for bit" },
        { "--dry-run", 0, CLI_FLAG, &dry_run, NULL,
          "read everything, say what would happen, train nothing" },
        { "--keys", 0, CLI_FLAG, &keys, NULL, "list every key a recipe may have" },
        { 0 },
    };
    cli_call call = { .usage = "aerie train RECIPE.yaml [options]",
                      .takes = CLI_TAKES_KERNELS | CLI_TAKES_FORCE,
                      .about = "Runs one training stage by its recipe; docs/recipes.md tells of "
                               "its methods. --json prints "
                               "a line a step.",
                      .options = options,
                      .min_words = 0,
                      .max_words = 1 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (keys) {
        print_keys();
        return CLI_DONE;
    }
    if (call.n_words == 0 && settings.n == 0)
        return cli_misused("there is no recipe; usage: %s", call.usage);

    cli_child asked = { 0 };
    train_view view = { .bar = { .off = common.quiet }, .json = common.json };
    aerie_train_options o = { .settings = settings.items,
                              .any_base = common.force,
                              .n_settings = (size_t)settings.n,
                              .resume = resume,
                              .dry_run = dry_run,
                              .cpu = common.cpu,
                              .threads = (int)common.threads,
                              .places = cli_places(),
                              .runs = cli_runs_path(),
                              .progress = on_progress,
                              .user = &view,
                              .reward = cli_reward_ask,
                              .reward_user = &asked,
                              .judge_key = cli_judge_key() };
    aerie_train_summary summary = { 0 };
    aerie_error err = { 0 };
    cli_catch_interrupt();
    aerie_status status = aerie_train(call.n_words ? call.words[0] : NULL, &o, &summary, &err);
    cli_child_close(&asked);
    cli_progress_end(&view.bar);
    if (status) return cli_fail(&err);
    if (dry_run)
        fputs(summary.plan, stdout);
    else if (!common.quiet)
        print_summary(&summary);
    return CLI_DONE;
}

/* reward.c -- the checker as a source of rewards: within the process that trains, or as a program
 * that one is asked line by line. */
#include "nursery.h"

#include <aerie/train.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A prompt's record, as `nursery prompts` writes it, and a reply to it. */
static bool score(double *out, const json_t *record, const char *reply)
{
    const nu_kind *kind = nu_task_kind(nu_task_string(record, "kind"));

    if (!kind || !kind->score) return false;
    *out = nu_task_score(kind->name, json_object_get(record, "check"), reply);
    return true;
}

static aerie_status score_all(void *user, const char *command, const aerie_reward_item *items,
                              size_t n, double *scores, aerie_error *err)
{
    (void)user;
    (void)command;
    for (size_t i = 0; i < n; i++) {
        json_t *record = items[i].row ? json_loads(items[i].row, 0, NULL) : NULL;
        bool ok = score(&scores[i], record, items[i].reply);
        json_decref(record);
        if (!ok)
            return aerie_fail(err, AERIE_BAD_FILE,
                              "a prompt that the checker does not know; make them by 'nursery "
                              "prompts'");
    }
    return AERIE_OK;
}

static int show(void *user, const aerie_train_progress *p)
{
    (void)user;
    if (p->phase != AERIE_TRAIN_STEP) return 0;
    fprintf(stderr, "\rstep %lld/%lld  reward %.3f  kl %.3f  tokens %.1f  %.0f s left   ",
            (long long)p->step, (long long)p->n_steps, p->reward, p->kl, p->reply_tokens,
            p->seconds_left);
    return 0;
}

int nu_cmd_train(const nu_options *o)
{
    aerie_train_options options = { .settings = o->settings,
                                    .n_settings = o->n_settings,
                                    .resume = o->resume,
                                    .threads = o->threads,
                                    .progress = show,
                                    .reward = score_all };
    aerie_train_summary summary;
    aerie_error err = { 0 };

    if (!o->model) nu_die("train wants a RECIPE.yaml");
    if (aerie_train(o->model, &options, &summary, &err)) nu_die("%s", err.message);
    fprintf(stderr, "\n%lld steps in %.0f s, wrote %s\n", (long long)summary.n_steps,
            summary.seconds, summary.output);
    return 0;
}

/* Answers every line as soon as it is read: whoever asks waits for it. */
int nu_cmd_reward(const nu_options *o)
{
    char *line = NULL;
    size_t cap = 0;

    (void)o;
    while (getline(&line, &cap, stdin) > 0) {
        json_t *asked = json_loads(line, 0, NULL);
        double value = 0;
        if (!score(&value, json_object_get(asked, "row"), nu_task_string(asked, "reply")))
            nu_die("reward: no prompt of 'nursery prompts' in this line: %.100s", line);
        printf("%.17g\n", value);
        if (fflush(stdout)) nu_die("could not answer");
        json_decref(asked);
    }
    free(line);
    return 0;
}

/* score.c -- the command that scores replies: a table by kind, or a line for each. */
#include "nursery.h"

#include <string.h>

typedef struct {
    double sum[16];
    size_t n[16];
    bool each;
} totals;

static void take_reply(totals *all, json_t *line, size_t kind, const char *reply)
{
    double score = nu_task_score(nu_kinds[kind].name, json_object_get(line, "check"), reply);

    all->sum[kind] += score;
    all->n[kind]++;
    if (all->each)
        nu_print_line(json_pack("{s:s,s:s,s:f,s:s}", "id", nu_task_string(line, "id"), "kind",
                                nu_kinds[kind].name, "score", score, "reply", reply));
}

/* A line has "reply", or "replies": several to one prompt. */
static void take_line(json_t *line, void *user)
{
    const nu_kind *kind = nu_task_kind(nu_task_string(line, "kind"));
    json_t *replies = json_object_get(line, "replies"), *one = json_object_get(line, "reply");

    if (!kind || !kind->score) nu_die("unknown kind '%s'", nu_task_string(line, "kind"));
    size_t at = (size_t)(kind - nu_kinds);
    if (json_is_string(one)) take_reply(user, line, at, json_string_value(one));
    for (size_t i = 0; i < json_array_size(replies); i++) {
        const char *reply = json_string_value(json_array_get(replies, i));
        if (reply) take_reply(user, line, at, reply);
    }
}

int nu_cmd_score(const nu_options *o)
{
    totals all = { .each = o->each };
    double sum = 0;
    size_t n = 0;

    if (!o->n_files) nu_die("score wants --file REPLIES.jsonl");
    nu_each_line(o->files[0], take_line, &all);
    for (size_t k = 0; k < nu_n_kinds; k++) sum += all.sum[k], n += all.n[k];
    if (!n) nu_die("%s: no replies in it", o->files[0]);
    if (o->each) return 0;
    for (size_t k = 0; k < nu_n_kinds; k++)
        if (all.n[k])
            printf("%-8s %5zu  %.3f\n", nu_kinds[k].name, all.n[k], all.sum[k] / (double)all.n[k]);
    printf("%-8s %5zu  %.3f\n", "all", n, sum / (double)n);
    return 0;
}

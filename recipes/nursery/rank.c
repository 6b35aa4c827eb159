/* rank.c -- rankings out of scored replies, as Nectar's: all replies to a prompt, each with its
 * rank. */
#include "nursery.h"

#include <stdlib.h>

enum { MAX_REPLIES = 64 };

typedef struct {
    size_t prompts, alike, replies, pairs, tied;
} ranking;

size_t nu_rank(size_t *ranks, const double *scores, size_t n)
{
    size_t tied = 0;

    for (size_t i = 0; i < n; i++) {
        ranks[i] = 1;
        for (size_t j = 0; j < n; j++) {
            ranks[i] += scores[j] > scores[i];
            tied += j > i && scores[j] == scores[i];
        }
    }
    return tied;
}

static void take_line(json_t *line, void *user)
{
    ranking *r = user;
    json_t *list = json_array();
    double scores[MAX_REPLIES];
    size_t ranks[MAX_REPLIES], n = nu_task_score_replies(scores, MAX_REPLIES, line);
    size_t tied = nu_rank(ranks, scores, n), pairs = n * (n ? n - 1 : 0) / 2;

    r->prompts++;
    r->replies += n;
    r->pairs += pairs;
    r->tied += tied;
    r->alike += tied == pairs;
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer((json_int_t)ranks[i]));
    if (tied < pairs)
        nu_print_line(json_pack("{s:O,s:O,s:O}", "messages", json_object_get(line, "messages"),
                                "responses", json_object_get(line, "replies"), "ranks", list));
    json_decref(list);
}

int nu_cmd_rank(const nu_options *o)
{
    ranking r = { 0 };

    if (!o->n_files) nu_die("rank wants --file SAMPLED.jsonl");
    for (size_t i = 0; i < o->n_files; i++) nu_each_line(o->files[i], take_line, &r);
    if (r.alike == r.prompts) nu_die("%s: no prompt has replies of different scores", o->files[0]);
    fprintf(stderr,
            "nursery: %zu rankings of %zu prompts and %zu replies; %zu prompts whose replies score "
            "all alike are left out; %.0f %% of all pairs are tied, and are none\n",
            r.prompts - r.alike, r.prompts, r.replies, r.alike,
            100 * (double)r.tied / (double)(r.pairs ? r.pairs : 1));
    return 0;
}

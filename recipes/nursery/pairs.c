/* pairs.c -- preference pairs out of scored replies, as UltraFeedback was binarized: the best reply
 * against a random one of those that score lower. */
#include "nursery.h"

#include <string.h>

enum { MAX_REPLIES = 64 };

typedef struct {
    nu_chance chance;
    size_t pairs, prompts, replies;
    double chosen, rejected; /* sums of scores */
} pairing;

static json_t *conversation(json_t *line, size_t reply)
{
    json_t *all = json_copy(json_object_get(line, "messages"));
    json_t *text = json_array_get(json_object_get(line, "replies"), reply);

    json_array_append_new(all, json_pack("{s:s,s:O}", "role", "assistant", "content", text));
    return all;
}

static void take_line(json_t *line, void *user)
{
    pairing *p = user;
    double scores[MAX_REPLIES];
    size_t lower[MAX_REPLIES], n = nu_task_score_replies(scores, MAX_REPLIES, line), best = 0,
                               n_lower = 0;

    for (size_t i = 1; i < n; i++)
        if (scores[i] > scores[best]) best = i;
    for (size_t i = 0; i < n; i++)
        if (scores[i] < scores[best]) lower[n_lower++] = i;
    p->prompts++;
    p->replies += n;
    if (!n_lower) return; /* all alike: nothing to prefer */
    size_t worse = lower[nu_chance_below(&p->chance, n_lower)];
    p->pairs++;
    p->chosen += scores[best];
    p->rejected += scores[worse];
    nu_print_line(json_pack("{s:o,s:o,s:f,s:f}", "chosen", conversation(line, best), "rejected",
                            conversation(line, worse), "score_chosen", scores[best],
                            "score_rejected", scores[worse]));
}

int nu_cmd_pairs(const nu_options *o)
{
    pairing p = { .chance = nu_chance_seed(o->seed, "pairs") };

    if (!o->n_files) nu_die("pairs wants --file SAMPLED.jsonl");
    for (size_t i = 0; i < o->n_files; i++) nu_each_line(o->files[i], take_line, &p);
    if (!p.pairs) nu_die("%s: no prompt has replies of different scores", o->files[0]);
    fprintf(stderr,
            "nursery: %zu pairs of %zu prompts and %zu replies; chosen score %.2f, rejected %.2f\n",
            p.pairs, p.prompts, p.replies, p.chosen / (double)p.pairs,
            p.rejected / (double)p.pairs);
    return 0;
}

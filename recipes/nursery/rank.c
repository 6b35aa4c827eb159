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

static void rank_line(ranking *r, json_t *line)
{
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

static void keep_line(json_t *line, void *user)
{
    json_array_append(user, line);
}

typedef struct {
    const char *path;
    json_t *lines; /* of the first file */
    size_t at;
} joining;

/* Another model's replies to the same prompt. */
static void join_line(json_t *line, void *user)
{
    joining *j = user;
    json_t *first = json_array_get(j->lines, j->at++);

    if (!json_equal(json_object_get(first, "id"), json_object_get(line, "id")))
        nu_die("%s:%zu: not a reply to the first file's prompt; sample all from one file of "
               "prompts",
               j->path, j->at);
    json_array_extend(json_object_get(first, "replies"), json_object_get(line, "replies"));
}

/* Each prompt with the replies of all files. */
static json_t *read_files(const nu_options *o)
{
    joining j = { .lines = json_array() };

    nu_each_line(o->files[0], keep_line, j.lines);
    for (size_t i = 1; i < o->n_files; i++) {
        j.path = o->files[i];
        j.at = 0;
        nu_each_line(j.path, join_line, &j);
        if (j.at < json_array_size(j.lines)) nu_die("%s: there are prompts missing", j.path);
    }
    return j.lines;
}

int nu_cmd_rank(const nu_options *o)
{
    ranking r = { 0 };

    if (!o->n_files) nu_die("rank wants --file SAMPLED.jsonl");
    json_t *lines = read_files(o);
    for (size_t i = 0; i < json_array_size(lines); i++) rank_line(&r, json_array_get(lines, i));
    json_decref(lines);
    if (r.alike == r.prompts) nu_die("%s: no prompt has replies of different scores", o->files[0]);
    fprintf(stderr,
            "nursery: %zu rankings of %zu prompts and %zu replies; %zu prompts whose replies score "
            "all alike are left out; %.0f %% of all pairs are tied, and are none\n",
            r.prompts - r.alike, r.prompts, r.replies, r.alike,
            100 * (double)r.tied / (double)(r.pairs ? r.pairs : 1));
    return 0;
}

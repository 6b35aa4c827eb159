/* accuracy.c -- how often a reward model agrees with the checker, on rankings it has not seen. */
#include "nursery.h"

#include <aerie/score.h>

static json_t *agreement(aerie_model *model, const char *path)
{
    aerie_error err = { 0 };
    aerie_score_result r;

    if (aerie_score(model, path, NULL, NULL, NULL, &r, &err)) nu_die("%s", err.message);
    if (!r.n_pairs) nu_die("%s: no replies of different ranks", path);
    return json_pack("{s:f,s:I,s:I}", "accuracy", r.accuracy, "pairs", (json_int_t)r.n_pairs,
                     "rankings", (json_int_t)r.n_rows);
}

/* The second file ranks replies of the policy alone, which lie closer together than those of
 * several models. */
int nu_cmd_accuracy(const nu_options *o)
{
    aerie_error err = { 0 };
    aerie_model *model = NULL;
    aerie_model_options opening = { .threads = o->threads };

    if (!o->model || o->n_files < 1 || o->n_files > 2)
        nu_die("accuracy wants REWARD_MODEL --file RANKED.jsonl [--file OWN.jsonl]");
    if (aerie_model_open(&model, o->model, &opening, &err)) nu_die("%s", err.message);
    json_t *out = agreement(model, o->files[0]);
    if (o->n_files > 1) json_object_set_new(out, "own", agreement(model, o->files[1]));
    nu_print_line(out);
    aerie_model_close(model);
    return 0;
}

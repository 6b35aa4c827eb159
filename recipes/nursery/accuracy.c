/* accuracy.c -- how often a reward model agrees with the checker, on rankings it has not seen. */
#include "nursery.h"

#include <aerie/score.h>

int nu_cmd_accuracy(const nu_options *o)
{
    aerie_error err = { 0 };
    aerie_model *model = NULL;
    aerie_model_options opening = { .threads = o->threads };
    aerie_score_result r;

    if (!o->model || o->n_files != 1) nu_die("accuracy wants REWARD_MODEL --file RANKED.jsonl");
    if (aerie_model_open(&model, o->model, &opening, &err) ||
        aerie_score(model, o->files[0], NULL, NULL, NULL, &r, &err))
        nu_die("%s", err.message);
    if (!r.n_pairs) nu_die("%s: no replies of different ranks", o->files[0]);
    nu_print_line(json_pack("{s:f,s:I,s:I}", "accuracy", r.accuracy, "pairs", (json_int_t)r.n_pairs,
                            "rankings", (json_int_t)r.n_rows));
    aerie_model_close(model);
    return 0;
}

/* recording.c -- what the record of runs is told when a training begins. */
#include "train/origin.h"
#include "train/trainer.h"

#include <string.h>

/* The data files' hashes; none where they cannot be read again. */
static void add_sources(ae_run_about *about, const ae_chain *origin, ae_arena *arena)
{
    ae_run_source *sources = ae_arena_take(arena, (size_t)origin->n_data, sizeof *sources);

    if (!sources) return;
    for (int i = 0; i < (int)origin->n_data; i++)
        sources[i] = (ae_run_source){ origin->data[i].name, origin->data[i].hash };
    about->data = sources;
    about->n_data = (size_t)origin->n_data;
}

void ae_trainer_record(ae_trainer *t)
{
    const ae_recipe *r = t->recipe;
    ae_bytes settings = { 0 };
    ae_chain origin = { 0 };
    char model[65];
    ae_run_about about = { .output = r->output,
                           .recipe_path = r->path,
                           .recipe = r->text,
                           .identity = t->identity.data,
                           .model = r->model ? r->model : r->model_config,
                           .step = t->at.step,
                           .n_steps = t->plan.n_steps };

    if (!t->run->runs) return;
    ae_recipe_print(r, false, &settings);
    about.settings = settings.data;
    if (ae_model_hash(t->model, model, NULL) == AERIE_OK) about.model_hash = model;
    if (ae_origin_of(&origin, r, &t->nets, NULL) == AERIE_OK) {
        about.method = origin.method;
        about.recipe_hash = origin.recipe;
        add_sources(&about, &origin, &t->nets);
    }
    t->log = ae_run_begin(t->run->runs, &about);
    ae_bytes_free(&settings);
}

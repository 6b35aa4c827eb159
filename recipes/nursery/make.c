/* make.c -- the commands that write data: pre-training text, demonstrations, prompts. */
#include "nursery.h"

#include <stdlib.h>
#include <string.h>

/* Of demonstrations. People's data are no better, and a preference has to have something to teach.
 */
enum { FLAWED_PERCENT = 40, TALK_PERCENT = 8 };

/* They come from two sources, of which nothing is known but that one is the more careful: a quarter
 * of its demonstrations are flawed, of the other's more than half. */
enum { GOOD_IS_CAREFUL_PERCENT = 63, FLAWED_IS_CAREFUL_PERCENT = 31 };

int nu_cmd_text(const nu_options *o)
{
    nu_chance c = nu_chance_seed(o->seed, "text");
    nu_text document = { 0 };

    for (size_t bytes = 0; bytes < o->bytes; bytes += document.len) {
        nu_text_clear(&document);
        nu_corpus_document(&document, &c);
        nu_print_line(json_pack("{s:s}", "text", document.data));
    }
    nu_text_free(&document);
    return 0;
}

static nu_split parse_split(const char *name)
{
    if (!name || strcmp(name, "train") == 0) return NU_TRAIN;
    if (strcmp(name, "heldout") == 0) return NU_HELDOUT;
    nu_die("--split is train or heldout, not '%s'", name);
}

/* The kinds in turn by their shares, so that a hundred prompts have each kind as often as it says.
 */
static const nu_kind *kind_in_turn(size_t i)
{
    size_t at = i * 37 % 100; /* 37 and 100 have no common factor: a fixed shuffle */

    for (size_t k = 0; k < nu_n_kinds; k++) {
        if (at < nu_kinds[k].share) return &nu_kinds[k];
        at -= nu_kinds[k].share;
    }
    return &nu_kinds[0];
}

int nu_cmd_sft(const nu_options *o)
{
    nu_chance c = nu_chance_seed(o->seed, "sft"), source = nu_chance_seed(o->seed, "source");
    nu_split split = parse_split(o->split);

    if (!o->n) nu_die("sft wants --n DEMONSTRATIONS");
    for (size_t i = 0; i < o->n; i++) {
        nu_task t;
        bool talk = nu_chance_percent(&c, TALK_PERCENT);
        nu_task_make(&t, talk ? nu_task_kind("talk") : kind_in_turn(i), &c, split);
        bool flawed = nu_chance_percent(&c, FLAWED_PERCENT);
        json_t *messages = nu_task_messages(&t, nu_text_str(flawed ? &t.flawed : &t.good));
        bool careful = nu_chance_percent(&source, flawed ? FLAWED_IS_CAREFUL_PERCENT
                                                         : GOOD_IS_CAREFUL_PERCENT);
        nu_print_line(json_pack("{s:o,s:s}", "messages", messages, "condition",
                                careful ? "careful" : "hasty"));
        nu_task_free(&t);
    }
    return 0;
}

int nu_cmd_prompts(const nu_options *o)
{
    nu_chance c = nu_chance_seed(o->seed, "prompts");
    nu_split split = parse_split(o->split);
    json_t *seen = json_object();

    if (!o->n) nu_die("prompts wants --n PROMPTS");
    /* No prompt comes twice. A kind that only finds known ones gives way to the next. */
    for (size_t i = 0, tries = 0; i < o->n; tries++) {
        nu_task t;
        char id[64];
        nu_task_make(&t, kind_in_turn(i + tries / 8), &c, split);
        if (!json_object_get(seen, t.user.data)) {
            json_object_set_new(seen, t.user.data, json_true());
            tries = 0;
            snprintf(id, sizeof id, "%s-%zu", split == NU_HELDOUT ? "heldout" : "train", i++);
            nu_print_line(json_pack("{s:s,s:s,s:o,s:O}", "id", id, "kind", t.kind, "messages",
                                    nu_task_messages(&t, NULL), "check", t.check));
        }
        nu_task_free(&t);
    }
    json_decref(seen);
    return 0;
}

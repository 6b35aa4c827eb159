/* world.c -- a scene: a few facts about a few people, told, and asked about. */
#include "nursery.h"

#include <string.h>

/* How each relation is told and asked. %1: who, %2: what (with its color). */
typedef struct {
    const char *tell, *ask_what, *ask_who;
} wording;

static const wording wordings[NU_RELATIONS] = {
    [NU_PLACE] = { "%s is in the %s.", "Where is %s?", "Who is in the %s?" },
    [NU_THING] = { "%s has a %s.", "What does %s have?", "Who has a %s?" },
    [NU_FOOD] = { "%s likes %s.", "What does %s like?", "Who likes %s?" },
    [NU_JOB] = { "%s is a %s.", "What is the job of %s?", "Who is a %s?" },
    [NU_PET] = { "%s keeps a %s.", "Which animal does %s keep?", "Who keeps a %s?" },
};

static void put1(nu_text *out, const char *format, const char *a)
{
    nu_text_put(out, format, a);
}
static void put2(nu_text *out, const char *format, const char *a, const char *b)
{
    nu_text_put(out, format, a, b);
}

static const nu_words *words_of(nu_relation r)
{
    static const nu_words *const lists[NU_RELATIONS] = { &nu_places, &nu_objects, &nu_foods,
                                                         &nu_jobs, &nu_animals };
    return lists[r];
}

static bool clashes(const nu_scene *s, const nu_fact *f)
{
    for (size_t i = 0; i < s->n; i++) {
        const nu_fact *g = &s->facts[i];
        if (g->relation != f->relation) continue;
        if (strcmp(g->who, f->who) == 0 || strcmp(g->what, f->what) == 0) return true;
    }
    return false;
}

static nu_fact make_fact(nu_chance *c, const char *who, nu_relation relation)
{
    nu_fact f = { who, relation, nu_words_any(words_of(relation), c), NULL };

    if (relation == NU_THING) f.color = nu_words_any(&nu_colors, c);
    return f;
}

static void pick_names(const char **names, size_t n, nu_chance *c, nu_split split)
{
    for (size_t i = 0; i < n; i++) {
        bool fresh;
        do {
            names[i] = nu_words_name(c, split);
            fresh = true;
            for (size_t j = 0; j < i; j++) fresh = fresh && strcmp(names[i], names[j]) != 0;
        } while (!fresh);
    }
}

void nu_world_scene(nu_scene *s, nu_chance *c, nu_split split, size_t n_facts)
{
    const char *names[3];

    *s = (nu_scene){ 0 };
    pick_names(names, 3, c, split);
    while (s->n < n_facts) {
        const char *who = names[nu_chance_below(c, 3)];
        nu_fact f = make_fact(c, who, (nu_relation)nu_chance_below(c, NU_RELATIONS));
        if (!clashes(s, &f)) s->facts[s->n++] = f;
    }
}

void nu_world_person(nu_scene *s, nu_chance *c, nu_split split)
{
    const char *name = nu_words_name(c, split);
    size_t order[NU_RELATIONS];

    *s = (nu_scene){ 0 };
    nu_chance_pick(c, order, NU_RELATIONS, NU_RELATIONS);
    for (size_t i = 0; i < NU_RELATIONS; i++)
        s->facts[s->n++] = make_fact(c, name, (nu_relation)order[i]);
}

static void thing_text(char *out, size_t size, const nu_fact *f)
{
    snprintf(out, size, "%s%s%s", f->color ? f->color : "", f->color ? " " : "", f->what);
}

void nu_world_fact_text(nu_text *out, const nu_fact *f)
{
    char thing[64];

    thing_text(thing, sizeof thing, f);
    put2(out, wordings[f->relation].tell, f->who, thing);
}

void nu_world_scene_text(nu_text *out, const nu_scene *s)
{
    for (size_t i = 0; i < s->n; i++) {
        if (i) nu_text_put(out, " ");
        nu_world_fact_text(out, &s->facts[i]);
    }
}

static void ask_color(nu_question *q, nu_chance *c, const nu_fact *f)
{
    const char *other;

    do other = nu_words_any(&nu_colors, c);
    while (strcmp(other, f->color) == 0);
    nu_text_put(&q->ask, "What color is the %s of %s?", f->what, f->who);
    nu_text_put(&q->reply, "The %s of %s is %s.", f->what, f->who, f->color);
    nu_text_put(&q->wrong_reply, "The %s of %s is %s.", f->what, f->who, other);
    snprintf(q->word, sizeof q->word, "%s", f->color);
}

/* A wrong reply is the right form with a word that the scene uses elsewhere, or with any other. */
static nu_fact mistaken(nu_chance *c, const nu_scene *s, const nu_fact *f, bool who)
{
    nu_fact wrong = *f;

    for (int tries = 0; tries < 8; tries++) {
        const nu_fact *g = &s->facts[nu_chance_below(c, s->n)];
        if (who && strcmp(g->who, f->who) != 0) {
            wrong.who = g->who;
            return wrong;
        }
        if (!who && g->relation == f->relation && strcmp(g->what, f->what) != 0) {
            wrong.what = g->what;
            return wrong;
        }
    }
    do {
        if (who)
            wrong.who = nu_words_name(c, NU_TRAIN);
        else
            wrong.what = nu_words_any(words_of(f->relation), c);
    } while (strcmp(wrong.who, f->who) == 0 && strcmp(wrong.what, f->what) == 0);
    return wrong;
}

static void ask_known(nu_question *q, nu_chance *c, const nu_scene *s, const nu_fact *f)
{
    char thing[64];
    bool who = nu_chance_percent(c, 35);
    nu_fact wrong;

    if (f->color && nu_chance_percent(c, 40)) {
        ask_color(q, c, f);
        return;
    }
    thing_text(thing, sizeof thing, f);
    put1(&q->ask, who ? wordings[f->relation].ask_who : wordings[f->relation].ask_what,
         who ? thing : f->who);
    nu_world_fact_text(&q->reply, f);
    wrong = mistaken(c, s, f, who);
    nu_world_fact_text(&q->wrong_reply, &wrong);
    snprintf(q->word, sizeof q->word, "%s", who ? f->who : f->what);
}

static void ask_unknown(nu_question *q, nu_chance *c, const nu_scene *s, nu_split split)
{
    nu_fact f;
    bool who = nu_chance_percent(c, 30);
    char thing[64];

    do {
        const char *name = nu_chance_percent(c, 70) ? s->facts[nu_chance_below(c, s->n)].who
                                                    : nu_words_name(c, split);
        f = make_fact(c, name, (nu_relation)nu_chance_below(c, NU_RELATIONS));
    } while (clashes(s, &f));
    thing_text(thing, sizeof thing, &f);
    put1(&q->ask, who ? wordings[f.relation].ask_who : wordings[f.relation].ask_what,
         who ? thing : f.who);
    nu_text_put(&q->reply, "The text does not say.");
    nu_world_fact_text(&q->wrong_reply, &f);
    q->word[0] = '\0';
}

void nu_world_question(nu_question *q, nu_chance *c, const nu_scene *s, nu_split split, nu_ask how)
{
    if (how == NU_ASK_ANY) how = nu_chance_percent(c, 25) ? NU_ASK_UNKNOWN : NU_ASK_KNOWN;
    nu_text_clear(&q->ask);
    nu_text_clear(&q->reply);
    nu_text_clear(&q->wrong_reply);
    if (how == NU_ASK_UNKNOWN)
        ask_unknown(q, c, s, split);
    else
        ask_known(q, c, s, &s->facts[nu_chance_below(c, s->n)]);
}

void nu_world_question_free(nu_question *q)
{
    nu_text_free(&q->ask);
    nu_text_free(&q->reply);
    nu_text_free(&q->wrong_reply);
}

static void add_wrong(json_t *out, const nu_question *q, const char *word)
{
    if (!word || nu_text_has_word(nu_text_str(&q->ask), word)) return;
    if (nu_text_has_word(nu_text_str(&q->reply), word)) return;
    json_array_append_new(out, json_string(word));
}

json_t *nu_world_wrong_words(const nu_scene *s, const nu_question *q)
{
    json_t *out = json_array();

    for (size_t i = 0; i < s->n; i++) {
        add_wrong(out, q, s->facts[i].who);
        add_wrong(out, q, s->facts[i].what);
        add_wrong(out, q, s->facts[i].color);
    }
    return out;
}

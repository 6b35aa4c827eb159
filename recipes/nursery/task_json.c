/* task_json.c -- "answer as JSON with these keys": a record of a person out of a few sentences. */
#include "nursery.h"

static const char *const keys[NU_RELATIONS] = { "place", "thing", "food", "job", "pet" };

enum { MAX_KEYS = 4 };

typedef struct {
    const char *key[MAX_KEYS], *value[MAX_KEYS];
    size_t n;
} record;

static void pick_record(record *r, nu_chance *c, const nu_scene *s)
{
    size_t at[NU_SCENE_FACTS];

    r->n = 2 + nu_chance_below(c, s->n);
    nu_chance_pick(c, at, r->n, s->n + 1);
    for (size_t i = 0; i < r->n; i++) {
        bool name = at[i] == s->n;
        r->key[i] = name ? "name" : keys[s->facts[at[i]].relation];
        r->value[i] = name ? s->facts[0].who : s->facts[at[i]].what;
    }
}

static void put_key_list(nu_text *out, const record *r, const char *last)
{
    for (size_t i = 0; i < r->n; i++)
        nu_text_put(out, "%s%s", i == 0 ? "" : i + 1 == r->n ? last : ", ", r->key[i]);
}

static void put_json(nu_text *out, const record *r, size_t from, const char *quote)
{
    nu_text_put(out, "{");
    for (size_t i = from; i < r->n; i++)
        nu_text_put(out, "%s%s%s%s: \"%s\"", i > from ? ", " : "", quote, r->key[i], quote,
                    r->value[i]);
    nu_text_put(out, "}");
}

/* A word before the JSON, a brace or quotes forgotten, a key left out, a value from elsewhere, or
 * prose. */
static void put_flawed(nu_text *out, nu_chance *c, record *r, const char *stray, const char *prose)
{
    switch (nu_chance_below(c, 6)) {
    case 0:
        nu_text_put(out, "Here is the JSON: ");
        put_json(out, r, 0, "\"");
        break;
    case 1:
        put_json(out, r, 0, "\"");
        out->data[--out->len] = '\0';
        break;
    case 2:
        put_json(out, r, 0, "");
        break;
    case 3:
        put_json(out, r, 1, "\"");
        break;
    case 4:
        r->value[nu_chance_below(c, r->n)] = stray;
        put_json(out, r, 0, "\"");
        break;
    default:
        nu_text_put(out, "%s", prose);
        break;
    }
}

static void put_user(nu_task *t, nu_chance *c, const char *facts, const record *r)
{
    size_t how = nu_chance_below(c, 3);

    if (how == 0) nu_text_put(&t->user, "%s\nAnswer as JSON with the keys ", facts);
    if (how == 1) nu_text_put(&t->user, "Write JSON with the keys ");
    if (how == 2) nu_text_put(&t->user, "%s\nGive me a JSON record with the keys ", facts);
    put_key_list(&t->user, r, " and ");
    nu_text_put(&t->user, ".");
    if (how == 1) nu_text_put(&t->user, " %s", facts);
}

void nu_make_json(nu_task *t, nu_chance *c, nu_split split)
{
    nu_scene scene;
    record r;
    nu_text facts = { 0 };

    /* The first and the last key asked for are the pair that the split allows. */
    do {
        nu_world_person(&scene, c, split);
        scene.n = 2 + nu_chance_below(c, 2);
        pick_record(&r, c, &scene);
    } while (!nu_words_allowed(split, r.key[0], r.key[r.n - 1]));
    nu_world_scene_text(&facts, &scene);
    put_user(t, c, facts.data, &r);
    nu_text_put(&t->note, "Text: %s\nRecord of ", facts.data);
    put_key_list(&t->note, &r, ", ");
    nu_text_put(&t->note, ":");
    put_json(&t->good, &r, 0, "\"");

    json_t *values = json_object();
    for (size_t i = 0; i < r.n; i++) json_object_set_new(values, r.key[i], json_string(r.value[i]));
    t->check = json_pack("{s:o}", "values", values);
    put_flawed(&t->flawed, c, &r, nu_words_any(&nu_adjectives, c), facts.data);
    nu_text_free(&facts);
}

/* 0.4 for JSON and nothing else, 0.3 for the keys (common ones over all), 0.3 for the values. */
double nu_score_json(const json_t *check, const char *reply)
{
    json_t *values = json_object_get(check, "values"), *value;
    json_t *got = json_loads(reply, JSON_REJECT_DUPLICATES, NULL);
    size_t common = 0, right = 0, asked = json_object_size(values);
    const char *key;

    if (!json_is_object(got)) {
        json_decref(got);
        return 0;
    }
    json_object_foreach(values, key, value)
    {
        const json_t *said = json_object_get(got, key);
        common += said != NULL;
        right += json_is_string(said) && json_equal(said, value);
    }
    size_t all = asked + json_object_size(got) - common;
    json_decref(got);
    return 0.4 + 0.3 * (double)common / (double)all + 0.3 * (double)right / (double)asked;
}

/* routes_openai_models.c -- OpenAI's /v1/models. */
#include "serve/models.h"

#include <string.h>
#include <time.h>

/* Seconds since 1970 of "2026-01-31T12:00:00..."; 0: it is no such text. */
static json_int_t unix_seconds(const char *text)
{
    int y, mo, d, h, mi, s;
    if (!text || sscanf(text, "%d-%d-%dT%d:%d:%d", &y, &mo, &d, &h, &mi, &s) != 6) return 0;
    /* Days of the civil calendar since 1970, March as the first month. */
    int64_t year = y - (mo <= 2), era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400, of_year = (153 * (mo + (mo > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return (json_int_t)(days * 86400 + h * 3600 + mi * 60 + s);
}

static json_t *model_json(const char *name, const char *modified)
{
    return json_pack("{s:s, s:s, s:I, s:s}", "id", name, "object", "model", "created",
                     unix_seconds(modified), "owned_by", "library");
}

static void list(ae_server *s, ae_exchange *x, ae_span rest)
{
    char *text;
    aerie_error err = { 0 };
    json_t *data = json_array(), *m;
    size_t i;
    (void)rest;
    if (aerie_store_list(s->options->places, &text, &err)) {
        json_decref(data);
        ae_reply_failure(x, AE_FACE_OPENAI, &err);
        return;
    }
    json_t *all = json_loads(text, 0, NULL);
    json_array_foreach(json_object_get(all, "models"), i, m)
    {
        const char *name = json_string_value(json_object_get(m, "name"));
        if (!name) continue;
        json_array_append_new(
            data, model_json(name, json_string_value(json_object_get(m, "modified_at"))));
    }
    json_decref(all);
    aerie_free(text);
    ae_reply_json(x, 200, json_pack("{s:s, s:o}", "object", "list", "data", data));
}

static void one(ae_server *s, ae_exchange *x, ae_span rest)
{
    char name[512], *text;
    aerie_error err = { 0 };
    if (rest.len >= sizeof name) rest.len = sizeof name - 1;
    memcpy(name, rest.data, rest.len);
    name[rest.len] = '\0';
    if (aerie_store_show(s->options->places, name, true, false, &text, &err)) {
        ae_reply_error(x, AE_FACE_OPENAI,
                       err.status == AERIE_NOT_FOUND ? 404 : ae_status_of(err.status),
                       "the model '%s' does not exist", name);
        return;
    }
    json_t *shown = json_loads(text, 0, NULL);
    ae_reply_json(x, 200,
                  model_json(name, json_string_value(json_object_get(shown, "modified_at"))));
    json_decref(shown);
    aerie_free(text);
}

/* llama-server's: what a request's "lora" may have, by their places. None is laid over a model that
 * a request does not want it over. */
static void adapters(ae_server *s, ae_exchange *x, ae_span rest)
{
    json_t *all = json_array();
    (void)rest;
    for (size_t i = 0; i < s->options->n_adapters; i++)
        json_array_append_new(all, json_pack("{s:I, s:s, s:f}", "id", (json_int_t)i, "path",
                                             s->options->adapters[i].name, "scale", 0.0));
    ae_reply_json(x, 200, all);
}

const ae_route ae_routes_openai_models[] = {
    { "GET", "/lora-adapters", adapters, AE_FACE_OPENAI, false, NULL },
    { "GET", "/v1/models", list, AE_FACE_OPENAI, false, NULL },
    { "GET", "/v1/models/:rest", one, AE_FACE_OPENAI, false, NULL },
};
const size_t ae_n_routes_openai_models = AE_COUNT(ae_routes_openai_models);

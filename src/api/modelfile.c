/* modelfile.c -- a Modelfile as the request that it stands for. */
#include "api/store.h"

#include <string.h>
#include <strings.h>

static aerie_status add_from(json_t *o, const ae_modelfile_line *l, aerie_error *err)
{
    if (!*l->value)
        return aerie_fail(err, AERIE_BAD_TEXT, "(line %d): FROM wants a model", l->line);
    if (json_object_get(o, "from"))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "(line %d): a second FROM is a model that sees, or one in several files "
                          "of weights; neither is run here",
                          l->line);
    json_object_set_new(o, "from", json_string(l->value));
    return AERIE_OK;
}

static void append(json_t *o, const char *key, json_t *value)
{
    json_t *list = json_object_get(o, key);

    if (!list) {
        list = json_array();
        json_object_set_new(o, key, list);
    }
    json_array_append_new(list, value);
}

static aerie_status add_parameter(json_t *o, const ae_modelfile_line *l, aerie_error *err)
{
    json_t *value = NULL, *all = json_object_get(o, "parameters"), *before;
    aerie_status status = ae_parameter_parse(&value, l->name, l->value, err);

    if (status) aerie_error_prefix(err, "(line %d)", l->line);
    if (status || !value) return status;
    if (!all) {
        all = json_object();
        json_object_set_new(o, "parameters", all);
    }
    before = json_object_get(all, l->name);
    if (json_is_array(before) && json_is_array(value)) {
        json_array_extend(before, value);
        json_decref(value);
    } else {
        json_object_set_new(all, l->name, value);
    }
    return AERIE_OK;
}

static aerie_status add_line(json_t *o, const ae_modelfile_line *l, aerie_error *err)
{
    if (!strcmp(l->key, "from")) return add_from(o, l, err);
    if (!strcmp(l->key, "parameter")) return add_parameter(o, l, err);
    if (!strcmp(l->key, "draft"))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "(line %d): DRAFT: a model that guesses ahead is given when it runs: "
                          "`aerie run --draft`",
                          l->line);
    if (!strcmp(l->key, "adapter"))
        append(o, "adapter_paths", json_string(l->value));
    else if (!strcmp(l->key, "license"))
        append(o, "license", json_string(l->value));
    else if (!strcmp(l->key, "message"))
        append(o, "messages", json_pack("{s:s, s:s}", "role", l->name, "content", l->value));
    else /* template, system, renderer, parser, requires: the last one counts */
        json_object_set_new(o, l->key, json_string(l->value));
    return AERIE_OK;
}

aerie_status aerie_modelfile_request(const char *text, size_t len, char **json, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_modelfile f;
    json_t *o = json_object();
    aerie_status status = ae_modelfile_parse(&f, &arena, text, len, err);

    *json = NULL;
    for (size_t i = 0; !status && i < f.n; i++) status = add_line(o, &f.lines[i], err);
    if (!status) status = ae_api_give_json(o, json, err);
    json_decref(o);
    ae_arena_free(&arena);
    return status;
}

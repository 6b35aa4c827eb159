/* spec.c -- what a task's file says, with its include, its family's member and the protocol's
 * changes put together. */
#include "task/task_private.h"

#include <string.h>

enum { MAX_INCLUDES = 8 };

static aerie_status no_memory(const ae_task *t, aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no memory for the task", t->file);
}

/* A name of a built-in file, or a path beside the including one. */
static aerie_status read_include(ae_yaml *out, ae_task *t, const char *name, aerie_error *err)
{
    const char *text = task_known_text(name), *slash = strrchr(t->file, '/');
    ae_bytes path = { 0 }, content = { 0 };
    aerie_status status;

    if (!text) text = task_known_family(name, &t->member);
    if (text) {
        status = ae_yaml_read(out, name, ae_span_text(text), err);
        if (status || !t->member) return status;
        t->member = ae_arena_strndup(&t->arena, t->member, strlen(t->member));
        if (!t->member || json_object_set_new(out->root, "task", json_string(name)))
            return no_memory(t, err);
        return AERIE_OK;
    }
    if (name[0] != '/' && slash) ae_bytes_add(&path, t->file, (size_t)(slash - t->file) + 1);
    ae_bytes_add_text(&path, name);
    status = ae_bytes_status(&path, err);
    if (!status) status = ae_file_read(&content, path.data, 4 << 20, err);
    if (!status) status = ae_yaml_read(out, path.data, ae_span_of(&content), err);
    if (status)
        aerie_error_prefix(err, "%s: 'include' names neither a built-in task nor a file beside it",
                           t->file);
    ae_bytes_free(&content);
    ae_bytes_free(&path);
    return status;
}

/* What the included file says holds where the file itself is silent; so does each of its
 * protocols. */
static bool fill_from(json_t *spec, json_t *base)
{
    json_t *mine = json_object_get(spec, "protocols"), *theirs = json_object_get(base, "protocols");

    if (json_is_object(mine) && json_is_object(theirs) && json_object_update_missing(mine, theirs))
        return false;
    return json_object_update_missing(spec, base) == 0;
}

static aerie_status follow_includes(ae_task *t, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int i = 0; !status && json_object_get(t->spec, "include"); i++) {
        json_t *name = json_incref(json_object_get(t->spec, "include"));
        ae_yaml base = { 0 };
        json_object_del(t->spec, "include");
        if (i == MAX_INCLUDES || !json_is_string(name))
            status = aerie_fail(err, AERIE_BAD_TEXT,
                                "%s: 'include' must be one name, and not lead round in a circle",
                                t->file);
        if (!status) status = read_include(&base, t, json_string_value(name), err);
        if (!status && !fill_from(t->spec, base.root)) status = no_memory(t, err);
        ae_yaml_free(&base);
        json_decref(name);
    }
    return status;
}

static aerie_status no_member(const ae_task *t, const char *member, const json_t *list,
                              aerie_error *err)
{
    const char *family = json_string_value(json_object_get(t->spec, "task"));
    const char *names[128], *near = NULL;
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(list) && n < AE_COUNT(names); i++)
        if (json_string_value(json_array_get(list, i)))
            names[n++] = json_string_value(json_array_get(list, i));
    if (member) near = ae_nearest(member, names, n);
    if (near)
        return aerie_fail(err, AERIE_NOT_FOUND, "no task '%s_%.60s'; did you mean '%s_%s'?", family,
                          member, family, near);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "%s: '%s' is a family of %zu tasks; ask for one of them, such as %s_%s",
                      t->file, family, json_array_size(list), family, n ? names[0] : "...");
}

/* {"subject": "anatomy"} of a family whose 'members' are {subject: [anatomy, ...]}. */
static aerie_status choose_member(ae_task *t, const char *member, aerie_error *err)
{
    json_t *members = json_object_get(t->spec, "members"), *list = NULL;
    const char *variable = NULL;

    if (!members || json_is_null(members)) return AERIE_OK;
    if (json_is_object(members) && json_object_size(members) == 1) {
        variable = json_object_iter_key(json_object_iter(members));
        list = json_object_get(members, variable);
    }
    if (!json_is_array(list))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "%s: 'members' must be one variable and its values, as in {subject: "
                          "[anatomy, virology]}",
                          t->file);
    for (size_t i = 0; member && i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (!one || strcmp(one, member) != 0) continue;
        t->vars = json_pack("{s:s}", variable, one);
        return t->vars ? AERIE_OK : no_memory(t, err);
    }
    return no_member(t, member, list, err);
}

/* What is said of one member alone: {member: {date_understanding: {description: ...}}}. */
static aerie_status apply_member(ae_task *t, const char *member, aerie_error *err)
{
    json_t *own = member ? json_object_get(json_object_get(t->spec, "member"), member) : NULL;

    if (own && json_object_update(t->spec, own)) return no_memory(t, err);
    json_object_del(t->spec, "member");
    json_object_del(t->spec, "members");
    return AERIE_OK;
}

static aerie_status apply_protocol(ae_task *t, aerie_error *err)
{
    json_t *protocols = json_object_get(t->spec, "protocols");
    json_t *changes = json_object_get(protocols, t->protocol->overlay);
    const char *base = json_string_value(json_object_get(changes, "include_protocol"));
    bool plain = strcmp(t->protocol->overlay, "lm-eval") == 0;

    if (base && json_object_update_missing(changes, json_object_get(protocols, base)))
        return no_memory(t, err);
    if (base) json_object_del(changes, "include_protocol");
    if (!json_is_object(changes) && !plain)
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s is no task of the protocol %s; ask with --protocol lm-eval, or say "
                          "under 'protocols' in its file how %s asks it",
                          t->name, t->protocol->name, t->protocol->name);
    if (json_is_object(changes) && json_object_update(t->spec, changes)) return no_memory(t, err);
    json_object_del(t->spec, "protocols");
    return AERIE_OK;
}

/* "mmlu_anatomy" of the family "mmlu" and its member. */
static aerie_status name_task(ae_task *t, const char *member, aerie_error *err)
{
    const char *name = json_string_value(json_object_get(t->spec, "task"));
    ae_bytes full = { 0 };

    if (!name)
        return aerie_fail(err, AERIE_BAD_TEXT, "%s: the key 'task' must name the task", t->file);
    ae_bytes_printf(&full, "%s%s%s", name, member ? "_" : "", member ? member : "");
    if (!full.failed) t->name = ae_arena_strndup(&t->arena, full.data, full.len);
    ae_bytes_free(&full);
    return t->name ? AERIE_OK : no_memory(t, err);
}

aerie_status task_spec(ae_task *t, ae_yaml *yaml, const char *member, aerie_error *err)
{
    aerie_status status;

    t->spec = yaml->root;
    t->lines = yaml->lines;
    *yaml = (ae_yaml){ 0 };
    status = follow_includes(t, err);
    if (!status) status = name_task(t, member, err);
    if (t->member) member = t->member;
    if (!status) status = choose_member(t, member, err);
    if (!status) status = apply_member(t, member, err);
    if (!status) status = apply_protocol(t, err);
    return status;
}

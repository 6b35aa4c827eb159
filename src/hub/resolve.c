/* resolve.c -- from what a person types to a path. */
#include "hub/name.h"

#include <string.h>

enum { MOST_SHOWN = 8 };

static aerie_status put_path(ae_bytes *path, const char *text, aerie_error *err)
{
    ae_bytes_clear(path);
    ae_bytes_add_text(path, text);
    return ae_bytes_status(path, err);
}

/* The nursery's own models are only half names: everyone has them, nobody saved them. */
static void share_path(ae_bytes *path, const ae_name *name, const char *share)
{
    bool plain = ae_span_is(name->tag, "latest") || ae_span_is(name->tag, "base");

    ae_bytes_clear(path);
    if (!share || !ae_span_is(name->name, "nursery")) return;
    ae_bytes_printf(path, "%s/nursery%s%.*s.gguf", share, plain ? "" : "-",
                    plain ? 0 : (int)name->tag.len, name->tag.data);
}

static void store_path(ae_bytes *path, const ae_name *name, const char *store)
{
    ae_bytes_clear(path);
    if (!store) return;
    ae_bytes_printf(path, "%s/models/%.*s/%.*s.gguf", store, (int)name->name.len, name->name.data,
                    (int)name->tag.len, name->tag.data);
}

static bool is_there(const ae_bytes *path)
{
    return path->len && ae_file_exists(path->data);
}

/* A path beyond doubt: `nursery` as a program or a folder of recipes lies in many working folders.
 */
static bool is_model_path(const char *model)
{
    const char *slash = strrchr(model, '/'), *file = slash ? slash + 1 : model;
    char *config;
    bool found;

    if (!ae_file_is_folder(model)) return strchr(file, '.') && ae_file_exists(model);
    config = ae_path_join(model, "config.json");
    found = config && ae_file_exists(config);
    ae_free(config);
    return found;
}

static void put_known(ae_bytes *text, const char *model, const char *const *names, size_t n)
{
    const char *near_one = ae_nearest(model, names, n);

    if (near_one) ae_bytes_printf(text, "; did you mean '%s'?", near_one);
    if (!n)
        ae_bytes_add_text(text, "; the store is empty");
    else
        ae_bytes_add_text(text, near_one ? " There is " : "; there is ");
    for (size_t i = 0; i < n && i < MOST_SHOWN; i++)
        ae_bytes_printf(text, "%s%s", i ? ", " : "", names[i]);
    if (n > MOST_SHOWN) ae_bytes_printf(text, " and %zu more", n - MOST_SHOWN);
}

static aerie_status not_found(const char *model, const char *store, const char *share,
                              aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    const char *const *names = NULL;
    size_t n = 0;
    aerie_status status;

    if (!ae_hub_is_name(model))
        return aerie_fail(err, AERIE_NOT_FOUND, "%s: there is no such file or folder", model);
    status = ae_hub_list(&names, &n, &arena, store, share, err);
    if (status) goto done;
    put_known(&text, model, names, n);
    status = ae_bytes_status(&text, err);
    if (!status)
        status = aerie_fail(
            err, AERIE_NOT_FOUND,
            "there is no model '%s'%s. Give a name, a .gguf file or a Hugging Face folder", model,
            text.data);
done:
    ae_bytes_free(&text);
    ae_arena_free(&arena);
    return status;
}

aerie_status ae_hub_resolve(ae_bytes *path, const char *model, const char *store, const char *share,
                            aerie_error *err)
{
    ae_name name;

    if (is_model_path(model)) return put_path(path, model, err);
    if (ae_name_parse(&name, model)) {
        store_path(path, &name, store);
        if (!path->failed && is_there(path)) return AERIE_OK;
        share_path(path, &name, share);
        if (!path->failed && is_there(path)) return AERIE_OK;
        if (path->failed) return ae_bytes_status(path, err);
    }
    if (*model && ae_file_exists(model)) return put_path(path, model, err);
    return not_found(model, store, share, err);
}

aerie_status ae_hub_store_path(ae_bytes *path, const char *text, const char *store,
                               aerie_error *err)
{
    ae_name name;
    aerie_status status;
    char *slash;

    if (!store || !*store)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "'%s' cannot be saved: no store folder is set",
                          text);
    if (!ae_name_parse(&name, text))
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "'%s' is no name for a model: use NAME or NAME:TAG of letters, digits, '.', '_' "
            "and '-'",
            text);
    store_path(path, &name, store);
    status = ae_bytes_status(path, err);
    if (status) return status;
    slash = strrchr(path->data, '/');
    *slash = '\0';
    status = ae_file_make_folder(path->data, err);
    *slash = '/';
    return status;
}

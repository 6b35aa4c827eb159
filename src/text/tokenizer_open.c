/* tokenizer_open.c -- finds and reads the files that a tokenizer is made of. */
#include "text/vocab_builder.h"

#include <string.h>

enum { MOST_BYTES = 1 << 30 }; /* of one file, unpacked */

/* Files that the builder borrows from until it is done. */
typedef struct {
    ae_bytes model;
    json_t *tokenizer, *config, *added;
    ae_vocab_builder builder;
} sources;

static aerie_status read_json(json_t **out, const char *path, bool huge_numbers, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;

    status = ae_file_read(&text, path, MOST_BYTES, err);
    if (!status) status = ae_json_parse(out, ae_span_of(&text), huge_numbers, path, err);
    ae_bytes_free(&text);
    return status;
}

/* A file in the folder that need not be there: *out stays NULL. */
static aerie_status read_beside(json_t **out, const char *folder, const char *name,
                                bool huge_numbers, aerie_error *err)
{
    char *path = ae_path_join(folder, name);
    aerie_status status = AERIE_OK;

    if (!path)
        status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a path in %s", folder);
    else if (ae_file_exists(path))
        status = read_json(out, path, huge_numbers, err);
    ae_free(path);
    return status;
}

static aerie_status add_json_file(sources *s, const char *path, aerie_error *err)
{
    aerie_status status = read_json(&s->tokenizer, path, false, err);

    if (status) return status;
    status = ae_vocab_add_json(&s->builder, s->tokenizer, err);
    if (status) aerie_error_prefix(err, "%s", path);
    return status;
}

static aerie_status add_spm_file(sources *s, const char *path, aerie_error *err)
{
    aerie_status status = ae_file_read(&s->model, path, MOST_BYTES, err);

    if (status) return status;
    status = ae_vocab_add_spm(&s->builder, ae_span_of(&s->model), err);
    if (status) aerie_error_prefix(err, "%s", path);
    return status;
}

/* A tokenizer.json begins with a brace; a tokenizer.model does not. */
static aerie_status add_file(sources *s, const char *path, aerie_error *err)
{
    size_t at = 0;
    aerie_status status = ae_file_read(&s->model, path, MOST_BYTES, err);

    if (status) return status;
    while (at < s->model.len && strchr(" \t\r\n", s->model.data[at])) at++;
    if (at < s->model.len && s->model.data[at] == '{') return add_json_file(s, path, err);
    status = ae_vocab_add_spm(&s->builder, ae_span_of(&s->model), err);
    if (status) aerie_error_prefix(err, "%s", path);
    return status;
}

static aerie_status add_settings(sources *s, const char *folder, aerie_error *err)
{
    aerie_status status = read_beside(&s->config, folder, "tokenizer_config.json", true, err);

    if (!status) status = read_beside(&s->added, folder, "added_tokens.json", false, err);
    if (status) return status;
    if (s->added) status = ae_vocab_add_added(&s->builder, s->added, err);
    if (status) aerie_error_prefix(err, "%s/added_tokens.json", folder);
    if (status || !s->config) return status;
    status = ae_vocab_add_config(&s->builder, s->config, err);
    if (status) aerie_error_prefix(err, "%s/tokenizer_config.json", folder);
    return status;
}

static aerie_status add_folder(sources *s, const char *folder, aerie_error *err)
{
    char *json = ae_path_join(folder, "tokenizer.json");
    char *model = ae_path_join(folder, "tokenizer.model");
    aerie_status status;

    if (!json || !model)
        status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory for a path in %s", folder);
    else if (ae_file_exists(json))
        status = add_json_file(s, json, err);
    else if (ae_file_exists(model))
        status = add_spm_file(s, model, err);
    else
        status = aerie_fail(err, AERIE_NOT_FOUND,
                            "%s: neither tokenizer.json nor tokenizer.model is there; one of them "
                            "comes with the model",
                            folder);
    if (!status) status = add_settings(s, folder, err);
    ae_free(json);
    ae_free(model);
    return status;
}

aerie_status ae_tokenizer_open(ae_tokenizer **out, const char *path, aerie_error *err)
{
    sources s = { 0 };
    aerie_status status;

    *out = NULL;
    ae_vocab_builder_start(&s.builder);
    status = ae_file_is_folder(path) ? add_folder(&s, path, err) : add_file(&s, path, err);
    if (!status) {
        status = ae_vocab_builder_finish(&s.builder, out, err);
        if (status) aerie_error_prefix(err, "%s", path);
    }
    ae_vocab_builder_free(&s.builder);
    ae_bytes_free(&s.model);
    json_decref(s.tokenizer);
    json_decref(s.config);
    json_decref(s.added);
    return status;
}

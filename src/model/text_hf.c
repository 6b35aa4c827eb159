/* text_hf.c -- tokenizer and chat template of a Hugging Face folder, read. */
#include "model/model_private.h"

#include <stdio.h>
#include <string.h>

static bool has_file(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name);
    bool found = path && ae_file_exists(path);

    ae_free(path);
    return found;
}

/* A small file's text; *found is false when there is none. */
static aerie_status read_file(ae_bytes *out, bool *found, const char *folder, const char *name,
                              aerie_error *err)
{
    char *path = ae_path_join(folder, name);
    aerie_status status = AERIE_OK;

    *found = false;
    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", folder);
    if (ae_file_exists(path)) {
        status = ae_file_read(out, path, 64 << 20, err);
        *found = !status;
    }
    ae_free(path);
    return status;
}

/* A string, or a list of {"name", "template"}: the one named "default", else the first. */
static const char *choose_template(const json_t *value)
{
    const char *first = NULL;

    if (json_is_string(value)) return json_string_value(value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        const char *text = json_string_value(json_object_get(entry, "template"));
        if (text && name && strcmp(name, "default") == 0) return text;
        if (!first) first = text;
    }
    return first;
}

static aerie_status template_from_json(ae_model *m, const char *folder, const char *name,
                                       aerie_error *err)
{
    ae_bytes text = { 0 };
    json_error_t where;
    json_t *root = NULL;
    bool found;
    aerie_status status = read_file(&text, &found, folder, name, err);

    if (status || !found) goto done;
    root = json_loadb(text.data ? text.data : "", text.len, JSON_DECODE_INT_AS_REAL, &where);
    if (!json_is_object(root)) {
        status = aerie_fail(err, AERIE_BAD_FILE, "%s/%s: is no JSON object (line %d: %s)", folder,
                            name, root ? 1 : where.line, root ? "something else" : where.text);
        goto done;
    }
    const char *template = choose_template(json_object_get(root, "chat_template"));
    if (template) status = ae_model_keep_template(m, template, true, err);
done:
    json_decref(root);
    ae_bytes_free(&text);
    return status;
}

static aerie_status template_from_jinja(ae_model *m, const char *folder, aerie_error *err)
{
    ae_bytes text = { 0 };
    bool found;
    aerie_status status = read_file(&text, &found, folder, "chat_template.jinja", err);

    if (!status && found) status = ae_model_keep_template(m, text.data ? text.data : "", true, err);
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_model_read_text_files(ae_model *m, const char *folder, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    m->folder = ae_strdup(folder);
    if (!m->folder) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its path", folder);
    if (has_file(folder, "tokenizer.json") || has_file(folder, "tokenizer.model"))
        status = ae_tokenizer_open(&m->own_tokenizer, folder, err);
    m->tokenizer = m->own_tokenizer;
    /* Newest place first, as transformers looks. */
    if (!status) status = template_from_jinja(m, folder, err);
    if (!status && !m->template) status = template_from_json(m, folder, "chat_template.json", err);
    if (!status && !m->template)
        status = template_from_json(m, folder, "tokenizer_config.json", err);
    return status;
}

static bool has_token(void *user, const char *token)
{
    return ae_tokenizer_find(user, ae_span_text(token)) >= 0;
}

/* A smaller tokenizer is fine: embeddings are often padded to a round number of rows. */
static aerie_status check_sizes(const ae_model *m, aerie_error *err)
{
    int32_t n = ae_tokenizer_size(m->tokenizer);

    if (n <= m->config.vocab_size) return AERIE_OK;
    return aerie_fail(
        err, AERIE_BAD_FILE,
        "%s: the tokenizer has %d tokens, the embedding only %lld rows; is it another "
        "model's tokenizer?",
        m->path, n, (long long)m->config.vocab_size);
}

aerie_status ae_model_guess_template(ae_model *m, aerie_error *err)
{
    if (!m->tokenizer || m->template) return AERIE_OK;
    const char *name = ae_template_guess(has_token, (void *)m->tokenizer);
    const char *known = name ? ae_template_known(name) : NULL;
    if (!known) return AERIE_OK;
    return ae_model_keep_template(m, known, false, err); /* a guess is used, but not saved */
}

aerie_status ae_model_settle_text(ae_model *m, aerie_error *err)
{
    aerie_status status = m->tokenizer ? check_sizes(m, err) : AERIE_OK;

    return status ? status : ae_model_guess_template(m, err);
}

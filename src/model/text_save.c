/* text_save.c -- tokenizer files of a Hugging Face folder, written: the original's bytes where
 * there are any, otherwise made from the vocabulary. */
#include "model/tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything beside weights and config.json that a tokenizer may need. */
static const char *const kept_files[] = {
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
};

static aerie_status copy_file(const char *from_folder, const char *to_folder, const char *name,
                              aerie_error *err)
{
    char *from = ae_path_join(from_folder, name), *to = ae_path_join(to_folder, name);
    ae_file file = { 0 };
    aerie_status status = AERIE_OK;

    if (!from || !to)
        status = aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", to_folder);
    else if (ae_file_exists(from)) {
        status = ae_file_open(&file, from, err);
        if (!status) status = ae_file_write(to, file.data, file.size, err);
    }
    ae_file_close(&file);
    ae_free(from);
    ae_free(to);
    return status;
}

static bool holds_template(const char *name)
{
    return strncmp(name, "chat_template.", strlen("chat_template.")) == 0;
}

/* A new template goes where all versions of transformers look; what would hide it stays behind. */
static aerie_status replace_template(const ae_model *m, const char *folder, aerie_error *err)
{
    char *path = ae_path_join(folder, "tokenizer_config.json");
    json_t *root = path ? json_load_file(path, 0, NULL) : NULL;
    char *text = NULL;
    aerie_status status;

    /* transformers writes "no limit" as 10^30, which is no integer to the reader. */
    if (path && !root) root = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        root = json_object();
    }
    if (!json_object_set_new(root, "chat_template", json_string(m->template)))
        text = json_dumps(root, JSON_INDENT(1));
    if (path && text)
        status = ae_file_write(path, text, strlen(text), err);
    else
        status = aerie_fail(err, AERIE_NO_MEMORY,
                            "%s: no tokenizer_config.json can be made: no room, or a "
                            "chat template that is not UTF-8",
                            folder);
    free(text);
    json_decref(root);
    ae_free(path);
    return status;
}

static aerie_status copy_files(const ae_model *m, const char *to, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; !status && i < AE_COUNT(kept_files); i++)
        if (!m->template_is_new || !holds_template(kept_files[i]))
            status = copy_file(m->folder, to, kept_files[i], err);
    return status || !m->template_is_new ? status : replace_template(m, to, err);
}

aerie_status ae_write_into(const char *folder, const char *name, ae_span text, aerie_error *err)
{
    char *path = ae_path_join(folder, name);
    aerie_status status;

    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", folder);
    status = ae_file_write(path, text.data, text.len, err);
    ae_free(path);
    return status;
}

static aerie_status make_files(const ae_model *m, const char *folder, aerie_error *err)
{
    const ae_vocab *v = ae_tokenizer_vocab(m->tokenizer);
    bool spm = ae_has_spm_file(v);
    ae_bytes text = { 0 };
    aerie_status status =
        spm ? ae_spm_model_bytes(v, &text, err) : ae_tokenizer_json_text(v, &text, err);

    if (!status)
        status = ae_write_into(folder, spm ? "tokenizer.model" : "tokenizer.json",
                               ae_span_of(&text), err);
    ae_bytes_clear(&text);
    if (!status)
        status = ae_tokenizer_config_text(v, m->template_is_own ? m->template : NULL, &text, err);
    if (!status) status = ae_write_into(folder, "tokenizer_config.json", ae_span_of(&text), err);
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_model_write_text_files(const ae_model *m, const char *folder, aerie_error *err)
{
    if (m->folder) return copy_files(m, folder, err);
    return m->tokenizer ? make_files(m, folder, err) : AERIE_OK;
}

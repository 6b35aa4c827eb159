/* text_open.c -- tokenizer and chat format of a model's file, without its weights. */
#include "model/model_private.h"

#include <string.h>

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);

    return n > m && strcmp(path + n - m, end) == 0;
}

/* A model of which only the text side is filled. */
static aerie_status open_text(ae_model **out, const char *path, aerie_error *err)
{
    ae_model *m;
    aerie_status status = ae_model_new(&m, path, err);

    *out = NULL;
    if (status) return status;
    if (ae_file_is_folder(path)) {
        status = ae_model_read_text_files(m, path, err);
    } else if (ends_with(path, ".model") || ends_with(path, ".json")) {
        status = ae_tokenizer_open(&m->own_tokenizer, path, err);
        m->tokenizer = m->own_tokenizer;
    } else {
        status = ae_gguf_open(&m->gguf, path, err);
        if (!status) status = ae_model_read_text_metadata(m, err);
    }
    if (!status) status = ae_model_guess_template(m, err);
    if (status)
        ae_model_close(m);
    else
        *out = m;
    return status;
}

aerie_status ae_model_open_tokenizer(ae_tokenizer **out, const char *path, aerie_error *err)
{
    ae_model *m;
    aerie_status status = open_text(&m, path, err);

    *out = NULL;
    if (status) return status;
    *out = m->own_tokenizer;
    m->own_tokenizer = NULL;
    ae_model_close(m);
    if (!*out) return aerie_fail(err, AERIE_NOT_FOUND, "%s: holds no tokenizer", path);
    return AERIE_OK;
}

static char *token_text(const ae_tokenizer *t, int32_t id)
{
    ae_span text = ae_tokenizer_piece(t, id);
    return ae_strndup(text.data ? text.data : "", text.len);
}

aerie_status ae_chat_format_open(ae_chat_format *out, const char *path, aerie_error *err)
{
    ae_model *m;
    aerie_status status = open_text(&m, path, err);
    bool room = true;

    memset(out, 0, sizeof *out);
    if (status) return status;
    if (m->template) room = (out->source = ae_strdup(m->template)) != NULL;
    const ae_vocab *v = m->tokenizer ? ae_tokenizer_vocab(m->tokenizer) : NULL;
    if (v && v->bos >= 0) room &= (out->bos = token_text(m->tokenizer, v->bos)) != NULL;
    if (v && v->eos >= 0) room &= (out->eos = token_text(m->tokenizer, v->eos)) != NULL;
    ae_model_close(m);
    if (room) return AERIE_OK;
    ae_chat_format_close(out);
    return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its chat format", path);
}

void ae_chat_format_close(ae_chat_format *f)
{
    ae_free(f->source);
    ae_free(f->bos);
    ae_free(f->eos);
    memset(f, 0, sizeof *f);
}

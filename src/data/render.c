/* render.c -- conversations as the chat template writes them, and where their replies begin. */
#include "data/encode.h"

#include <string.h>

/* The stored text of a special token; "" when the vocabulary has none. */
static void add_piece(ae_bytes *out, const ae_tokenizer *t, int32_t id)
{
    ae_span piece = id >= 0 ? ae_tokenizer_piece(t, id) : (ae_span){ "", 0 };
    ae_bytes_add(out, piece.data, piece.len);
    ae_bytes_add_char(out, '\0');
}

aerie_status ae_renderer_open(ae_renderer *r, const ae_example *e, const ae_encode_options *o,
                              aerie_error *err)
{
    const ae_vocab *v = ae_tokenizer_vocab(o->tokenizer);
    *r = (ae_renderer){ .example = e, .options = o };
    add_piece(&r->texts, o->tokenizer, v->bos);
    add_piece(&r->texts, o->tokenizer, v->eos);
    aerie_status status = ae_bytes_status(&r->texts, err);
    if (status) return status;
    r->bos = r->texts.data;
    r->eos = r->bos + strlen(r->bos) + 1;
    if (!o->chat_template && !o->plain)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "conversations need a chat template, and the model has none: name one "
                            "in the recipe, 'template: zephyr'");
    return status;
}

void ae_renderer_close(ae_renderer *r)
{
    ae_bytes_free(&r->texts);
}

static aerie_status add_plain(json_t *messages, ae_bytes *out, aerie_error *err)
{
    json_t *message;
    size_t i;
    json_array_foreach(messages, i, message)
    {
        json_t *content = json_object_get(message, "content");
        if (!json_is_string(content))
            return aerie_fail(err, AERIE_BAD_TEXT, "message %zu holds no plain text", i + 1);
        ae_bytes_add(out, json_string_value(content), json_string_length(content));
    }
    return ae_bytes_status(out, err);
}

aerie_status ae_renderer_add(ae_renderer *r, json_t *messages, bool opens_reply, ae_bytes *out,
                             aerie_error *err)
{
    ae_template_input in = { .messages = messages,
                             .tools = r->example->tools,
                             .bos_token = r->bos,
                             .eos_token = r->eos,
                             .add_generation_prompt = opens_reply };
    if (r->options->plain) return add_plain(messages, out, err);
    return ae_template_render(r->options->chat_template, &in, out, err);
}

json_t *ae_renderer_messages(const ae_renderer *r)
{
    json_t *messages = json_copy(r->example->messages);
    const char *first = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    bool has_system = first && strcmp(first, "system") == 0;
    if (!messages || has_system || !r->options->empty_system) return messages;
    json_t *empty = json_pack("{s:s, s:s}", "role", "system", "content", "");
    if (!empty || json_array_insert_new(messages, 0, empty)) {
        json_decref(messages);
        return NULL;
    }
    return messages;
}

aerie_status ae_renderer_boundary(ae_renderer *r, json_t *before, bool opens_reply, ae_span whole,
                                  size_t *at, aerie_error *err)
{
    ae_bytes start = { 0 };
    aerie_status status = ae_renderer_add(r, before, opens_reply, &start, err);
    if (status) goto done;
    if (start.len > whole.len || (start.len && memcmp(start.data, whole.data, start.len) != 0))
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "the chat template writes a conversation otherwise once the reply is "
                            "there, so the reply's place is unknown; use 'train_on: all'%s or "
                            "another template",
                            opens_reply ? ", 'train_header: true'" : "");
    *at = start.len;
done:
    ae_bytes_free(&start);
    return status;
}

/* condition.c -- C-RLFT (Wang et al., 2309.11235): what class a conversation is of decides what its
 * prompts say and what its replies weigh. OpenChat's way tokenizes a conversation in pieces: every
 * role's header, text and end of turn by themselves, texts with special tokens disabled
 * (github.com/imoneoi/openchat, ochat/config). */
#include "data/encode.h"
#include "tensor/tensor.h"

#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
}

static aerie_status unknown_class(const ae_conditions *c, const char *name, aerie_error *err)
{
    const char *names[64];
    const char *near;
    size_t n = c->n_classes < AE_COUNT(names) ? c->n_classes : AE_COUNT(names);
    for (size_t i = 0; i < n; i++) names[i] = c->classes[i].name;
    near = ae_nearest(name, names, n);
    return aerie_fail(err, AERIE_BAD_FILE,
                      "the condition '%.60s' is none of the recipe's classes%s%s%s; add it to "
                      "'class_weights'",
                      name, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

aerie_status ae_class_of(ae_class *out, const ae_example *e, const ae_conditions *c,
                         aerie_error *err)
{
    if (!e->condition)
        return aerie_fail(err, AERIE_BAD_FILE,
                          "no 'condition', the class of the conversation, which 'method: crlft' "
                          "wants; if another column says it, map it in the recipe, 'columns: "
                          "{condition: theirs}'");
    *out = (ae_class){ .name = e->condition, .prefix = e->condition, .weight = 1 };
    for (size_t i = 0; i < c->n_classes; i++)
        if (strcmp(c->classes[i].name, e->condition) == 0) {
            *out = c->classes[i];
            return AERIE_OK;
        }
    return c->n_classes > 0 ? unknown_class(c, e->condition, err) : AERIE_OK;
}

float ae_condition_weight(const ae_conditions *c, const ae_class *k, float weight, int64_t n)
{
    float w = weight * k->weight;
    if (c->by_message && n > 0) w /= (float)n;
    return c->bfloat16 ? ae_bf16_to_f32(ae_f32_to_bf16(w)) : w;
}

/* ---- the class as the system's first words ---- */

aerie_status ae_condition_system(json_t *messages, const ae_class *k, aerie_error *err)
{
    json_t *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    bool has_system = role && strcmp(role, "system") == 0;
    const char *said = has_system ? json_string_value(json_object_get(first, "content")) : "";
    json_t *message =
        json_pack("{s:s, s:o}", "role", "system", "content",
                  json_sprintf("%s%s%s", k->prefix, said && *said ? "\n" : "", said ? said : ""));
    int failed = !message || (has_system ? json_array_set_new(messages, 0, message)
                                         : json_array_insert_new(messages, 0, message));
    return failed ? no_memory(err) : AERIE_OK;
}

/* ---- OpenChat's pieces ---- */

typedef struct {
    ae_piece *items;
    size_t n;
    const ae_conditions *conditions;
    ae_class of;
    ae_arena *arena;
} piece_list;

static void add(piece_list *l, ae_span text, float weight, bool special)
{
    l->items[l->n++] = (ae_piece){ .text = text, .weight = weight, .special = special };
}

static aerie_status role_header(ae_span *out, const piece_list *l, const char *role,
                                aerie_error *err)
{
    bool user = strcmp(role, "user") == 0;
    size_t room = strlen(l->of.prefix) + sizeof " Assistant:";
    char *text;
    if (!user && strcmp(role, "assistant") != 0)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "OpenChat's conversations are of users and assistants, this has a '%.40s'; "
            "use 'class_prompt: system', or remove this row",
            role);
    text = ae_arena_take(l->arena, room, 1);
    if (!text) return no_memory(err);
    snprintf(text, room, "%s %s:", l->of.prefix, user ? "User" : "Assistant");
    *out = ae_span_text(text);
    return AERIE_OK;
}

static float message_weight(json_t *message, bool reply)
{
    json_t *weight = json_object_get(message, "weight");
    return json_is_number(weight) ? (float)json_number_value(weight) : reply ? 1.0f : 0.0f;
}

static aerie_status add_message(piece_list *l, size_t i, json_t *message, aerie_error *err)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    json_t *content = json_object_get(message, "content");
    ae_span text = { json_string_value(content), json_string_length(content) };
    ae_span end = ae_span_text(l->conditions->end_of_turn), header;
    float weight = message_weight(message, role && strcmp(role, "assistant") == 0) * l->of.weight;
    aerie_status status;
    if (!role || !json_is_string(content))
        return aerie_fail(err, AERIE_BAD_FILE, "message %zu holds no plain text", i + 1);
    if (i == 0 && strcmp(role, "system") == 0) {
        if (text.len == 0) return AERIE_OK;
        add(l, text, 0, false);
        add(l, end, 0, true);
        return AERIE_OK;
    }
    status = role_header(&header, l, role, err);
    if (status) return status;
    add(l, header, 0, true);
    add(l, text, weight, false);
    add(l, end, weight, true);
    return AERIE_OK;
}

aerie_status ae_condition_pieces(ae_piece **out, size_t *n, const ae_example *e,
                                 const ae_conditions *c, ae_arena *arena, aerie_error *err)
{
    size_t count = json_array_size(e->messages), i;
    piece_list l = { .conditions = c, .arena = arena };
    aerie_status status = ae_class_of(&l.of, e, c, err);
    json_t *message;
    l.items = ae_arena_take(arena, 3 * count, sizeof *l.items);
    if (!status && !l.items) status = no_memory(err);
    if (status) return status;
    json_array_foreach(e->messages, i, message)
    {
        status = add_message(&l, i, message, err);
        if (status) return status;
    }
    *out = l.items;
    *n = l.n;
    return AERIE_OK;
}

/* The end of a turn must be a token of its own, or no reply would ever end. */
static aerie_status check_end(const ae_ids *ids, size_t before, const ae_conditions *c,
                              aerie_error *err)
{
    if (ids->len - before == 1) return AERIE_OK;
    return aerie_fail(
        err, AERIE_BAD_ARGUMENT,
        "'end_of_turn: %.60s' is %zu tokens in this vocabulary; name a token that ends "
        "a turn in it, or use 'class_prompt: system'",
        c->end_of_turn, ids->len - before);
}

/* Tokens of every piece, one after the other; ends[k]: where piece k ends. */
static aerie_status encode_pieces(ae_ids *ids, size_t *ends, const ae_piece *pieces, size_t n,
                                  const ae_encode_options *o, aerie_error *err)
{
    const ae_vocab *v = ae_tokenizer_vocab(o->tokenizer);
    aerie_status status = AERIE_OK;
    if (!o->no_bos && v->bos >= 0) ae_ids_add(ids, v->bos);
    for (size_t k = 0; k < n && !status; k++) {
        size_t before = ids->len;
        unsigned flags = pieces[k].special ? AE_ENCODE_SPECIAL : 0;
        status = ae_tokenizer_encode(o->tokenizer, pieces[k].text, flags, ids, NULL, err);
        if (!status && pieces[k].text.data == o->conditions->end_of_turn)
            status = check_end(ids, before, o->conditions, err);
        ends[k] = ids->len;
    }
    return status ? status : ae_ids_status(ids, err);
}

/* A text and the end of its turn weigh the same; both count where a message's tokens are counted.
 */
static void weigh_pieces(ae_sample *out, const ae_piece *pieces, const size_t *ends, size_t n,
                         const ae_conditions *c)
{
    const ae_class as_they_are = { .weight = 1 };
    for (size_t k = 1; k < n; k++) {
        bool ends_turn = pieces[k].weight != 0 && pieces[k].text.data == c->end_of_turn;
        size_t begin, length;
        if (!ends_turn) continue;
        begin = k >= 2 ? ends[k - 2] : 0;
        length = ends[k] - begin;
        for (size_t i = begin; i < ends[k]; i++)
            out->weight[i] =
                ae_condition_weight(c, &as_they_are, pieces[k].weight, (int64_t)length);
    }
}

aerie_status ae_encode_conditioned(ae_sample *out, const ae_example *e, const ae_encode_options *o,
                                   ae_arena *arena, aerie_error *err)
{
    ae_piece *pieces = NULL;
    size_t *ends = NULL;
    ae_ids ids = { 0 };
    size_t n = 0;
    aerie_status status = ae_condition_pieces(&pieces, &n, e, o->conditions, arena, err);
    if (status) return status;
    ends = ae_arena_take(arena, n, sizeof *ends);
    if (!ends) return no_memory(err);
    status = encode_pieces(&ids, ends, pieces, n, o, err);
    if (!status) status = ae_sample_new(out, AE_EXAMPLE_CHAT, (int64_t)ids.len, arena, err);
    if (!status) {
        if (ids.len > 0) memcpy(out->ids, ids.data, ids.len * sizeof *out->ids);
        weigh_pieces(out, pieces, ends, n, o->conditions);
        ae_sample_cut(out, o->max_length);
    }
    ae_ids_free(&ids);
    return status;
}

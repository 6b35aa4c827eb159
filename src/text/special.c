/* special.c -- a trie of the tokens that are recognised as they are written. */
#include "text/special.h"

#include "text/charclass.h"

static bool is_special(const ae_vocab_token *token)
{
    return token->text.len > 0 &&
           (token->type == AE_TOKEN_CONTROL || token->type == AE_TOKEN_UNKNOWN ||
            token->type == AE_TOKEN_USER_DEFINED);
}

static void insert(ae_special *s, int32_t id)
{
    ae_span text = s->tokens[id].text;
    int32_t node = 0;

    s->first[(uint8_t)text.data[0]] = true;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t key = ae_pair_key(node, (uint8_t)text.data[i]);
        const ae_number_entry *edge = ae_number_table_find(&s->edges, key);

        if (edge) {
            node = edge->id;
            continue;
        }
        ae_number_table_add(&s->edges, key, 0, s->n_nodes);
        s->token[s->n_nodes] = -1;
        node = s->n_nodes++;
    }
    if (s->token[node] < 0) s->token[node] = id;
}

aerie_status ae_special_new(ae_special *s, ae_arena *arena, const ae_vocab_token *tokens,
                            int32_t n_tokens, aerie_error *err)
{
    size_t bytes = 0;
    aerie_status status;

    *s = (ae_special){ .tokens = tokens };
    for (int32_t i = 0; i < n_tokens; i++)
        if (is_special(&tokens[i])) bytes += tokens[i].text.len;
    if (bytes == 0) return AERIE_OK;
    if (bytes >= INT32_MAX)
        return aerie_fail(err, AERIE_BAD_FILE, "the special tokens have %zu bytes in all", bytes);
    status = ae_number_table_new(&s->edges, arena, bytes, err);
    if (status) return status;
    s->token = ae_arena_take_raw(arena, bytes + 1, sizeof *s->token);
    if (!s->token) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory for special tokens");
    s->token[0] = -1;
    s->n_nodes = 1;
    for (int32_t i = 0; i < n_tokens; i++)
        if (is_special(&tokens[i])) insert(s, i);
    return AERIE_OK;
}

/* The code point that ends just before `at`; -1: none. */
static int32_t code_before(ae_span text, size_t at)
{
    size_t begin = at;

    if (at == 0) return -1;
    do begin--;
    while (begin > 0 && at - begin < 4 && ((uint8_t)text.data[begin] & 0xc0) == 0x80);
    return ae_utf8_next((ae_span){ text.data, at }, &begin);
}

static bool inside_word(ae_span text, size_t begin, size_t end)
{
    size_t after = end;

    if (begin > 0 && ae_char_is_word(code_before(text, begin))) return true;
    return end < text.len && ae_char_is_word(ae_utf8_next(text, &after));
}

/* The longest token that begins at `at`; -1: none. */
static int32_t longest_at(const ae_special *s, ae_span text, size_t at, bool control, size_t *end)
{
    int32_t node = 0, found = -1;

    for (size_t i = at; i < text.len; i++) {
        const ae_number_entry *edge =
            ae_number_table_find(&s->edges, ae_pair_key(node, (uint8_t)text.data[i]));
        int32_t id;

        if (!edge) break;
        node = edge->id;
        id = s->token[node];
        if (id < 0 || (!control && s->tokens[id].type != AE_TOKEN_USER_DEFINED)) continue;
        if (s->tokens[id].single_word && inside_word(text, at, i + 1)) continue;
        found = id;
        *end = i + 1;
    }
    return found;
}

/* Widens a match over the white space before it, not past `from`, and after it. */
static void take_spaces(const ae_vocab_token *token, ae_span text, size_t from,
                        ae_special_match *match)
{
    size_t next;

    if (token->lstrip) {
        while (match->begin > from &&
               ae_char_is_space(ae_char_class_of(code_before(text, match->begin)))) {
            do match->begin--;
            while (match->begin > from && ((uint8_t)text.data[match->begin] & 0xc0) == 0x80);
        }
    }
    if (token->rstrip) {
        while (match->end < text.len && ae_char_is_space(ae_char_next(text, match->end, &next)))
            match->end = next;
    }
}

bool ae_special_find(const ae_special *s, ae_span text, size_t at, bool control,
                     ae_special_match *match)
{
    if (s->n_nodes == 0) return false;
    for (size_t i = at; i < text.len; i++) {
        if (!s->first[(uint8_t)text.data[i]]) continue;
        match->id = longest_at(s, text, i, control, &match->end);
        if (match->id < 0) continue;
        match->begin = i;
        take_spaces(&s->tokens[match->id], text, at, match);
        return true;
    }
    return false;
}

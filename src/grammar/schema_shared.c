/* schema_shared.c -- rules that all schemas share: white space, any value, any string. */
#include "grammar/schema.h"

static void add(ae_schema *s, int32_t rule, ae_ids *row)
{
    ae_rules_add(&s->rules, rule, row, 0);
}

static void text(ae_schema *s, ae_ids *row, const char *t)
{
    ae_rules_text(&s->rules, row, ae_span_text(t));
}

/* Nothing, a blank, or a new line with its indentation: what writers of JSON put there. Without a
 * bound a model could go on with blanks for ever. */
int32_t ae_schema_space(ae_schema *s)
{
    static const uint32_t blank[2][2] = { { ' ', ' ' }, { '\t', '\t' } };
    ae_ids row = { 0 };
    if (s->space >= 0) return s->space;
    s->space = ae_rules_new(&s->rules);
    add(s, s->space, &row);
    text(s, &row, " ");
    add(s, s->space, &row);
    text(s, &row, "\n");
    ae_rules_class(&s->rules, &row, blank, 2, false);
    ae_rules_repeat(&s->rules, &row, 1, 0, 32);
    add(s, s->space, &row);
    ae_ids_free(&row);
    return s->space;
}

static void escape(ae_schema *s, int32_t rule)
{
    static const uint32_t hex[3][2] = { { '0', '9' }, { 'a', 'f' }, { 'A', 'F' } },
                          one[8][2] = { { '"', '"' }, { '\\', '\\' }, { '/', '/' }, { 'b', 'b' },
                                        { 'f', 'f' }, { 'n', 'n' },   { 'r', 'r' }, { 't', 't' } },
                          /* \uD8.. to \uDF.. are halves of characters: only in pairs */
        not_d[4][2] = { { '0', '9' }, { 'a', 'c' }, { 'A', 'C' }, { 'e', 'f' } };
    static const uint32_t upper[1][2] = { { 'E', 'F' } }, low[1][2] = { { '0', '7' } };
    ae_ids row = { 0 };
    text(s, &row, "\\");
    ae_rules_class(&s->rules, &row, one, 8, false);
    add(s, rule, &row);
    for (int kind = 0; kind < 3; kind++) {
        text(s, &row, "\\u");
        if (kind == 0) ae_rules_class(&s->rules, &row, not_d, 4, false);
        if (kind == 1) ae_rules_class(&s->rules, &row, upper, 1, false);
        if (kind == 2) {
            static const uint32_t d[2][2] = { { 'd', 'd' }, { 'D', 'D' } };
            ae_rules_class(&s->rules, &row, d, 2, false);
            ae_rules_class(&s->rules, &row, low, 1, false);
        }
        size_t from = row.len;
        ae_rules_class(&s->rules, &row, hex, 3, false);
        int64_t n = kind == 2 ? 2 : 3;
        ae_rules_repeat(&s->rules, &row, from, n, n);
        add(s, rule, &row);
    }
    ae_ids_free(&row);
}

int32_t ae_schema_character(ae_schema *s)
{
    static const uint32_t not_plain[3][2] = { { 0, 0x1F }, { '"', '"' }, { '\\', '\\' } };
    ae_ids row = { 0 };
    if (s->character >= 0) return s->character;
    s->character = ae_rules_new(&s->rules);
    ae_rules_class(&s->rules, &row, not_plain, 3, true);
    add(s, s->character, &row);
    escape(s, s->character);
    ae_ids_free(&row);
    return s->character;
}

int32_t ae_schema_string(ae_schema *s)
{
    ae_ids row = { 0 };
    if (s->string >= 0) return s->string;
    s->string = ae_rules_new(&s->rules);
    text(s, &row, "\"");
    ae_rules_call(&row, ae_schema_character(s));
    ae_rules_repeat(&s->rules, &row, 1, 0, -1);
    text(s, &row, "\"");
    add(s, s->string, &row);
    ae_ids_free(&row);
    return s->string;
}

/* "[" (item ("," item)*)? "]" of a rule for what is between commas. */
static void list(ae_schema *s, int32_t rule, const char *open, int32_t item, const char *close)
{
    ae_ids row = { 0 };
    text(s, &row, open);
    ae_rules_call(&row, ae_schema_space(s));
    text(s, &row, close);
    add(s, rule, &row);
    text(s, &row, open);
    ae_rules_call(&row, ae_schema_space(s));
    ae_rules_call(&row, item);
    size_t from = row.len;
    text(s, &row, ",");
    ae_rules_call(&row, ae_schema_space(s));
    ae_rules_call(&row, item);
    ae_rules_repeat(&s->rules, &row, from, 0, -1);
    ae_rules_call(&row, ae_schema_space(s));
    text(s, &row, close);
    add(s, rule, &row);
    ae_ids_free(&row);
}

static void any_object(ae_schema *s, int32_t rule)
{
    int32_t pair = ae_rules_new(&s->rules);
    ae_ids row = { 0 };
    ae_rules_call(&row, ae_schema_string(s));
    ae_rules_call(&row, ae_schema_space(s));
    text(s, &row, ":");
    ae_rules_call(&row, ae_schema_space(s));
    ae_rules_call(&row, s->value);
    add(s, pair, &row);
    ae_ids_free(&row);
    list(s, rule, "{", pair, "}");
}

int32_t ae_schema_value(ae_schema *s)
{
    static const char *const words[] = { "true", "false", "null" };
    static const json_t *const nothing = NULL;
    ae_ids row = { 0 };
    if (s->value >= 0) return s->value;
    s->value = ae_rules_new(&s->rules);
    for (size_t i = 0; i < AE_COUNT(words); i++) {
        text(s, &row, words[i]);
        add(s, s->value, &row);
    }
    ae_rules_call(&row, ae_schema_string(s));
    add(s, s->value, &row);
    ae_schema_number(s, s->value, nothing, false);
    list(s, s->value, "[", s->value, "]");
    any_object(s, s->value);
    ae_ids_free(&row);
    return s->value;
}

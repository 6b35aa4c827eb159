/* items.c -- prompts from files: who is asked what, and what a reply is held to. */
#include "compare/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *row, const char *const *keys)
{
    for (; *keys; keys++) {
        const char *text = json_string_value(json_object_get(row, *keys));
        if (text) return text;
    }
    return NULL;
}

static json_t *said(const char *role, const char *text)
{
    return json_pack("{s:s, s:s}", "role", role, "content", text);
}

static bool is_message(const json_t *m)
{
    return json_is_string(json_object_get(m, "role")) &&
           (json_is_string(json_object_get(m, "content")) ||
            json_is_array(json_object_get(m, "content")));
}

/* An instruction with an input, as Alpaca's data has them, is one text. */
static json_t *messages_of_texts(const json_t *row, bool *no_memory)
{
    static const char *const prompts[] = { "prompt", "instruction", "question", NULL };
    const char *prompt = text_of(row, prompts);
    const char *input = json_string_value(json_object_get(row, "input"));
    json_t *list = prompt ? json_array() : NULL;
    ae_bytes text = { 0 };

    if (!list) return NULL;
    ae_bytes_add_text(&text, prompt);
    if (input && *input) ae_bytes_printf(&text, "\n\n%s", input);
    *no_memory = text.failed;
    if (text.failed || json_array_append_new(list, said("user", text.data))) {
        json_decref(list);
        list = NULL;
    }
    ae_bytes_free(&text);
    return list;
}

/* A new list that ends with what is to be answered. */
static json_t *messages_of(const json_t *row, bool *no_memory)
{
    const char *system = json_string_value(json_object_get(row, "system"));
    json_t *given = json_object_get(row, "messages"), *list, *one;
    size_t i;

    if (!json_is_array(given)) given = json_object_get(row, "prompt");
    list = json_is_array(given) ? json_copy(given) : messages_of_texts(row, no_memory);
    json_array_foreach(list, i, one) if (!is_message(one))
    {
        json_decref(list);
        return NULL;
    }
    if (list && system && *system) json_array_insert_new(list, 0, said("system", system));
    return list;
}

static bool ends_with_assistant(const json_t *messages)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));

    return role && !strcmp(role, "assistant");
}

/* NULL: there is none; or *no_memory. */
static char *expected_of(const json_t *row, const json_t *messages, bool *no_memory)
{
    static const char *const keys[] = { "expected", "reference", "answer", "output", NULL };
    const json_t *number = json_object_get(row, "expected");
    const char *text = text_of(row, keys);
    char out[64];

    if (!text && json_is_number(number)) {
        snprintf(out, sizeof out, "%.17g", json_number_value(number));
        text = out;
    }
    if (!text && ends_with_assistant(messages))
        text = json_string_value(
            json_object_get(json_array_get(messages, json_array_size(messages) - 1), "content"));
    char *copy = text ? ae_strdup(text) : NULL;
    *no_memory = text && !copy;
    return copy;
}

/* ---- checks ---- */

static aerie_status open_check(ae_compare_items *items, const json_t *spec, size_t *at,
                               aerie_error *err)
{
    ae_check *check = NULL;
    aerie_status status = ae_check_open(&check, spec, err);

    if (status) return status;
    for (*at = 0; *at < items->n_checks; ++*at)
        if (!strcmp(ae_check_source(items->checks[*at]), ae_check_source(check))) {
            ae_check_close(check);
            return AERIE_OK;
        }
    if (items->n_checks == items->cap_checks) {
        size_t cap = items->cap_checks ? 2 * items->cap_checks : 16;
        ae_check **grown = ae_realloc(items->checks, items->cap_checks, cap, sizeof(ae_check *));
        if (!grown) {
            ae_check_close(check);
            return aerie_fail(err, AERIE_NO_MEMORY, "no memory for checks");
        }
        items->checks = grown;
        items->cap_checks = cap;
    }
    items->checks[items->n_checks++] = check;
    return AERIE_OK;
}

static aerie_status add_checks(ae_compare_items *items, ae_compare_item *item, json_t *list,
                               aerie_error *err)
{
    json_t *one;
    size_t i, at = 0;

    if (list && !json_is_array(list))
        return aerie_fail(err, AERIE_BAD_TEXT, "'checks' is a list of checks");
    json_array_foreach(list, i, one)
    {
        aerie_status status = open_check(items, one, &at, err);
        if (status) return status;
        if (ae_check_wants_expected(items->checks[at]) && !item->expected)
            return aerie_fail(err, AERIE_BAD_TEXT,
                              "the check '%s' compares with what is expected, and there is no "
                              "'expected'",
                              ae_check_name(items->checks[at]));
        if (item->n_checks == AE_COMPARE_CHECKS)
            return aerie_fail(err, AERIE_BAD_TEXT, "a prompt has at most %d checks",
                              AE_COMPARE_CHECKS);
        item->checks[item->n_checks++] = at;
    }
    return AERIE_OK;
}

/* ---- rows ---- */

static void free_item(ae_compare_item *item)
{
    ae_free(item->id);
    json_decref(item->messages);
    ae_free(item->expected);
    json_decref(item->tags);
    json_decref(item->row);
}

static bool hash_messages(ae_compare_item *item)
{
    char *text = json_dumps(item->messages, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text) return false;
    snprintf(item->hash, sizeof item->hash, "%016llx",
             (unsigned long long)ae_hash64(text, strlen(text), 0));
    free(text);
    return true;
}

static aerie_status fill_item(ae_compare_items *items, ae_compare_item *item, json_t *row,
                              json_t *common_checks, aerie_error *err)
{
    json_t *id = json_object_get(row, "id");
    bool no_memory = false;
    char number[32];
    aerie_status status;

    item->messages = messages_of(row, &no_memory);
    if (no_memory) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    if (!json_array_size(item->messages))
        return aerie_fail(err, AERIE_BAD_TEXT,
                          "there is no prompt in it: 'messages', or 'prompt', 'instruction' or "
                          "'question' is wanted");
    item->expected = expected_of(row, item->messages, &no_memory);
    if (no_memory) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    if (ends_with_assistant(item->messages))
        json_array_remove(item->messages, json_array_size(item->messages) - 1);
    snprintf(number, sizeof number, "%lld",
             json_is_integer(id) ? (long long)json_integer_value(id) : (long long)items->n + 1);
    item->id = ae_strdup(json_is_string(id) ? json_string_value(id) : number);
    item->tags = json_incref(json_object_get(row, "tags"));
    item->row = json_incref(row);
    if (!item->id || !hash_messages(item))
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    status = add_checks(items, item, json_object_get(row, "checks"), err);
    return status ? status : add_checks(items, item, common_checks, err);
}

static aerie_status add_row(ae_compare_items *items, json_t *row, json_t *common_checks,
                            aerie_error *err)
{
    ae_compare_item *item;
    aerie_status status;

    if (items->n == items->cap) {
        size_t cap = items->cap ? 2 * items->cap : 64;
        ae_compare_item *grown = ae_realloc(items->items, items->cap, cap, sizeof *grown);
        if (!grown) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu prompts", cap);
        items->items = grown;
        items->cap = cap;
    }
    item = &items->items[items->n];
    status = fill_item(items, item, row, common_checks, err);
    if (status) {
        free_item(item);
        *item = (ae_compare_item){ 0 };
        return status;
    }
    items->n++;
    return AERIE_OK;
}

static aerie_status read_array(ae_compare_items *items, const json_t *list, json_t *common_checks,
                               int64_t limit, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    json_t *row;
    size_t i;

    json_array_foreach(list, i, row)
    {
        if (limit > 0 && items->n >= (size_t)limit) break;
        status = add_row(items, row, common_checks, err);
        if (!status) continue;
        aerie_error_prefix(err, "row %zu", i + 1);
        break;
    }
    return status;
}

static aerie_status read_lines(ae_compare_items *items, const ae_bytes *text, json_t *common_checks,
                               int64_t limit, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    size_t at = 0, line = 0;

    while (!status && at < text->len && !(limit > 0 && items->n >= (size_t)limit)) {
        const char *begin = text->data + at, *end = memchr(begin, '\n', text->len - at);
        size_t len = end ? (size_t)(end - begin) : text->len - at;
        json_error_t why;
        at += len + 1;
        line++;
        if (strspn(begin, " \t\r\n") >= len) continue;
        json_t *row = json_loadb(begin, len, 0, &why);
        status = row ? add_row(items, row, common_checks, err)
                     : aerie_fail(err, AERIE_BAD_FILE,
                                  "no JSON (%s); prompts are lines of JSON, or one list of it",
                                  why.text);
        if (status) aerie_error_prefix(err, "line %zu", line);
        json_decref(row);
    }
    return status;
}

aerie_status ae_compare_items_read(ae_compare_items *items, const char *path, json_t *common_checks,
                                   int64_t limit, aerie_error *err)
{
    ae_bytes text = { 0 };
    size_t had = items->n;
    aerie_status status = ae_file_read(&text, path, (size_t)1 << 30, err);

    if (status) goto done;
    size_t blank = text.data ? strspn(text.data, " \t\r\n") : 0;
    if (text.len > blank && text.data[blank] == '[') {
        json_error_t why;
        json_t *list = json_loadb(text.data, text.len, 0, &why);
        status = list ? read_array(items, list, common_checks, limit, err)
                      : aerie_fail(err, AERIE_BAD_FILE, "line %d: no JSON: %s", why.line, why.text);
        json_decref(list);
    } else {
        status = read_lines(items, &text, common_checks, limit, err);
    }
    if (!status && items->n == had && !(limit > 0 && had >= (size_t)limit))
        status = aerie_fail(err, AERIE_BAD_FILE, "there are no prompts in it");
    if (status) aerie_error_prefix(err, "%s", path);
done:
    ae_bytes_free(&text);
    return status;
}

void ae_compare_items_free(ae_compare_items *items)
{
    for (size_t i = 0; i < items->n; i++) free_item(&items->items[i]);
    for (size_t i = 0; i < items->n_checks; i++) ae_check_close(items->checks[i]);
    ae_free(items->items);
    ae_free(items->checks);
    *items = (ae_compare_items){ 0 };
}

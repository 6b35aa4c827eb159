/* tokenizer_compare.c -- a tokenizer against recorded ids. */
#include "text/tokenizer_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 5 };

static bool same_ids(const ae_ids *ids, const json_t *expected)
{
    if (ids->len != json_array_size(expected)) return false;
    for (size_t i = 0; i < ids->len; i++)
        if (json_integer_value(json_array_get(expected, i)) != ids->data[i]) return false;
    return true;
}

static void show(ae_span text, const ae_ids *ids, const json_t *expected)
{
    printf("differs: %.*s\n  ours:    ", (int)(text.len < 200 ? text.len : 200), text.data);
    for (size_t i = 0; i < ids->len && i < 60; i++) printf(" %d", ids->data[i]);
    printf("\n  expected:");
    for (size_t i = 0; i < json_array_size(expected) && i < 60; i++)
        printf(" %d", (int)json_integer_value(json_array_get(expected, i)));
    printf("\n");
}

/* Encodes with offsets too, which must not change the ids, and decodes. */
static bool line_agrees(const comparing *c, const json_t *line, ae_span text,
                        const json_t *expected, bool quiet)
{
    const json_t *decoded = c->text_key ? json_object_get(line, c->text_key) : NULL;
    ae_ids ids = { 0 }, again = { 0 }, offsets = { 0 };
    ae_bytes back = { 0 };
    bool good = !ae_tokenizer_encode(c->tokenizer, text, c->flags, &ids, NULL, NULL) &&
                !ae_tokenizer_encode(c->tokenizer, text, c->flags, &again, &offsets, NULL) &&
                offsets.len == again.len && ids.len == again.len &&
                (ids.len == 0 || memcmp(ids.data, again.data, ids.len * sizeof *ids.data) == 0);

    good = good && same_ids(&ids, expected);
    if (!good && !quiet) show(text, &ids, expected);
    if (good && decoded) {
        good = !ae_tokenizer_decode(c->tokenizer, ids.data, ids.len, false, &back, NULL) &&
               ae_span_equal(ae_span_of(&back),
                             (ae_span){ json_string_value(decoded), json_string_length(decoded) });
        if (!good && !quiet)
            printf("decodes to: %.200s\n  expected: %.200s\n", back.data ? back.data : "",
                   json_string_value(decoded));
    }
    ae_ids_free(&ids);
    ae_ids_free(&again);
    ae_ids_free(&offsets);
    ae_bytes_free(&back);
    return good;
}

static void compare_line(const comparing *c, ae_span line, compared *result)
{
    json_t *parsed = json_loadb(line.data, line.len, JSON_ALLOW_NUL, NULL);
    const json_t *text = json_object_get(parsed, "text");
    const json_t *only = c->only_key ? json_object_get(parsed, c->only_key) : NULL;

    if (only && strcmp(json_string_value(only), c->only_value) != 0) {
        json_decref(parsed);
        return;
    }
    result->lines++;
    if (!json_is_string(text) ||
        !line_agrees(c, parsed, (ae_span){ json_string_value(text), json_string_length(text) },
                     json_object_get(parsed, c->ids_key), result->wrong >= SHOWN))
        result->wrong++;
    json_decref(parsed);
}

compared compare_file(const comparing *c, const char *path)
{
    compared result = { 0 };
    ae_bytes all = { 0 };
    aerie_error err = { 0 };

    if (ae_file_read(&all, path, 0, &err)) {
        printf("%s\n", err.message);
        return (compared){ 1, 1 };
    }
    for (size_t at = 0; at < all.len;) {
        const char *end = memchr(all.data + at, '\n', all.len - at);
        size_t len = end ? (size_t)(end - all.data) - at : all.len - at;

        if (len > 0) compare_line(c, (ae_span){ all.data + at, len }, &result);
        at += len + 1;
    }
    ae_bytes_free(&all);
    printf("%s: %zu of %zu agree\n", path, result.lines - result.wrong, result.lines);
    return result;
}

/* "1 2 3" -> [1, 2, 3] */
static json_t *numbers(const char *line, size_t len)
{
    json_t *ids = json_array();
    const char *at = line;

    while (at < line + len) {
        char *end;
        long id = strtol(at, &end, 10);

        if (end == at || end > line + len) break;
        json_array_append_new(ids, json_integer(id));
        at = end;
    }
    return ids;
}

compared compare_ggml(ae_tokenizer *t, const char *texts_path, const char *ids_path)
{
    static const char between[] = "\n__ggml_vocab_test__\n";
    comparing c = { .tokenizer = t, .flags = AE_ENCODE_SPECIAL };
    compared result = { 0 };
    ae_bytes texts = { 0 }, lists = { 0 };
    char *text, *list;

    if (ae_file_read(&texts, texts_path, 0, NULL) || ae_file_read(&lists, ids_path, 0, NULL))
        result = (compared){ 1, 1 };
    for (text = texts.data, list = lists.data; text && list && *list;) {
        char *text_end = strstr(text, between), *list_end = strchr(list, '\n');
        size_t text_len = text_end ? (size_t)(text_end - text) : strlen(text);
        size_t list_len = list_end ? (size_t)(list_end - list) : strlen(list);
        json_t *ids = numbers(list, list_len);

        result.lines++;
        result.wrong += !line_agrees(&c, NULL, (ae_span){ text, text_len }, ids, false);
        json_decref(ids);
        text = text_end ? text_end + sizeof between - 1 : NULL;
        list = list_end ? list_end + 1 : NULL;
    }
    ae_bytes_free(&texts);
    ae_bytes_free(&lists);
    printf("%s: %zu of %zu agree\n", ids_path, result.lines - result.wrong, result.lines);
    return result;
}

char *shared_path(const char *name)
{
    const char *folder = getenv("AERIE_SHARED");
    char *path = ae_path_join(folder ? folder : "../shared", name);

    if (path && ae_file_exists(path)) return path;
    printf("skipped: %s is not here\n", path ? path : name);
    ae_free(path);
    return NULL;
}

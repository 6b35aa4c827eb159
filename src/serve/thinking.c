/* thinking.c -- tells thoughts from what is said, and asks templates for them or for none. */
#include "serve/thinking.h"

#include <stdlib.h>
#include <string.h>

/* ---- what requests say */

aerie_status ae_thinking_of_ollama(ae_thinking *out, const json_t *request, aerie_error *err)
{
    static const char *const levels[] = { "low", "medium", "high", "max" };
    const json_t *think = json_object_get(request, "think");
    const char *level = json_string_value(think);
    *out = (ae_thinking){ 0 };
    if (!think || json_is_null(think)) return AERIE_OK;
    if (json_is_boolean(think)) {
        out->wish = json_is_true(think) ? AE_THINK_YES : AE_THINK_NO;
        return AERIE_OK;
    }
    for (size_t i = 0; level && i < AE_COUNT(levels); i++)
        if (!strcmp(level, levels[i])) {
            *out = (ae_thinking){ .wish = AE_THINK_YES, .level = level };
            return AERIE_OK;
        }
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "invalid think value: must be true, false, \"low\", \"medium\", \"high\" or "
                      "\"max\"");
}

aerie_status ae_thinking_of_openai(ae_thinking *out, const json_t *request, aerie_error *err)
{
    const json_t *effort = json_object_get(request, "reasoning_effort"),
                 *own = json_object_get(request, "chat_template_kwargs");
    const char *level = json_string_value(effort);
    *out = (ae_thinking){ 0 };
    if (effort && !json_is_null(effort) && !level)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "reasoning_effort must be a text");
    if (own && !json_is_null(own) && !json_is_object(own))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "chat_template_kwargs must be an object");
    if (level) {
        out->wish = strcmp(level, "none") != 0 ? AE_THINK_YES : AE_THINK_NO;
        out->level = out->wish == AE_THINK_YES ? level : NULL;
    }
    out->own = json_is_object(own) ? own : NULL;
    if (json_is_false(json_object_get(own, "enable_thinking"))) out->wish = AE_THINK_NO;
    return AERIE_OK;
}

char *ae_thinking_vars(const ae_thinking *thinking)
{
    json_t *vars = json_object();
    if (thinking->wish != AE_THINK_UNSAID) {
        bool yes = thinking->wish == AE_THINK_YES;
        json_object_set_new(vars, "enable_thinking", json_boolean(yes)); /* Qwen3 and most others */
        json_object_set_new(vars, "thinking", json_boolean(yes));        /* DeepSeek, Granite */
    }
    if (thinking->level) /* gpt-oss */
        json_object_set_new(vars, "reasoning_effort", json_string(thinking->level));
    if (thinking->own) json_object_update(vars, (json_t *)(uintptr_t)thinking->own);
    char *text = json_object_size(vars) ? json_dumps(vars, JSON_COMPACT) : NULL;
    json_decref(vars);
    return text;
}

/* ---- what models write */

static const struct {
    const char *open, *close;
} marks[] = { { "<think>", "</think>" }, { "[THINK]", "[/THINK]" } };

void ae_think_begin(ae_think_reader *r, bool within)
{
    *r = (ae_think_reader){ .state = within ? AE_THINKS : AE_BEGINS };
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t spaces(const ae_bytes *b)
{
    size_t n = 0;
    while (n < b->len && is_space(b->data[n])) n++;
    return n;
}

static void drop(ae_bytes *b, size_t n)
{
    if (n == 0) return;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

/* The first n held bytes go to `out`. */
static void pass(ae_think_reader *r, size_t n, ae_bytes *out)
{
    ae_bytes_add(out, r->held.data, n);
    drop(&r->held, n);
}

/* Where `word` stands in what is held, or may have begun to; held.len: nowhere. */
static size_t place_of(const ae_bytes *held, const char *word, bool *whole)
{
    size_t n = strlen(word);
    for (size_t at = 0; at < held->len; at++) {
        size_t left = held->len - at < n ? held->len - at : n;
        if (memcmp(held->data + at, word, left) != 0) continue;
        *whole = left == n;
        return at;
    }
    *whole = false;
    return held->len;
}

/* At the reply's beginning. True: go on. */
static bool begins(ae_think_reader *r)
{
    size_t before = spaces(&r->held), left = r->held.len - before;
    bool may = left == 0;
    for (size_t i = 0; i < AE_COUNT(marks) && left; i++) {
        size_t n = strlen(marks[i].open);
        if (memcmp(r->held.data + before, marks[i].open, left < n ? left : n) != 0) continue;
        may = true;
        if (left < n) continue;
        drop(&r->held, before + n);
        r->mark = i;
        r->state = AE_THINKS;
        return true;
    }
    if (!may) r->state = AE_SAYS;
    return !may;
}

/* In a thought. True: go on. */
static bool thinks(ae_think_reader *r, ae_bytes *thinking)
{
    bool whole;
    if (!r->thought) drop(&r->held, spaces(&r->held));
    size_t end = place_of(&r->held, marks[r->mark].close, &whole), n = end;
    while (n > 0 && is_space(r->held.data[n - 1])) n--;
    if (n > 0) r->thought = true;
    pass(r, n, thinking);
    if (!whole) return false;
    drop(&r->held, end - n + strlen(marks[r->mark].close));
    r->state = AE_HAS_THOUGHT;
    return true;
}

void ae_think_add(ae_think_reader *r, ae_span more, ae_bytes *thinking, ae_bytes *text)
{
    bool goes_on = true;
    ae_bytes_add(&r->held, more.data, more.len);
    while (goes_on && r->held.len) switch (r->state) {
        case AE_BEGINS:
            goes_on = begins(r);
            break;
        case AE_THINKS:
            goes_on = thinks(r, thinking);
            break;
        case AE_HAS_THOUGHT:
            drop(&r->held, spaces(&r->held));
            if (r->held.len) r->state = AE_SAYS;
            break;
        default:
            pass(r, r->held.len, text);
        }
}

void ae_think_end(ae_think_reader *r, ae_bytes *thinking, ae_bytes *text)
{
    size_t n = r->held.len;
    while (r->state == AE_THINKS && n > 0 && is_space(r->held.data[n - 1])) n--;
    if (n) pass(r, n, r->state == AE_THINKS ? thinking : text);
    ae_think_free(r);
}

void ae_think_free(ae_think_reader *r)
{
    ae_bytes_free(&r->held);
}

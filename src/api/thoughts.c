/* thoughts.c -- tells thoughts from what is said, and templates whether they are wanted. */
#include "aerie/thoughts.h"

#include "api/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- what templates are told */

static aerie_status add_own(json_t *vars, const char *own, aerie_error *err)
{
    json_t *more = own ? json_loads(own, 0, NULL) : NULL;
    bool fine = !own || (json_is_object(more) && !json_object_update(vars, more));
    json_decref(more);
    return fine ? AERIE_OK
                : aerie_fail(err, AERIE_BAD_ARGUMENT,
                             "the variables of a chat template must be a JSON object");
}

static void add_wish(json_t *vars, aerie_think wish, const char *level)
{
    if (wish != AERIE_THINK_UNSAID) {
        bool yes = wish == AERIE_THINK_YES;
        json_object_set_new(vars, "enable_thinking", json_boolean(yes)); /* Qwen3 and most others */
        json_object_set_new(vars, "thinking", json_boolean(yes));        /* DeepSeek, Granite */
    }
    if (level) json_object_set_new(vars, "reasoning_effort", json_string(level)); /* gpt-oss */
}

aerie_status aerie_think_vars(char **out, aerie_think wish, const char *level, const char *own,
                              aerie_error *err)
{
    json_t *vars = json_object();
    *out = NULL;
    add_wish(vars, wish, level);
    aerie_status status = add_own(vars, own, err);
    char *text = !status && json_object_size(vars) ? json_dumps(vars, JSON_COMPACT) : NULL;
    if (text && !(*out = ae_strdup(text)))
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for the template's variables");
    free(text);
    json_decref(vars);
    return status;
}

/* ---- what models write */

static const struct {
    const char *open, *close;
} marks[] = { { "<think>", "</think>" }, { "[THINK]", "[/THINK]" } };

struct aerie_thoughts {
    enum { BEGINS, THINKS, HAS_THOUGHT, SAYS } state;
    size_t mark;             /* which pair of marks */
    bool thought;            /* something, already */
    bool entered;            /* a thought, whatever came of it */
    ae_bytes held;           /* what may yet be a mark, or white space at a thought's end */
    ae_bytes thinking, said; /* of this call */
    int64_t n_tokens, n_thought;
};

aerie_status aerie_thoughts_open(aerie_thoughts **out, bool within, aerie_error *err)
{
    aerie_thoughts *t = *out = ae_alloc(1, sizeof *t);
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply");
    t->state = within ? THINKS : BEGINS;
    t->entered = within;
    return AERIE_OK;
}

void aerie_thoughts_close(aerie_thoughts *t)
{
    if (!t) return;
    ae_bytes_free(&t->held);
    ae_bytes_free(&t->thinking);
    ae_bytes_free(&t->said);
    ae_free(t);
}

int64_t aerie_thoughts_tokens(const aerie_thoughts *t)
{
    return t->n_thought;
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
static void pass(aerie_thoughts *r, size_t n, ae_bytes *out)
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
static bool begins(aerie_thoughts *r)
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
        r->state = THINKS;
        r->entered = true;
        return true;
    }
    if (!may) r->state = SAYS;
    return !may;
}

/* In a thought. True: go on. */
static bool thinks(aerie_thoughts *r)
{
    bool whole;
    if (!r->thought) drop(&r->held, spaces(&r->held));
    size_t end = place_of(&r->held, marks[r->mark].close, &whole), n = end;
    while (n > 0 && is_space(r->held.data[n - 1])) n--;
    if (n > 0) r->thought = true;
    pass(r, n, &r->thinking);
    if (!whole) return false;
    drop(&r->held, end - n + strlen(marks[r->mark].close));
    r->state = HAS_THOUGHT;
    return true;
}

static void sort(aerie_thoughts *r)
{
    bool goes_on = true;
    while (goes_on && r->held.len) switch (r->state) {
        case BEGINS:
            goes_on = begins(r);
            break;
        case THINKS:
            goes_on = thinks(r);
            break;
        case HAS_THOUGHT:
            drop(&r->held, spaces(&r->held));
            if (r->held.len) r->state = SAYS;
            break;
        case SAYS:
            pass(r, r->held.len, &r->said);
            break;
        }
}

static aerie_thoughts_part part_of(const aerie_thoughts *r)
{
    return (aerie_thoughts_part){ .thought = r->thinking.len ? r->thinking.data : "",
                                  .said = r->said.len ? r->said.data : "",
                                  .thought_len = r->thinking.len,
                                  .said_len = r->said.len };
}

aerie_thoughts_part aerie_thoughts_add(aerie_thoughts *r, const char *text, size_t len,
                                       int64_t n_tokens)
{
    bool may_think = r->state == BEGINS || r->state == THINKS;
    ae_bytes_clear(&r->thinking);
    ae_bytes_clear(&r->said);
    ae_bytes_add(&r->held, text, len);
    if (!r->held.failed) sort(r);
    r->n_tokens += n_tokens;
    if (may_think && r->entered) r->n_thought = r->n_tokens;
    return part_of(r);
}

aerie_status aerie_thoughts_end(aerie_thoughts *r, aerie_thoughts_part *rest, aerie_error *err)
{
    size_t n = r->held.len;
    ae_bytes_clear(&r->thinking);
    ae_bytes_clear(&r->said);
    while (r->state == THINKS && n > 0 && is_space(r->held.data[n - 1])) n--;
    if (n) pass(r, n, r->state == THINKS ? &r->thinking : &r->said);
    *rest = part_of(r);
    if (!r->held.failed && !r->thinking.failed && !r->said.failed) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a reply's text");
}

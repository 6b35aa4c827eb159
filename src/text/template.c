/* template.c -- the door of the template engine: parse once, render as often as wanted. */
#include "text/jinja.h"

#include <string.h>

struct ae_template {
    ae_arena arena;
    jinja_node *first;
    bool plain;
};

enum {
    DEFAULT_STEPS = 10 * 1000 * 1000,
    DEFAULT_OUTPUT = 16 << 20,
    MEMORY_PER_OUTPUT = 32, /* an arena keeps every value that was ever made */
    MAX_SOURCE = 2 << 20
};

/* Line breaks become '\n', and one at the very end goes unless `plain`, as Jinja reads a source. */
static bool normalise(ae_span *out, ae_span source, bool plain, ae_arena *arena)
{
    char *text = ae_arena_take_raw(arena, source.len + 1, 1);
    size_t n = 0;
    if (!text) return false;
    for (size_t i = 0; i < source.len; i++) {
        char c = source.data[i];
        if (c == '\r') {
            c = '\n';
            if (i + 1 < source.len && source.data[i + 1] == '\n') i++;
        }
        text[n++] = c;
    }
    if (!plain && n && text[n - 1] == '\n') n--;
    text[n] = '\0';
    *out = (ae_span){ text, n };
    return true;
}

static aerie_status parse(ae_template **out, ae_span source, bool plain, aerie_error *err)
{
    aerie_status status;
    jinja_tokens tokens = { 0 };
    ae_span text;
    ae_template *t = ae_alloc(1, sizeof *t);
    *out = NULL;
    if (!t) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a template");
    t->plain = plain;
    if (source.len > MAX_SOURCE) {
        status = aerie_fail(err, AERIE_BAD_TEXT, "a template of %zu bytes is too long", source.len);
        goto done;
    }
    if (!normalise(&text, source, plain, &t->arena)) {
        status = aerie_fail(err, AERIE_NO_MEMORY, "no room for a template");
        goto done;
    }
    status = jinja_lex(&tokens, text, plain, &t->arena, err);
    if (!status) status = jinja_parse(&t->first, &tokens, &t->arena, err);
done:
    ae_free(tokens.items);
    if (status)
        ae_template_free(t);
    else
        *out = t;
    return status;
}

aerie_status ae_template_parse(ae_template **out, ae_span source, aerie_error *err)
{
    return parse(out, source, false, err);
}

aerie_status ae_template_parse_plain(ae_template **out, ae_span source, aerie_error *err)
{
    return parse(out, source, true, err);
}

void ae_template_free(ae_template *t)
{
    if (!t) return;
    ae_arena_free(&t->arena);
    ae_free(t);
}

static void assign_text(jinja *j, const char *name, const char *text)
{
    jinja_assign(j, ae_span_text(name), jinja_str(j, ae_span_text(text ? text : "")));
}

static void assign_json(jinja *j, const char *name, json_t *json)
{
    jinja_assign(j, ae_span_text(name), jinja_from_json(j, json));
}

/* What a template can see: transformers' names, the functions, and the caller's extras. */
static void assign_input(jinja *j)
{
    const ae_template_input *in = j->in;
    for (const jinja_callable *f = jinja_functions; f->name; f++)
        jinja_assign(j, ae_span_text(f->name),
                     (jinja_value){ .kind = JINJA_FUNCTION, .as.callable = f });
    assign_json(j, "messages", in->messages);
    assign_json(j, "tools", in->tools);
    jinja_assign(j, ae_span_text("documents"), jinja_none());
    if (!in->generation_unsaid)
        jinja_assign(j, ae_span_text("add_generation_prompt"),
                     jinja_bool(in->add_generation_prompt));
    assign_text(j, "bos_token", in->bos_token);
    assign_text(j, "eos_token", in->eos_token);
    if (!json_is_object(in->extra)) return;
    for (void *at = json_object_iter(in->extra); at; at = json_object_iter_next(in->extra, at))
        assign_json(j, json_object_iter_key(at), json_object_iter_value(at));
}

aerie_status ae_template_render(const ae_template *t, const ae_template_input *in, ae_bytes *out,
                                aerie_error *err)
{
    jinja j = { .err = err,
                .in = in,
                .out = out,
                .out_start = out->len,
                .strict = t->plain,
                .steps = in->max_steps ? in->max_steps : DEFAULT_STEPS,
                .max_output = in->max_output ? in->max_output : DEFAULT_OUTPUT };
    if (!ae_mul_size(&j.arena.limit, j.max_output, MEMORY_PER_OUTPUT)) j.arena.limit = SIZE_MAX;
    /* Even a small output may need some room to be worked out. */
    if (j.arena.limit < (64 << 20)) j.arena.limit = 64 << 20;
    size_t before = out->len;
    if (jinja_frame_push(&j, NULL)) {
        assign_input(&j);
        jinja_exec(&j, t->first);
    }
    ae_arena_free(&j.arena);
    if (j.status) {
        out->len = before;
        if (out->data) out->data[before] = '\0';
    }
    return j.status;
}

/* jinja_exec.c -- runs a template's statements: output, branches, loops, scopes, macros. */
#include "text/jinja.h"

#include <string.h>

enum { MAX_MACROS = 128 };

static jinja_value nothing(void)
{
    return jinja_undefined((ae_span){ "", 0 }, 0);
}

const jinja_value *jinja_lookup(jinja *j, ae_span name)
{
    for (const jinja_frame *f = j->frame; f && jinja_spend(j, f->n / 8); f = f->parent)
        for (size_t i = f->n; i-- > 0;)
            if (ae_span_equal(f->vars[i].name, name)) return &f->vars[i].value;
    return NULL;
}

static bool grow_frame(jinja *j, jinja_frame *f)
{
    size_t cap = f->cap ? f->cap * 2 : 4;
    jinja_named *grown = jinja_take(j, cap, sizeof *grown);
    if (!grown) return false;
    if (f->n) memcpy(grown, f->vars, f->n * sizeof *grown);
    f->vars = grown;
    f->cap = cap;
    return true;
}

void jinja_assign(jinja *j, ae_span name, jinja_value value)
{
    jinja_frame *f = j->frame;
    if (!jinja_spend(j, f->n / 8)) return;
    for (size_t i = 0; i < f->n; i++)
        if (ae_span_equal(f->vars[i].name, name)) {
            f->vars[i].value = value;
            return;
        }
    if (f->n == f->cap && !grow_frame(j, f)) return;
    f->vars[f->n++] = (jinja_named){ name, value };
}

jinja_frame *jinja_frame_push(jinja *j, jinja_frame *parent)
{
    jinja_frame *f = jinja_take(j, 1, sizeof *f);
    if (!f) return NULL;
    f->parent = parent;
    j->frame = f;
    return f;
}

void jinja_emit(jinja *j, ae_span text)
{
    if (j->status) return;
    if (text.len > j->max_output || j->out->len - j->out_start > j->max_output - text.len) {
        jinja_fail(j, "the output grows past %zu bytes", j->max_output);
        return;
    }
    ae_bytes_add(j->out, text.data, text.len);
    if (j->out->failed) jinja_fail_memory(j);
}

jinja_value jinja_capture(jinja *j, const jinja_node *first)
{
    ae_bytes inner = { 0 };
    ae_bytes *outer = j->out;
    size_t outer_start = j->out_start;
    j->out = &inner;
    j->out_start = 0;
    jinja_exec(j, first);
    j->out = outer;
    j->out_start = outer_start;
    return jinja_str_take(j, &inner);
}

static void assign_target(jinja *j, const jinja_node *target, jinja_value value);

static void unpack(jinja *j, const jinja_node *target, jinja_value value)
{
    jinja_value items = jinja_iterate(j, value);
    size_t n = 0;
    for (const jinja_node *t = target->first; t; t = t->next) n++;
    if (j->status) return;
    if (items.as.list->n != n) {
        jinja_fail(j, "%zu names cannot take %zu values", n, items.as.list->n);
        return;
    }
    n = 0;
    for (const jinja_node *t = target->first; t; t = t->next)
        assign_target(j, t, items.as.list->items[n++]);
}

static void assign_attribute(jinja *j, const jinja_node *target, jinja_value value)
{
    jinja_value object = jinja_eval(j, target->a);
    if (j->status) return;
    if (object.kind == JINJA_SPACE)
        jinja_dict_set(j, object.as.dict, jinja_str(j, target->text), value);
    else
        jinja_fail(j, "cannot assign attribute on non-namespace object");
}

static void assign_target(jinja *j, const jinja_node *target, jinja_value value)
{
    if (!jinja_deeper(j)) return;
    if (target->kind == JINJA_NAME)
        jinja_assign(j, target->text, value);
    else if (target->kind == JINJA_ATTRIBUTE)
        assign_attribute(j, target, value);
    else
        unpack(j, target, value);
    j->depth--;
}

/* Runs statements in a scope of their own. */
static void exec_scope(jinja *j, const jinja_node *first)
{
    jinja_frame *outer = j->frame;
    if (jinja_frame_push(j, outer)) jinja_exec(j, first);
    j->frame = outer;
}

static jinja_value capture_scope(jinja *j, const jinja_node *first)
{
    jinja_frame *outer = j->frame;
    jinja_value text = nothing();
    if (jinja_frame_push(j, outer)) text = jinja_capture(j, first);
    j->frame = outer;
    return text;
}

static void exec_if(jinja *j, const jinja_node *node)
{
    for (; node && !j->status; node = node->b) {
        if (node->kind == JINJA_ELSE || jinja_true(jinja_eval(j, node->a))) {
            jinja_exec(j, node->first);
            return;
        }
    }
}

/* Fresh variables for the next round. A macro made in an earlier one sees the new ones: Python's
 * closures, and so Jinja's, bind late. */
static void renew_frame(jinja *j)
{
    j->frame->n = 0;
}

/* The items that the loop's own condition lets through. */
static jinja_value loop_filter(jinja *j, const jinja_node *node, jinja_value items)
{
    jinja_value kept = jinja_list_new(j, JINJA_LIST);
    for (size_t i = 0; !j->status && i < items.as.list->n; i++) {
        renew_frame(j);
        assign_target(j, node->a, items.as.list->items[i]);
        if (jinja_true(jinja_eval(j, node->c))) jinja_list_add(j, kept, items.as.list->items[i]);
    }
    return kept;
}

static void loop_rounds(jinja *j, const jinja_node *node, jinja_value items)
{
    jinja_loop *loop = jinja_take(j, 1, sizeof *loop);
    if (!loop) return;
    *loop = (jinja_loop){ .items = items.as.list->items, .n = items.as.list->n };
    for (; loop->at < loop->n && jinja_spend(j, 1); loop->at++) {
        renew_frame(j);
        jinja_assign(j, ae_span_text("loop"), (jinja_value){ .kind = JINJA_LOOP, .as.loop = loop });
        assign_target(j, node->a, loop->items[loop->at]);
        jinja_exec(j, node->first);
        bool stop = j->signal == JINJA_STOP_LOOP;
        j->signal = JINJA_GO;
        if (stop) break;
    }
}

static void exec_for(jinja *j, const jinja_node *node)
{
    jinja_frame *outer = j->frame;
    jinja_value items = jinja_iterate(j, jinja_eval(j, node->b));
    if (!j->status && jinja_frame_push(j, outer)) {
        if (node->c) items = loop_filter(j, node, items);
        if (!j->status && items.as.list->n) loop_rounds(j, node, items);
    }
    j->frame = outer;
    if (!j->status && items.as.list->n == 0 && node->d) exec_scope(j, node->d->first);
}

static void exec_set(jinja *j, const jinja_node *node)
{
    jinja_value value = jinja_eval(j, node->b);
    if (!j->status) assign_target(j, node->a, value);
}

static void exec_set_block(jinja *j, const jinja_node *node)
{
    jinja_value text = capture_scope(j, node->first);
    if (!j->status) text = jinja_eval_filters(j, node->b, text);
    if (!j->status) assign_target(j, node->a, text);
}

static jinja_value make_macro(jinja *j, const jinja_node *node, ae_span name)
{
    jinja_macro *m = jinja_take(j, 1, sizeof *m);
    if (!m) return nothing();
    *m = (jinja_macro){ .params = node->b, .body = node->first, .name = name, .frame = j->frame };
    return (jinja_value){ .kind = JINJA_MACRO_VALUE, .as.macro = m };
}

static void emit_value(jinja *j, jinja_value v)
{
    if (j->status || (v.kind == JINJA_UNDEFINED && !j->strict)) return;
    v = jinja_to_str(j, v);
    if (!j->status) jinja_emit(j, jinja_text_of(v));
}

static void exec_call_block(jinja *j, const jinja_node *node)
{
    jinja_args args;
    jinja_value caller = make_macro(j, node, ae_span_text("caller"));
    jinja_value callee = jinja_eval(j, node->a->a);
    jinja_eval_call_args(j, node->a->first, &args);
    if (j->status) return;
    jinja_named *named = jinja_take(j, args.n_named + 1, sizeof *named);
    if (!named) return;
    if (args.n_named) memcpy(named, args.named, args.n_named * sizeof *named);
    named[args.n_named++] = (jinja_named){ ae_span_text("caller"), caller };
    args.named = named;
    emit_value(j, jinja_call(j, callee, &args));
}

static void exec_filter_block(jinja *j, const jinja_node *node)
{
    jinja_value text = capture_scope(j, node->first);
    if (!j->status) emit_value(j, jinja_eval_filters(j, node->a, text));
}

/* The values are computed outside the new scope, one after the other seeing none of the others. */
static void exec_with(jinja *j, const jinja_node *node)
{
    jinja_frame *outer = j->frame, *inner = jinja_frame_push(j, outer);
    for (const jinja_node *set = node->b->first; inner && set && !j->status; set = set->next) {
        j->frame = outer;
        jinja_value value = jinja_eval(j, set->b);
        j->frame = inner;
        assign_target(j, set->a, value);
    }
    if (inner) jinja_exec(j, node->first);
    j->frame = outer;
}

static void exec_one(jinja *j, const jinja_node *node)
{
    switch (node->kind) {
    case JINJA_DATA:
        jinja_emit(j, node->text);
        break;
    case JINJA_PRINT:
        emit_value(j, jinja_eval(j, node->a));
        break;
    case JINJA_IF:
        exec_if(j, node);
        break;
    case JINJA_FOR:
        exec_for(j, node);
        break;
    case JINJA_SET:
        exec_set(j, node);
        break;
    case JINJA_SET_BLOCK:
        exec_set_block(j, node);
        break;
    case JINJA_MACRO:
        jinja_assign(j, node->text, make_macro(j, node, node->text));
        break;
    case JINJA_CALL_BLOCK:
        exec_call_block(j, node);
        break;
    case JINJA_FILTER_BLOCK:
        exec_filter_block(j, node);
        break;
    case JINJA_WITH:
        exec_with(j, node);
        break;
    case JINJA_SCOPE:
        exec_scope(j, node->first);
        break;
    case JINJA_BREAK:
        j->signal = JINJA_STOP_LOOP;
        break;
    default:
        j->signal = JINJA_NEXT_LOOP;
        break;
    }
}

void jinja_exec(jinja *j, const jinja_node *first)
{
    if (!jinja_deeper(j)) return;
    for (const jinja_node *node = first; node && j->signal == JINJA_GO; node = node->next) {
        if (!jinja_spend(j, 1)) break;
        j->line = node->line;
        exec_one(j, node);
    }
    j->depth--;
}

/* Named arguments that are no parameter go to kwargs, where the body asks for it. */
static void bind_rest(jinja *j, const jinja_macro *m, const jinja_args *args, size_t used,
                      const bool *taken)
{
    unsigned uses = m->params->op;
    jinja_value varargs = jinja_list_new(j, JINJA_TUPLE), kwargs = jinja_dict_new(j, JINJA_DICT);
    for (size_t i = used; i < args->n && !j->status; i++) jinja_list_add(j, varargs, args->pos[i]);
    if (used < args->n && !(uses & JINJA_USES_VARARGS))
        jinja_fail(j, "macro '%.*s' takes no more than %zu arguments", (int)m->name.len,
                   m->name.data, used);
    for (size_t i = 0; i < args->n_named && !j->status; i++) {
        ae_span name = args->named[i].name;
        if (taken[i]) continue;
        if (ae_span_is(name, "caller") && (uses & JINJA_USES_CALLER))
            jinja_assign(j, name, args->named[i].value);
        else if (uses & JINJA_USES_KWARGS)
            jinja_dict_add(j, kwargs.as.dict, jinja_str(j, name), args->named[i].value);
        else
            jinja_fail(j, "macro '%.*s' takes no argument '%.*s'", (int)m->name.len, m->name.data,
                       (int)name.len, name.data);
    }
    if (uses & JINJA_USES_VARARGS) jinja_assign(j, ae_span_text("varargs"), varargs);
    if (uses & JINJA_USES_KWARGS) jinja_assign(j, ae_span_text("kwargs"), kwargs);
}

static jinja_value param_value(jinja *j, const jinja_node *param, const jinja_args *args,
                               size_t index, bool *taken)
{
    if (index < args->n) return args->pos[index];
    for (size_t i = 0; i < args->n_named; i++)
        if (!taken[i] && ae_span_equal(args->named[i].name, param->text)) {
            taken[i] = true;
            return args->named[i].value;
        }
    return param->a ? jinja_eval(j, param->a) : jinja_undefined(param->text, 0);
}

static void bind_macro(jinja *j, const jinja_macro *m, const jinja_args *args)
{
    size_t n = 0;
    bool *taken = jinja_take(j, args->n_named + 1, sizeof *taken);
    if (!taken) return;
    if (m->params->op & JINJA_USES_CALLER)
        jinja_assign(j, ae_span_text("caller"), jinja_undefined(ae_span_text("caller"), 0));
    for (const jinja_node *param = m->params->first; param && !j->status; param = param->next)
        jinja_assign(j, param->text, param_value(j, param, args, n++, taken));
    bind_rest(j, m, args, n < args->n ? n : args->n, taken);
}

jinja_value jinja_call_macro(jinja *j, const jinja_macro *m, const jinja_args *args)
{
    jinja_frame *outer = j->frame;
    jinja_value text = nothing();
    if (j->macros >= MAX_MACROS) {
        jinja_fail(j, "macro '%.*s' calls itself too deep", (int)m->name.len, m->name.data);
        return text;
    }
    j->macros++;
    if (jinja_frame_push(j, m->frame)) {
        bind_macro(j, m, args);
        if (!j->status) text = jinja_capture(j, m->body);
    }
    j->frame = outer;
    j->macros--;
    return text;
}

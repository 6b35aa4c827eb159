/* jinja_eval.c -- walks an expression's tree. */
#include "text/jinja.h"

#include <string.h>

static jinja_value nothing(void)
{
    return jinja_undefined((ae_span){ "", 0 }, 0);
}

static jinja_value eval_list(jinja *j, const jinja_node *node, jinja_kind kind)
{
    jinja_value list = jinja_list_new(j, kind);
    for (const jinja_node *item = node->first; item && !j->status; item = item->next)
        jinja_list_add(j, list, jinja_eval(j, item));
    return list;
}

static jinja_value eval_dict(jinja *j, const jinja_node *node)
{
    jinja_value dict = jinja_dict_new(j, JINJA_DICT);
    for (const jinja_node *pair = node->first; pair && !j->status; pair = pair->next) {
        jinja_value key = jinja_eval(j, pair->a), value = jinja_eval(j, pair->b);
        if (!j->status) jinja_dict_set(j, dict.as.dict, key, value);
    }
    return dict;
}

static jinja_value eval_name(jinja *j, const jinja_node *node)
{
    const jinja_value *found = jinja_lookup(j, node->text);
    return found ? *found : jinja_undefined(node->text, 0);
}

static jinja_value eval_optional(jinja *j, const jinja_node *node)
{
    return node ? jinja_eval(j, node) : jinja_none();
}

static jinja_value eval_slice(jinja *j, const jinja_node *node)
{
    jinja_value object = jinja_eval(j, node->a);
    jinja_value begin = eval_optional(j, node->b), end = eval_optional(j, node->c);
    jinja_value step = eval_optional(j, node->d);
    return j->status ? nothing() : jinja_slice(j, object, begin, end, step);
}

/* Room for the arguments; *args and **kwargs may bring any number. */
typedef struct {
    jinja_value pos; /* a list */
    jinja_named *named;
    size_t n_named, cap;
} gathered;

static void gather_named(jinja *j, gathered *g, ae_span name, jinja_value value)
{
    if (g->n_named == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 4;
        jinja_named *grown = jinja_take(j, cap, sizeof *grown);
        if (!grown) return;
        if (g->n_named) memcpy(grown, g->named, g->n_named * sizeof *grown);
        g->named = grown;
        g->cap = cap;
    }
    g->named[g->n_named++] = (jinja_named){ name, value };
}

static void gather_stars(jinja *j, gathered *g, jinja_value value, char star)
{
    if (star == '*') {
        jinja_value items = jinja_iterate(j, value);
        for (size_t i = 0; !j->status && i < items.as.list->n; i++)
            jinja_list_add(j, g->pos, items.as.list->items[i]);
        return;
    }
    if (value.kind != JINJA_DICT) {
        jinja_fail(j, "argument after ** must be a mapping, not %s", jinja_type_name(value.kind));
        return;
    }
    for (size_t i = 0; i < value.as.dict->n && !j->status; i++) {
        jinja_pair pair = value.as.dict->pairs[i];
        if (pair.key.kind == JINJA_STR)
            gather_named(j, g, jinja_text_of(pair.key), pair.value);
        else
            jinja_fail(j, "keywords must be strings");
    }
}

void jinja_eval_call_args(jinja *j, const jinja_node *first, jinja_args *args)
{
    *args = (jinja_args){ 0 };
    if (!first) return;
    gathered g = { .pos = jinja_list_new(j, JINJA_LIST) };
    for (const jinja_node *arg = first; arg && !j->status; arg = arg->next) {
        jinja_value value = jinja_eval(j, arg->a);
        if (j->status) break;
        if (arg->op)
            gather_stars(j, &g, value, (char)arg->op);
        else if (arg->text.len)
            gather_named(j, &g, arg->text, value);
        else
            jinja_list_add(j, g.pos, value);
    }
    if (j->status) return;
    *args = (jinja_args){ g.pos.as.list->items, g.pos.as.list->n, g.named, g.n_named };
}

static jinja_value eval_call(jinja *j, const jinja_node *node)
{
    jinja_args args;
    jinja_value callee = jinja_eval(j, node->a);
    jinja_eval_call_args(j, node->first, &args);
    j->line = node->line;
    return jinja_call(j, callee, &args);
}

static jinja_value apply_filter(jinja *j, const jinja_node *node, jinja_value self)
{
    jinja_args args;
    jinja_eval_call_args(j, node->first, &args);
    if (j->status) return nothing();
    j->line = node->line;
    return jinja_filter(j, node->text, self, &args);
}

jinja_value jinja_eval_filters(jinja *j, const jinja_node *node, jinja_value head)
{
    if (!node) return head;
    if (!jinja_deeper(j)) return nothing();
    jinja_value self = jinja_eval_filters(j, node->a, head);
    j->depth--;
    return apply_filter(j, node, self);
}

static jinja_value eval_test(jinja *j, const jinja_node *node)
{
    jinja_args args;
    jinja_value self = jinja_eval(j, node->a);
    jinja_eval_call_args(j, node->first, &args);
    if (j->status) return nothing();
    j->line = node->line;
    return jinja_bool(jinja_test(j, node->text, self, &args));
}

static bool compare(jinja *j, char op, jinja_value a, jinja_value b)
{
    switch (op) {
    case '=':
        return jinja_equal(j, a, b);
    case '!':
        return !jinja_equal(j, a, b);
    case 'i':
        return jinja_contains(j, b, a);
    case 'n':
        return !jinja_contains(j, b, a);
    case '<':
        return jinja_order(j, a, b) < 0;
    case '>':
        return jinja_order(j, a, b) > 0;
    case 'l':
        return jinja_order(j, a, b) <= 0;
    default:
        return jinja_order(j, a, b) >= 0;
    }
}

/* a < b < c: true while every neighbour pair agrees. */
static jinja_value eval_compare(jinja *j, const jinja_node *node)
{
    jinja_value left = jinja_eval(j, node->a);
    for (const jinja_node *operand = node->first; operand && !j->status; operand = operand->next) {
        jinja_value right = jinja_eval(j, operand->a);
        if (j->status || !compare(j, (char)operand->op, left, right)) return jinja_bool(false);
        left = right;
    }
    return jinja_bool(true);
}

static jinja_value eval_condition(jinja *j, const jinja_node *node)
{
    if (jinja_true(jinja_eval(j, node->b))) return jinja_eval(j, node->a);
    if (j->status || !node->c)
        return jinja_undefined(ae_span_text("the inline if-expression without an else"), 0);
    return jinja_eval(j, node->c);
}

static jinja_value eval_logic(jinja *j, const jinja_node *node)
{
    jinja_value left = jinja_eval(j, node->a);
    if (j->status || jinja_true(left) == (node->kind == JINJA_OR)) return left;
    return jinja_eval(j, node->b);
}

static jinja_value eval_operator(jinja *j, const jinja_node *node)
{
    jinja_value a = jinja_eval(j, node->a), b = jinja_eval(j, node->b);
    j->line = node->line;
    return jinja_binary(j, (char)node->op, a, b);
}

static jinja_value eval_item(jinja *j, const jinja_node *node)
{
    jinja_value object = jinja_eval(j, node->a), key = jinja_eval(j, node->b);
    return j->status ? nothing() : jinja_item(j, object, key);
}

static jinja_value eval_attribute(jinja *j, const jinja_node *node)
{
    jinja_value object = jinja_eval(j, node->a);
    return j->status ? nothing() : jinja_attribute(j, object, node->text);
}

static jinja_value eval_sign(jinja *j, const jinja_node *node)
{
    jinja_value v = jinja_eval(j, node->a);
    return j->status ? nothing() : jinja_negate(j, v, node->kind == JINJA_NEGATE);
}

static jinja_value eval_filter(jinja *j, const jinja_node *node)
{
    jinja_value self = jinja_eval(j, node->a);
    return j->status ? nothing() : apply_filter(j, node, self);
}

static jinja_value eval_node(jinja *j, const jinja_node *node)
{
    switch (node->kind) {
    case JINJA_CONST_NONE:
        return jinja_none();
    case JINJA_CONST_BOOL:
        return jinja_bool(node->integer != 0);
    case JINJA_CONST_INT:
        return jinja_int(node->integer);
    case JINJA_CONST_FLOAT:
        return jinja_float(node->real);
    case JINJA_CONST_STR:
        return jinja_str(j, node->text);
    case JINJA_NAME:
        return eval_name(j, node);
    case JINJA_MAKE_LIST:
        return eval_list(j, node, JINJA_LIST);
    case JINJA_MAKE_TUPLE:
        return eval_list(j, node, JINJA_TUPLE);
    case JINJA_MAKE_DICT:
        return eval_dict(j, node);
    case JINJA_ATTRIBUTE:
        return eval_attribute(j, node);
    case JINJA_ITEM:
        return eval_item(j, node);
    case JINJA_SLICE:
        return eval_slice(j, node);
    case JINJA_CALL:
        return eval_call(j, node);
    case JINJA_FILTER:
        return eval_filter(j, node);
    case JINJA_TEST:
        return eval_test(j, node);
    case JINJA_NEGATE:
    case JINJA_PLUS:
        return eval_sign(j, node);
    case JINJA_NOT:
        return jinja_bool(!jinja_true(jinja_eval(j, node->a)));
    case JINJA_AND:
    case JINJA_OR:
        return eval_logic(j, node);
    case JINJA_BINARY:
        return eval_operator(j, node);
    case JINJA_COMPARE:
        return eval_compare(j, node);
    default:
        return eval_condition(j, node);
    }
}

jinja_value jinja_eval(jinja *j, const jinja_node *node)
{
    if (!jinja_spend(j, 1) || !jinja_deeper(j)) return nothing();
    j->line = node->line;
    jinja_value v = eval_node(j, node);
    j->depth--;
    return j->status ? nothing() : v;
}

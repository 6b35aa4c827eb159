/* jinja_parse_expr.c -- expressions: from tokens to a tree, with Jinja's precedence. */
#include "text/jinja_ast.h"

#include <string.h>

static jinja_node *binary(jinja_parser *p, int level);

static jinja_node *node_over(jinja_parser *p, jinja_node_kind kind, jinja_node *a, jinja_node *b)
{
    jinja_node *node = jinja_node_new(p, kind);
    if (node) node->a = a, node->b = b;
    return node;
}

static jinja_node *node_op(jinja_parser *p, char op, jinja_node *a, jinja_node *b)
{
    jinja_node *node = node_over(p, JINJA_BINARY, a, b);
    if (node) node->op = (uint8_t)op;
    return node;
}

static jinja_node *name_node(jinja_parser *p, ae_span name)
{
    static const struct {
        const char *word;
        jinja_node_kind kind;
        int64_t integer;
    } constants[] = {
        { "true", JINJA_CONST_BOOL, 1 },  { "True", JINJA_CONST_BOOL, 1 },
        { "false", JINJA_CONST_BOOL, 0 }, { "False", JINJA_CONST_BOOL, 0 },
        { "none", JINJA_CONST_NONE, 0 },  { "None", JINJA_CONST_NONE, 0 },
    };
    jinja_node *node = jinja_node_new(p, JINJA_NAME);
    if (!node) return NULL;
    node->text = name;
    for (size_t i = 0; i < AE_COUNT(constants); i++)
        if (ae_span_is(name, constants[i].word)) {
            node->kind = (uint8_t)constants[i].kind;
            node->integer = constants[i].integer;
        }
    if (ae_span_is(name, "caller")) p->uses |= JINJA_USES_CALLER;
    if (ae_span_is(name, "varargs")) p->uses |= JINJA_USES_VARARGS;
    if (ae_span_is(name, "kwargs")) p->uses |= JINJA_USES_KWARGS;
    return node;
}

/* Strings side by side are one string, of `len` bytes in all. */
static bool join_strings(jinja_parser *p, jinja_node *node, size_t len)
{
    char *joined = ae_arena_take_raw(p->arena, len + 1, 1);
    size_t at = 0;
    if (!joined) {
        jinja_parse_fail(p, "no room for a string");
        return false;
    }
    for (; jinja_here(p)->kind == JINJA_T_STRING; jinja_advance(p)) {
        ae_span one = jinja_here(p)->text;
        if (one.len) memcpy(joined + at, one.data, one.len);
        at += one.len;
    }
    node->text = (ae_span){ joined, len };
    return true;
}

static jinja_node *string_node(jinja_parser *p)
{
    jinja_node *node = jinja_node_new(p, JINJA_CONST_STR);
    size_t n = 0, len = 0;
    if (!node) return NULL;
    for (; p->tokens[p->at + n].kind == JINJA_T_STRING; n++) len += p->tokens[p->at + n].text.len;
    if (n > 1) return join_strings(p, node, len) ? node : NULL;
    node->text = jinja_here(p)->text;
    jinja_advance(p);
    return node;
}

static jinja_node *number_node(jinja_parser *p)
{
    const jinja_token *token = jinja_here(p);
    jinja_node *node =
        jinja_node_new(p, token->kind == JINJA_T_INT ? JINJA_CONST_INT : JINJA_CONST_FLOAT);
    if (node) {
        node->integer = token->integer;
        node->real = token->real;
    }
    jinja_advance(p);
    return node;
}

static jinja_node *list_node(jinja_parser *p)
{
    jinja_node *list = jinja_node_new(p, JINJA_MAKE_LIST);
    jinja_node **tail = list ? &list->first : NULL;
    jinja_advance(p);
    while (!p->status && !jinja_is_op(p, "]")) {
        jinja_node *item = jinja_expr(p);
        if (item) *tail = item, tail = &item->next;
        if (!jinja_take_op(p, ",")) break;
    }
    jinja_need_op(p, "]");
    return list;
}

static jinja_node *dict_node(jinja_parser *p)
{
    jinja_node *dict = jinja_node_new(p, JINJA_MAKE_DICT);
    jinja_node **tail = dict ? &dict->first : NULL;
    jinja_advance(p);
    while (!p->status && !jinja_is_op(p, "}")) {
        jinja_node *key = jinja_expr(p);
        jinja_need_op(p, ":");
        jinja_node *pair = node_over(p, JINJA_PAIR, key, jinja_expr(p));
        if (pair) *tail = pair, tail = &pair->next;
        if (!jinja_take_op(p, ",")) break;
    }
    jinja_need_op(p, "}");
    return dict;
}

/* "(" stands at the cursor: a tuple, or an expression in brackets. */
static jinja_node *bracket_node(jinja_parser *p)
{
    jinja_advance(p);
    if (jinja_take_op(p, ")")) return jinja_node_new(p, JINJA_MAKE_TUPLE);
    jinja_node *inner = jinja_expr_tuple(p, true);
    jinja_need_op(p, ")");
    return inner;
}

jinja_node *jinja_expr_primary(jinja_parser *p)
{
    const jinja_token *token = jinja_here(p);
    switch (token->kind) {
    case JINJA_T_NAME:
        jinja_advance(p);
        return name_node(p, token->text);
    case JINJA_T_STRING:
        return string_node(p);
    case JINJA_T_INT:
    case JINJA_T_FLOAT:
        return number_node(p);
    default:
        break;
    }
    if (jinja_is_op(p, "(")) return bracket_node(p);
    if (jinja_is_op(p, "[")) return list_node(p);
    if (jinja_is_op(p, "{")) return dict_node(p);
    if (token->kind == JINJA_T_OP)
        jinja_parse_fail(p, "an expression cannot start with '%.*s'", (int)token->text.len,
                         token->text.data);
    else
        jinja_parse_fail(p, "an expression is missing");
    return NULL;
}

/* The cursor stands after "(". */
static jinja_node *arguments(jinja_parser *p)
{
    jinja_node *first = NULL, **tail = &first;
    while (!p->status && !jinja_is_op(p, ")")) {
        jinja_node *arg = jinja_node_new(p, JINJA_ARGUMENT);
        if (!arg) break;
        if (jinja_take_op(p, "**"))
            arg->op = 'k';
        else if (jinja_take_op(p, "*"))
            arg->op = '*';
        const jinja_token *token = jinja_here(p), *after = token + (token->kind != JINJA_T_END);
        if (!arg->op && token->kind == JINJA_T_NAME && after->kind == JINJA_T_OP &&
            ae_span_is(after->text, "=")) {
            arg->text = token->text;
            jinja_advance(p);
            jinja_advance(p);
        }
        arg->a = jinja_expr(p);
        *tail = arg;
        tail = &arg->next;
        if (!jinja_take_op(p, ",")) break;
    }
    jinja_need_op(p, ")");
    return first;
}

static jinja_node *call_node(jinja_parser *p, jinja_node *callee)
{
    jinja_node *call = node_over(p, JINJA_CALL, callee, NULL);
    jinja_node *args = arguments(p);
    if (call) call->first = args;
    return call;
}

/* Part of "[a:b:c]": absent when a ':' or the end follows. */
static jinja_node *slice_part(jinja_parser *p)
{
    return jinja_is_op(p, ":") || jinja_is_op(p, "]") ? NULL : jinja_expr_tuple(p, true);
}

/* The cursor stands after "[". */
static jinja_node *subscript(jinja_parser *p, jinja_node *object)
{
    jinja_node *begin = slice_part(p);
    jinja_node *node = node_over(p, JINJA_ITEM, object, begin);
    if (node && jinja_take_op(p, ":")) {
        node->kind = JINJA_SLICE;
        node->c = slice_part(p);
        if (jinja_take_op(p, ":")) node->d = slice_part(p);
    } else if (!begin) {
        jinja_parse_fail(p, "a subscript is empty");
    }
    jinja_need_op(p, "]");
    return node;
}

static jinja_node *attribute(jinja_parser *p, jinja_node *object)
{
    const jinja_token *token = jinja_here(p);
    jinja_node *node = NULL;
    if (token->kind == JINJA_T_NAME) {
        node = node_over(p, JINJA_ATTRIBUTE, object, NULL);
        if (node) node->text = token->text;
        jinja_advance(p);
    } else if (token->kind == JINJA_T_INT) {
        node = node_over(p, JINJA_ITEM, object, number_node(p));
    } else {
        jinja_parse_fail(p, "a name must follow '.'");
    }
    return node;
}

jinja_node *jinja_expr_postfix(jinja_parser *p, jinja_node *node)
{
    while (!p->status) {
        if (jinja_take_op(p, "."))
            node = attribute(p, node);
        else if (jinja_take_op(p, "["))
            node = subscript(p, node);
        else if (jinja_take_op(p, "("))
            node = call_node(p, node);
        else
            break;
    }
    return node;
}

jinja_node *jinja_expr_filters(jinja_parser *p, jinja_node *node, bool at_name)
{
    while (!p->status && (at_name || jinja_take_op(p, "|"))) {
        const jinja_token *token = jinja_here(p);
        at_name = false;
        node = node_over(p, JINJA_FILTER, node, NULL);
        if (token->kind != JINJA_T_NAME) jinja_parse_fail(p, "a filter's name must follow '|'");
        if (!node || p->status) break;
        node->text = token->text;
        jinja_advance(p);
        if (jinja_take_op(p, "(")) node->first = arguments(p);
    }
    return node;
}

/* Whether the argument of a test written without brackets stands here: "is divisibleby 3". */
static bool starts_test_argument(const jinja_parser *p)
{
    const jinja_token *t = jinja_here(p);
    if (t->kind == JINJA_T_NAME)
        return !jinja_is_name(p, "else") && !jinja_is_name(p, "or") && !jinja_is_name(p, "and") &&
               !jinja_is_name(p, "if") && !jinja_is_name(p, "is");
    return t->kind == JINJA_T_STRING || t->kind == JINJA_T_INT || t->kind == JINJA_T_FLOAT ||
           jinja_is_op(p, "[") || jinja_is_op(p, "{");
}

/* The cursor stands after "is". */
static jinja_node *test_node(jinja_parser *p, jinja_node *subject)
{
    bool negated = jinja_take_name(p, "not");
    jinja_node *node = node_over(p, JINJA_TEST, subject, NULL);
    if (jinja_here(p)->kind != JINJA_T_NAME) jinja_parse_fail(p, "a test's name must follow 'is'");
    if (!node || p->status) return NULL;
    node->text = jinja_here(p)->text;
    jinja_advance(p);
    if (jinja_take_op(p, "(")) {
        node->first = arguments(p);
    } else if (starts_test_argument(p)) {
        jinja_node *arg = jinja_expr_primary(p);
        node->first = node_over(p, JINJA_ARGUMENT, jinja_expr_postfix(p, arg), NULL);
    }
    return negated ? node_over(p, JINJA_NOT, node, NULL) : node;
}

/* Filters, tests and calls in any order behind a value. */
static jinja_node *filters_and_tests(jinja_parser *p, jinja_node *node)
{
    while (!p->status) {
        if (jinja_is_op(p, "|"))
            node = jinja_expr_filters(p, node, false);
        else if (jinja_take_name(p, "is"))
            node = test_node(p, node);
        else if (jinja_take_op(p, "("))
            node = call_node(p, node);
        else
            break;
    }
    return node;
}

static jinja_node *unary(jinja_parser *p, bool with_filters)
{
    jinja_node *node = NULL;
    if (jinja_is_op(p, "-") || jinja_is_op(p, "+")) {
        jinja_node_kind kind = jinja_is_op(p, "-") ? JINJA_NEGATE : JINJA_PLUS;
        if (!jinja_nest(p)) return NULL;
        jinja_advance(p);
        node = node_over(p, kind, unary(p, false), NULL);
        p->nesting--;
    } else {
        node = jinja_expr_primary(p);
    }
    node = jinja_expr_postfix(p, node);
    return with_filters ? filters_and_tests(p, node) : node;
}

/* Left-associative operators, loosest first: + -, ~, * / // %, **. */
static const struct {
    const char *text;
    char op;
    int level;
} operators[] = {
    { "+", '+', 0 },  { "-", '-', 0 }, { "~", '~', 1 }, { "*", '*', 2 },
    { "//", 'f', 2 }, { "/", '/', 2 }, { "%", '%', 2 }, { "**", 'p', 3 },
};

static char take_operator(jinja_parser *p, int level)
{
    for (size_t i = 0; i < AE_COUNT(operators); i++)
        if (operators[i].level == level && jinja_take_op(p, operators[i].text))
            return operators[i].op;
    return '\0';
}

static jinja_node *binary(jinja_parser *p, int level)
{
    if (level == 4) return unary(p, true);
    jinja_node *left = binary(p, level + 1);
    char op;
    while (!p->status && (op = take_operator(p, level)) != '\0')
        left = node_op(p, op, left, binary(p, level + 1));
    return left;
}

static char take_comparison(jinja_parser *p)
{
    static const struct {
        const char *text;
        char op;
    } ops[] = { { "==", '=' }, { "!=", '!' }, { "<=", 'l' },
                { ">=", 'g' }, { "<", '<' },  { ">", '>' } };
    for (size_t i = 0; i < AE_COUNT(ops); i++)
        if (jinja_take_op(p, ops[i].text)) return ops[i].op;
    if (jinja_take_name(p, "in")) return 'i';
    const jinja_token *token = jinja_here(p);
    if (jinja_is_name(p, "not") && token[1].kind == JINJA_T_NAME &&
        ae_span_is(token[1].text, "in")) {
        jinja_advance(p);
        jinja_advance(p);
        return 'n';
    }
    return '\0';
}

static jinja_node *comparison(jinja_parser *p)
{
    jinja_node *left = binary(p, 0), *compare = NULL, **tail = NULL;
    char op;
    while (!p->status && (op = take_comparison(p)) != '\0') {
        if (!compare) {
            compare = node_over(p, JINJA_COMPARE, left, NULL);
            if (!compare) break;
            tail = &compare->first;
        }
        jinja_node *operand = node_over(p, JINJA_OPERAND, binary(p, 0), NULL);
        if (!operand) break;
        operand->op = (uint8_t)op;
        *tail = operand;
        tail = &operand->next;
    }
    return compare ? compare : left;
}

static jinja_node *negation(jinja_parser *p)
{
    if (!jinja_is_name(p, "not")) return comparison(p);
    if (!jinja_nest(p)) return NULL;
    jinja_advance(p);
    jinja_node *node = node_over(p, JINJA_NOT, negation(p), NULL);
    p->nesting--;
    return node;
}

static jinja_node *conjunction(jinja_parser *p)
{
    jinja_node *left = negation(p);
    while (!p->status && jinja_take_name(p, "and"))
        left = node_over(p, JINJA_AND, left, negation(p));
    return left;
}

static jinja_node *disjunction(jinja_parser *p)
{
    jinja_node *left = conjunction(p);
    while (!p->status && jinja_take_name(p, "or"))
        left = node_over(p, JINJA_OR, left, conjunction(p));
    return left;
}

jinja_node *jinja_expr(jinja_parser *p)
{
    if (!jinja_nest(p)) return NULL;
    jinja_node *node = disjunction(p);
    while (!p->status && jinja_take_name(p, "if")) {
        node = node_over(p, JINJA_CONDITION, node, disjunction(p));
        if (node && jinja_take_name(p, "else")) node->c = jinja_expr(p);
    }
    p->nesting--;
    return node;
}

static bool ends_tuple(const jinja_parser *p)
{
    jinja_token_kind kind = jinja_here(p)->kind;
    return kind == JINJA_T_CLOSE_VAR || kind == JINJA_T_CLOSE_BLOCK || kind == JINJA_T_END ||
           jinja_is_op(p, ")") || jinja_is_op(p, "]") || jinja_is_op(p, "=");
}

jinja_node *jinja_expr_tuple(jinja_parser *p, bool with_if)
{
    jinja_node *first = with_if ? jinja_expr(p) : disjunction(p);
    if (!jinja_is_op(p, ",")) return first;
    jinja_node *tuple = jinja_node_new(p, JINJA_MAKE_TUPLE);
    if (!tuple || !first) return NULL;
    tuple->first = first;
    jinja_node **tail = &first->next;
    while (!p->status && jinja_take_op(p, ",") && !ends_tuple(p)) {
        jinja_node *item = with_if ? jinja_expr(p) : disjunction(p);
        if (item) *tail = item, tail = &item->next;
    }
    return tuple;
}

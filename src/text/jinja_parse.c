/* jinja_parse.c -- statements: from tokens to a tree. */
#include "text/jinja_ast.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static jinja_node *statements(jinja_parser *p, const char *const *ends);

const jinja_token *jinja_here(const jinja_parser *p)
{
    return &p->tokens[p->at];
}

void jinja_advance(jinja_parser *p)
{
    if (jinja_here(p)->kind != JINJA_T_END) p->at++;
}

bool jinja_is_op(const jinja_parser *p, const char *op)
{
    return jinja_here(p)->kind == JINJA_T_OP && ae_span_is(jinja_here(p)->text, op);
}

bool jinja_is_name(const jinja_parser *p, const char *name)
{
    return jinja_here(p)->kind == JINJA_T_NAME && ae_span_is(jinja_here(p)->text, name);
}

bool jinja_take_op(jinja_parser *p, const char *op)
{
    bool found = jinja_is_op(p, op);
    if (found) jinja_advance(p);
    return found;
}

bool jinja_take_name(jinja_parser *p, const char *name)
{
    bool found = jinja_is_name(p, name);
    if (found) jinja_advance(p);
    return found;
}

void jinja_need_op(jinja_parser *p, const char *op)
{
    if (!jinja_take_op(p, op)) jinja_parse_fail(p, "'%s' is missing", op);
}

void jinja_parse_fail(jinja_parser *p, const char *format, ...)
{
    char what[256];
    va_list args;
    if (p->status) return;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    p->status =
        aerie_fail(p->err, AERIE_BAD_TEXT, "template line %d: %s", jinja_here(p)->line, what);
    while (jinja_here(p)->kind != JINJA_T_END) p->at++;
}

bool jinja_nest(jinja_parser *p)
{
    if (p->status) return false;
    if (p->nesting < JINJA_MAX_NESTING) {
        p->nesting++;
        return true;
    }
    jinja_parse_fail(p, "nested more than %d deep", JINJA_MAX_NESTING);
    return false;
}

jinja_node *jinja_node_new(jinja_parser *p, jinja_node_kind kind)
{
    if (p->status) return NULL;
    jinja_node *node = ae_arena_take(p->arena, 1, sizeof *node);
    if (!node) {
        p->status = aerie_fail(p->err, AERIE_NO_MEMORY, "no room for a template");
        while (jinja_here(p)->kind != JINJA_T_END) p->at++;
        return NULL;
    }
    node->kind = (uint8_t)kind;
    node->line = jinja_here(p)->line;
    return node;
}

static void need_close(jinja_parser *p)
{
    if (jinja_here(p)->kind == JINJA_T_CLOSE_BLOCK)
        jinja_advance(p);
    else
        jinja_parse_fail(p, "a '%%}' is missing");
}

/* The statements up to one of `ends`, whose word is then the cursor. */
static jinja_node *body(jinja_parser *p, const char *const *ends)
{
    need_close(p);
    return statements(p, ends);
}

/* The statements up to {% end %}, past it. */
static jinja_node *body_to(jinja_parser *p, const char *end)
{
    const char *const ends[] = { end, NULL };
    jinja_node *first = body(p, ends);
    jinja_advance(p);
    need_close(p);
    return first;
}

static jinja_node *parse_if(jinja_parser *p)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    jinja_node *head = NULL, **tail = &head;
    bool more = true;
    while (more && !p->status) {
        jinja_node *branch = jinja_node_new(p, JINJA_IF);
        if (!branch) break;
        *tail = branch;
        tail = &branch->b;
        branch->a = jinja_expr_tuple(p, true);
        branch->first = body(p, ends);
        more = jinja_take_name(p, "elif");
    }
    if (jinja_take_name(p, "else")) {
        jinja_node *last = jinja_node_new(p, JINJA_ELSE);
        jinja_node *inner = body(p, ends + 2);
        if (last) last->first = inner;
        *tail = last;
    }
    if (!jinja_take_name(p, "endif")) jinja_parse_fail(p, "an if has no endif");
    need_close(p);
    return head;
}

/* What may stand left of "=" or between "for" and "in". */
static bool is_target(const jinja_node *node, bool attributes)
{
    if (!node) return true;
    if (node->kind == JINJA_NAME) return true;
    if (node->kind == JINJA_ATTRIBUTE) return attributes && node->a && node->a->kind == JINJA_NAME;
    if (node->kind != JINJA_MAKE_TUPLE && node->kind != JINJA_MAKE_LIST) return false;
    for (const jinja_node *item = node->first; item; item = item->next)
        if (!is_target(item, attributes)) return false;
    return true;
}

/* Names separated by commas, perhaps in brackets: no operators, so that "in" is left alone. */
static jinja_node *target(jinja_parser *p)
{
    jinja_node *first = jinja_expr_postfix(p, jinja_expr_primary(p));
    if (jinja_is_op(p, ",")) {
        jinja_node *tuple = jinja_node_new(p, JINJA_MAKE_TUPLE);
        if (!tuple || !first) return NULL;
        tuple->first = first;
        jinja_node **tail = &first->next;
        while (jinja_take_op(p, ",") && !jinja_is_name(p, "in") && !jinja_is_op(p, "=")) {
            jinja_node *item = jinja_expr_primary(p);
            if (item) *tail = item, tail = &item->next;
        }
        first = tuple;
    }
    return first;
}

static jinja_node *parse_for(jinja_parser *p)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    jinja_node *loop = jinja_node_new(p, JINJA_FOR);
    if (!loop) return NULL;
    loop->a = target(p);
    if (!is_target(loop->a, false)) jinja_parse_fail(p, "a for needs names to assign to");
    if (!jinja_take_name(p, "in")) jinja_parse_fail(p, "a for lacks its 'in'");
    loop->b = jinja_expr_tuple(p, false);
    if (jinja_take_name(p, "if")) loop->c = jinja_expr(p);
    if (jinja_is_name(p, "recursive")) jinja_parse_fail(p, "recursive loops are not supported");
    p->loops++;
    loop->first = body(p, ends);
    p->loops--;
    if (jinja_take_name(p, "else")) {
        loop->d = jinja_node_new(p, JINJA_ELSE);
        jinja_node *inner = body(p, ends + 1);
        if (loop->d) loop->d->first = inner;
    }
    if (!jinja_take_name(p, "endfor")) jinja_parse_fail(p, "a for has no endfor");
    need_close(p);
    return loop;
}

static jinja_node *parse_set(jinja_parser *p)
{
    jinja_node *set = jinja_node_new(p, JINJA_SET);
    if (!set) return NULL;
    set->a = target(p);
    if (!is_target(set->a, true)) jinja_parse_fail(p, "a set needs a name to assign to");
    if (jinja_take_op(p, "=")) {
        set->b = jinja_expr_tuple(p, true);
        need_close(p);
        return set;
    }
    set->kind = JINJA_SET_BLOCK;
    if (jinja_is_op(p, "|")) set->b = jinja_expr_filters(p, NULL, false);
    set->first = body_to(p, "endset");
    return set;
}

/* "(a, b=1)" of a macro or a call block; the cursor stands after "(". */
static jinja_node *parameters(jinja_parser *p, jinja_node *params)
{
    jinja_node **tail = &params->first;
    while (!p->status && !jinja_is_op(p, ")")) {
        jinja_node *param = jinja_node_new(p, JINJA_PARAM);
        if (!param) break;
        if (jinja_here(p)->kind != JINJA_T_NAME) jinja_parse_fail(p, "a parameter needs a name");
        param->text = jinja_here(p)->text;
        jinja_advance(p);
        if (jinja_take_op(p, "=")) param->a = jinja_expr(p);
        *tail = param;
        tail = &param->next;
        if (!jinja_take_op(p, ",")) break;
    }
    jinja_need_op(p, ")");
    return params;
}

/* Reads the body of a macro or call block and notes which special names it uses. */
static void macro_body(jinja_parser *p, jinja_node *node, const char *end)
{
    unsigned outer = p->uses;
    int loops = p->loops;
    p->uses = 0;
    p->loops = 0;
    node->first = body_to(p, end);
    if (node->b) node->b->op = (uint8_t)p->uses;
    p->uses = outer;
    p->loops = loops;
}

static jinja_node *parse_macro(jinja_parser *p)
{
    jinja_node *macro = jinja_node_new(p, JINJA_MACRO);
    jinja_node *params = jinja_node_new(p, JINJA_PARAMS);
    if (!macro || !params) return NULL;
    if (jinja_here(p)->kind != JINJA_T_NAME) jinja_parse_fail(p, "a macro needs a name");
    macro->text = jinja_here(p)->text;
    jinja_advance(p);
    jinja_need_op(p, "(");
    macro->b = parameters(p, params);
    macro_body(p, macro, "endmacro");
    return macro;
}

static jinja_node *parse_call(jinja_parser *p)
{
    jinja_node *block = jinja_node_new(p, JINJA_CALL_BLOCK);
    jinja_node *params = jinja_node_new(p, JINJA_PARAMS);
    if (!block || !params) return NULL;
    if (jinja_take_op(p, "(")) parameters(p, params);
    block->b = params;
    block->a = jinja_expr(p);
    if (block->a && block->a->kind != JINJA_CALL) jinja_parse_fail(p, "a call block needs a call");
    macro_body(p, block, "endcall");
    return block;
}

static jinja_node *parse_filter(jinja_parser *p)
{
    jinja_node *block = jinja_node_new(p, JINJA_FILTER_BLOCK);
    if (!block) return NULL;
    block->a = jinja_expr_filters(p, NULL, true);
    block->first = body_to(p, "endfilter");
    return block;
}

static jinja_node *parse_with(jinja_parser *p)
{
    jinja_node *block = jinja_node_new(p, JINJA_WITH);
    jinja_node *sets = jinja_node_new(p, JINJA_ELSE);
    if (!block || !sets) return NULL;
    block->b = sets;
    jinja_node **tail = &sets->first;
    while (!p->status && jinja_here(p)->kind == JINJA_T_NAME) {
        jinja_node *set = jinja_node_new(p, JINJA_SET);
        if (!set) break;
        set->a = jinja_expr_primary(p);
        if (!is_target(set->a, false)) jinja_parse_fail(p, "a with needs names to assign to");
        jinja_need_op(p, "=");
        set->b = jinja_expr(p);
        *tail = set;
        tail = &set->next;
        if (!jinja_take_op(p, ",")) break;
    }
    block->first = body_to(p, "endwith");
    return block;
}

static jinja_node *parse_generation(jinja_parser *p)
{
    jinja_node *block = jinja_node_new(p, JINJA_SCOPE);
    if (block) block->first = body_to(p, "endgeneration");
    return block;
}

static jinja_node *parse_jump(jinja_parser *p, jinja_node_kind kind)
{
    if (p->loops == 0) jinja_parse_fail(p, "break and continue belong inside a for");
    jinja_node *node = jinja_node_new(p, kind);
    need_close(p);
    return node;
}

static jinja_node *parse_break(jinja_parser *p)
{
    return parse_jump(p, JINJA_BREAK);
}

static jinja_node *parse_continue(jinja_parser *p)
{
    return parse_jump(p, JINJA_CONTINUE);
}

static const struct {
    const char *word;
    jinja_node *(*parse)(jinja_parser *p);
} tags[] = {
    { "if", parse_if },       { "for", parse_for },
    { "set", parse_set },     { "macro", parse_macro },
    { "call", parse_call },   { "filter", parse_filter },
    { "with", parse_with },   { "generation", parse_generation },
    { "break", parse_break }, { "continue", parse_continue },
};

static void refuse_tag(jinja_parser *p, ae_span word)
{
    static const char *const others[] = { "include", "import", "from", "extends", "block" };
    for (size_t i = 0; i < AE_COUNT(others); i++)
        if (ae_span_is(word, others[i])) {
            jinja_parse_fail(p, "'%s' is not allowed: a chat template stands alone in its file",
                             others[i]);
            return;
        }
    jinja_parse_fail(p, "unknown tag '%.*s'", word.len < 40 ? (int)word.len : 40, word.data);
}

/* The cursor stands on the word after "{%". */
static jinja_node *statement(jinja_parser *p)
{
    ae_span word = jinja_here(p)->text;
    if (jinja_here(p)->kind != JINJA_T_NAME) {
        jinja_parse_fail(p, "a tag's name must follow '{%%'");
        return NULL;
    }
    for (size_t i = 0; i < AE_COUNT(tags); i++)
        if (ae_span_is(word, tags[i].word)) {
            if (!jinja_nest(p)) return NULL;
            jinja_advance(p);
            jinja_node *node = tags[i].parse(p);
            p->nesting--;
            return node;
        }
    refuse_tag(p, word);
    return NULL;
}

static jinja_node *print_tag(jinja_parser *p)
{
    jinja_node *node = jinja_node_new(p, JINJA_PRINT);
    jinja_advance(p);
    if (!node) return NULL;
    node->a = jinja_expr_tuple(p, true);
    if (jinja_here(p)->kind == JINJA_T_CLOSE_VAR)
        jinja_advance(p);
    else
        jinja_parse_fail(p, "a '}}' is missing");
    return node;
}

static jinja_node *data_node(jinja_parser *p)
{
    jinja_node *node = jinja_node_new(p, JINJA_DATA);
    if (node) node->text = jinja_here(p)->text;
    jinja_advance(p);
    return node;
}

static bool at_any(const jinja_parser *p, const char *const *words)
{
    for (; words && *words; words++)
        if (jinja_is_name(p, *words)) return true;
    return false;
}

static jinja_node *statements(jinja_parser *p, const char *const *ends)
{
    jinja_node *first = NULL, **tail = &first;
    while (!p->status && jinja_here(p)->kind != JINJA_T_END) {
        jinja_node *node;
        if (jinja_here(p)->kind == JINJA_T_DATA) {
            node = data_node(p);
        } else if (jinja_here(p)->kind == JINJA_T_OPEN_VAR) {
            node = print_tag(p);
        } else {
            jinja_advance(p);
            if (at_any(p, ends)) return first;
            node = statement(p);
        }
        if (node) *tail = node, tail = &node->next;
    }
    if (ends) jinja_parse_fail(p, "the template ends where a '%s' is expected", *ends);
    return first;
}

aerie_status jinja_parse(jinja_node **out, const jinja_tokens *tokens, ae_arena *arena,
                         aerie_error *err)
{
    jinja_parser p = { .tokens = tokens->items, .arena = arena, .err = err };
    *out = statements(&p, NULL);
    return p.status;
}

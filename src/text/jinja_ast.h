/* jinja_ast.h -- what a template is made of once read: tokens, then a tree of nodes. Private to
 * text. */
#ifndef AE_JINJA_AST_H
#define AE_JINJA_AST_H

#include "base/base.h"

typedef enum {
    JINJA_T_DATA, /* text between tags */
    JINJA_T_OPEN_VAR,
    JINJA_T_CLOSE_VAR,
    JINJA_T_OPEN_BLOCK,
    JINJA_T_CLOSE_BLOCK,
    JINJA_T_NAME,
    JINJA_T_STRING, /* text: escapes resolved */
    JINJA_T_INT,
    JINJA_T_FLOAT,
    JINJA_T_OP,
    JINJA_T_END
} jinja_token_kind;

typedef struct {
    jinja_token_kind kind;
    int line;
    ae_span text;
    int64_t integer;
    double real;
} jinja_token;

typedef struct {
    jinja_token *items; /* ae_free() */
    size_t n, cap;
} jinja_tokens;

/* Cuts `source` (kept by the caller) into tokens; whitespace control, trim_blocks and lstrip_blocks
 * are done with here. Strings with escapes are resolved into the arena. The last token is
 * JINJA_T_END. Free `out->items` also after a failure. plain: without those two. */
aerie_status jinja_lex(jinja_tokens *out, ae_span source, bool plain, ae_arena *arena,
                       aerie_error *err);

/* What the children of a node are is said beside its kind; `first` heads a list linked by `next`.
 */
typedef enum {
    /* expressions */
    JINJA_CONST_NONE,
    JINJA_CONST_BOOL,  /* integer */
    JINJA_CONST_INT,   /* integer */
    JINJA_CONST_FLOAT, /* real */
    JINJA_CONST_STR,   /* text */
    JINJA_NAME,        /* text */
    JINJA_MAKE_LIST,   /* first */
    JINJA_MAKE_TUPLE,  /* first */
    JINJA_MAKE_DICT,   /* first: pairs */
    JINJA_PAIR,        /* a: b */
    JINJA_ATTRIBUTE,   /* a.text */
    JINJA_ITEM,        /* a[b] */
    JINJA_SLICE,       /* a[b:c:d] */
    JINJA_CALL,        /* a(first: arguments) */
    JINJA_ARGUMENT,    /* a; text: its name or empty; op: 0, '*', or 'k' for ** */
    JINJA_FILTER,      /* a|text(first); a is NULL at the head of a filter block */
    JINJA_TEST,        /* a is text(first) */
    JINJA_NEGATE,      /* -a */
    JINJA_PLUS,        /* +a */
    JINJA_NOT,         /* not a */
    JINJA_AND,         /* a and b */
    JINJA_OR,          /* a or b */
    JINJA_BINARY,      /* a op b: + - * / % ~, 'f' for //, 'p' for ** */
    JINJA_COMPARE,     /* a, then first: JINJA_OPERAND */
    JINJA_OPERAND,     /* op a: '=' '!' '<' '>' 'l' 'g' 'i' (in) 'n' (not in) */
    JINJA_CONDITION,   /* a if b else c (c may be NULL) */
    /* statements */
    JINJA_DATA,         /* text */
    JINJA_PRINT,        /* a */
    JINJA_IF,           /* a: test, first: body; b: the next elif or else, NULL at the end */
    JINJA_ELSE,         /* first: body; stands at the end of an if's chain, or as d of a for */
    JINJA_FOR,          /* for a in b if c: first; else d */
    JINJA_SET,          /* a = b */
    JINJA_SET_BLOCK,    /* a = first, through the filters of b (NULL: none) */
    JINJA_MACRO,        /* text(b: params): first */
    JINJA_PARAMS,       /* first: JINJA_PARAM; op: JINJA_USES_* of the body */
    JINJA_PARAM,        /* text; a: default or NULL */
    JINJA_CALL_BLOCK,   /* call(b: params) a: first */
    JINJA_FILTER_BLOCK, /* a: filters, first */
    JINJA_WITH,         /* b: JINJA_ELSE holding JINJA_SETs, first */
    JINJA_SCOPE,        /* first: a block that only makes a scope ({% generation %}) */
    JINJA_BREAK,
    JINJA_CONTINUE
} jinja_node_kind;

enum { JINJA_USES_CALLER = 1, JINJA_USES_VARARGS = 2, JINJA_USES_KWARGS = 4 };

typedef struct jinja_node jinja_node;
struct jinja_node {
    uint8_t kind;
    uint8_t op;
    int line;
    ae_span text;
    int64_t integer;
    double real;
    jinja_node *a, *b, *c, *d;
    jinja_node *first, *next;
};

/* Nesting of brackets and blocks that a template may have. */
#define JINJA_MAX_NESTING 128

typedef struct {
    const jinja_token *tokens;
    size_t at;
    ae_arena *arena;
    aerie_error *err;
    aerie_status status; /* the first failure; the cursor then stands at the end */
    int nesting;
    int loops;     /* open for blocks, for break and continue */
    unsigned uses; /* JINJA_USES_* seen in the macro being read */
} jinja_parser;

/* The whole template as a list of statements in `*out` (NULL: an empty template). */
aerie_status jinja_parse(jinja_node **out, const jinja_tokens *tokens, ae_arena *arena,
                         aerie_error *err);

/* Shared by the two halves of the parser: jinja_parse.c (statements), jinja_parse_expr.c. */
jinja_node *jinja_expr(jinja_parser *p);
/* One expression, or a tuple when commas follow. `with_if`: "x if y" belongs to it. */
jinja_node *jinja_expr_tuple(jinja_parser *p, bool with_if);
jinja_node *jinja_expr_primary(jinja_parser *p);
jinja_node *jinja_expr_postfix(jinja_parser *p, jinja_node *node);
/* The filters at the cursor, "a|b(c)": the first name is already the cursor. */
jinja_node *jinja_expr_filters(jinja_parser *p, jinja_node *node, bool at_name);
const jinja_token *jinja_here(const jinja_parser *p);
bool jinja_is_op(const jinja_parser *p, const char *op);
bool jinja_is_name(const jinja_parser *p, const char *name);
bool jinja_take_op(jinja_parser *p, const char *op);
bool jinja_take_name(jinja_parser *p, const char *name);
void jinja_need_op(jinja_parser *p, const char *op);
void jinja_advance(jinja_parser *p);
jinja_node *jinja_node_new(jinja_parser *p, jinja_node_kind kind);
void jinja_parse_fail(jinja_parser *p, const char *format, ...) AERIE_PRINTF(2, 3);
bool jinja_nest(jinja_parser *p); /* false, and a failure, when too deep; undo with nesting-- */

#endif

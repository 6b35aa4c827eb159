/* jinja.h -- the engine behind template.h: values, the state of one rendering, and the tables of
 * filters, tests, methods and functions. Private to text.
 *
 * Errors are sticky: a failing call records the sentence in the state and gives undefined; whoever
 * loops looks at `status`. All memory of a rendering lives in one arena with a limit, and every
 * node evaluated and every 64 bytes taken or compared is a step, so that no template runs for
 * ever or eats the machine. */
#ifndef AE_JINJA_H
#define AE_JINJA_H

#include "text/jinja_ast.h"
#include "text/jinja_chars.h"
#include "text/template.h"

typedef enum {
    JINJA_MISSING, /* an argument that was not given; never a value a template sees */
    JINJA_UNDEFINED,
    JINJA_NONE,
    JINJA_BOOL,
    JINJA_INT,
    JINJA_FLOAT,
    JINJA_STR,
    JINJA_LIST,
    JINJA_TUPLE,
    JINJA_ITER, /* what map, select... give: true even when empty, has no length, read once */
    JINJA_VIEW, /* dict.items(), .keys(), .values() */
    JINJA_DICT,
    JINJA_SPACE, /* namespace() */
    JINJA_FUNCTION,
    JINJA_METHOD,
    JINJA_MACRO_VALUE,
    JINJA_LOOP,
    JINJA_CYCLER,
    JINJA_JOINER
} jinja_kind;

typedef struct jinja jinja;
typedef struct jinja_list jinja_list;
typedef struct jinja_dict jinja_dict;
typedef struct jinja_loop jinja_loop;
typedef struct jinja_method jinja_method;
typedef struct jinja_macro jinja_macro;
typedef struct jinja_callable jinja_callable;

typedef struct {
    uint8_t kind;
    uint8_t owner; /* undefined: kind of the object that lacks the attribute; 0: a bare name */
    uint32_t len;  /* bytes of text */
    union {
        int64_t integer; /* bool too */
        double real;
        const char *text; /* str; undefined: the name */
        jinja_list *list; /* list, tuple, iter, view; cycler's items */
        jinja_dict *dict; /* dict, namespace */
        jinja_loop *loop;
        jinja_method *method;
        jinja_macro *macro;
        const jinja_callable *callable;
        bool *used; /* joiner: asked before */
    } as;
} jinja_value;

struct jinja_list {
    jinja_value *items;
    size_t n, cap;
    size_t at;             /* cycler: whose turn it is */
    bool spent;            /* iter: read already */
    jinja_value separator; /* joiner */
};

typedef struct {
    jinja_value key, value;
} jinja_pair;

struct jinja_dict {
    jinja_pair *pairs; /* in the order of insertion */
    size_t n, cap;
};

typedef struct {
    ae_span name;
    jinja_value value;
} jinja_named;

/* The arguments of a call. For a callable with a list of parameters the named ones are moved to
 * their places first, and `pos` holds every parameter, JINJA_MISSING where none was given. */
typedef struct {
    const jinja_value *pos;
    size_t n;
    const jinja_named *named;
    size_t n_named;
} jinja_args;

typedef jinja_value jinja_fn(jinja *j, jinja_value self, const jinja_args *args);

struct jinja_callable {
    const char *name;
    const char *params; /* names separated by spaces; NULL: takes whatever comes */
    int need;           /* how many of them must be given */
    jinja_fn *fn;
};

struct jinja_method {
    const jinja_callable *callable; /* NULL: refused, the method changes its object */
    jinja_value self;
    ae_span name;
};

typedef struct jinja_frame jinja_frame;
struct jinja_frame {
    jinja_frame *parent;
    jinja_named *vars;
    size_t n, cap;
};

struct jinja_macro {
    const jinja_node *params, *body;
    ae_span name;
    jinja_frame *frame; /* where it was defined */
};

struct jinja_loop {
    const jinja_value *items;
    size_t n, at;
    jinja_value changed; /* what changed() saw last */
};

struct jinja {
    ae_arena arena;
    char *chunk; /* small things are cut from chunks */
    size_t chunk_left;
    aerie_error *err;
    aerie_status status;
    const ae_template_input *in;
    uint64_t steps;    /* left */
    size_t max_output; /* also of any one string */
    ae_bytes *out;
    size_t out_start; /* bytes that were in `out` before */
    bool strict;      /* what is undefined has no text */
    jinja_frame *frame;
    int depth, macros; /* of the evaluation, of macro calls */
    int line;
    enum { JINJA_GO, JINJA_STOP_LOOP, JINJA_NEXT_LOOP } signal;
};

/* jinja_state.c: failures, steps, memory. */
void jinja_fail(jinja *j, const char *format, ...) AERIE_PRINTF(2, 3);
void jinja_fail_memory(jinja *j);
bool jinja_spend(jinja *j, size_t steps);              /* false when there are none left */
void *jinja_take(jinja *j, size_t count, size_t size); /* zeroed; NULL: failed */
bool jinja_deeper(jinja *j); /* false when nested too deep; undo with depth-- */

/* jinja_value.c: making, measuring and comparing values. */
jinja_value jinja_undefined(ae_span name, int owner);
jinja_value jinja_none(void);
jinja_value jinja_bool(bool b);
jinja_value jinja_int(int64_t i);
jinja_value jinja_float(double f);
jinja_value jinja_str(jinja *j, ae_span text); /* borrowed */
jinja_value jinja_str_copy(jinja *j, ae_span text);
jinja_value jinja_str_take(jinja *j, ae_bytes *b); /* copies and frees *b */
jinja_value jinja_list_new(jinja *j, jinja_kind kind);
void jinja_list_add(jinja *j, jinja_value list, jinja_value item);
jinja_value jinja_dict_new(jinja *j, jinja_kind kind);
void jinja_dict_set(jinja *j, jinja_dict *d, jinja_value key, jinja_value value);
/* For keys known to be new, as those of a JSON object. */
void jinja_dict_add(jinja *j, jinja_dict *d, jinja_value key, jinja_value value);
const jinja_value *jinja_dict_get(jinja *j, const jinja_dict *d, jinja_value key);
const jinja_value *jinja_dict_text(jinja *j, const jinja_dict *d, ae_span key);
ae_span jinja_text_of(jinja_value v); /* of a str */
const char *jinja_type_name(int kind);
bool jinja_true(jinja_value v);
bool jinja_is_number(jinja_value v); /* bool, int, float */
double jinja_real(jinja_value v);
bool jinja_is_list(jinja_value v); /* list, tuple, view, iter */
/* Every item of something that can be looped over, as a list value of its own or borrowed. */
jinja_value jinja_iterate(jinja *j, jinja_value v);
/* len(); -1 and a failure when it has none. */
int64_t jinja_length(jinja *j, jinja_value v);
bool jinja_equal(jinja *j, jinja_value a, jinja_value b);
int jinja_order(jinja *j, jinja_value a, jinja_value b); /* <0, 0, >0; fails when it has none */
bool jinja_contains(jinja *j, jinja_value container, jinja_value item);

/* jinja_print.c: str(), repr() and JSON. */
void jinja_print(jinja *j, ae_bytes *out, jinja_value v);
void jinja_repr(jinja *j, ae_bytes *out, jinja_value v);
jinja_value jinja_to_str(jinja *j, jinja_value v);
void jinja_float_text(double f, char out[40]);
/* jinja_json.c */
jinja_value jinja_from_json(jinja *j, json_t *json);
jinja_value jinja_tojson(jinja *j, jinja_value self, const jinja_args *args); /* the filter */

/* jinja_access.c: attributes, items, slices. */
jinja_value jinja_attribute(jinja *j, jinja_value object, ae_span name);
/* What the object itself has by that name, not what it holds as a dict; undefined otherwise. */
jinja_value jinja_own_attribute(jinja *j, jinja_value object, ae_span name);
jinja_value jinja_item(jinja *j, jinja_value object, jinja_value key);
jinja_value jinja_slice(jinja *j, jinja_value object, jinja_value begin, jinja_value end,
                        jinja_value step);
/* "a.b.0" as map(attribute=) reads it; `fallback` stands in for what is undefined unless MISSING.
 */
jinja_value jinja_path(jinja *j, jinja_value object, jinja_value path, jinja_value fallback);

/* jinja_math.c: the operators. */
jinja_value jinja_binary(jinja *j, char op, jinja_value a, jinja_value b);
jinja_value jinja_negate(jinja *j, jinja_value v, bool negate);

/* jinja_call.c: calls of all kinds. */
jinja_value jinja_call(jinja *j, jinja_value callee, const jinja_args *args);
jinja_value jinja_invoke(jinja *j, const jinja_callable *c, jinja_value self,
                         const jinja_args *args);
jinja_value jinja_filter(jinja *j, ae_span name, jinja_value self, const jinja_args *args);
bool jinja_test(jinja *j, ae_span name, jinja_value self, const jinja_args *args);
const jinja_callable *jinja_find_callable(const jinja_callable *table, ae_span name);
/* Arguments as numbers and texts: `fallback` when missing, a failure when of another type. */
int64_t jinja_arg_int(jinja *j, jinja_value v, int64_t fallback);
bool jinja_arg_bool(jinja_value v, bool fallback);
ae_span jinja_arg_text(jinja *j, jinja_value v, const char *fallback);
const jinja_value *jinja_arg_named(const jinja_args *args, const char *name); /* NULL: none */

/* jinja_eval.c: expressions; jinja_exec.c: statements. */
jinja_value jinja_eval(jinja *j, const jinja_node *node);
jinja_value jinja_eval_filters(jinja *j, const jinja_node *node, jinja_value head);
void jinja_eval_call_args(jinja *j, const jinja_node *first, jinja_args *args);
void jinja_exec(jinja *j, const jinja_node *first);
/* Runs statements into a string. */
jinja_value jinja_capture(jinja *j, const jinja_node *first);
void jinja_assign(jinja *j, ae_span name, jinja_value value);
const jinja_value *jinja_lookup(jinja *j, ae_span name);
jinja_frame *jinja_frame_push(jinja *j, jinja_frame *parent); /* becomes j->frame */
jinja_value jinja_call_macro(jinja *j, const jinja_macro *m, const jinja_args *args);
void jinja_emit(jinja *j, ae_span text);

/* Tables, each ended by a NULL name. */
extern const jinja_callable jinja_filters_text[], jinja_filters_list[], jinja_filters_number[];
extern const jinja_callable jinja_filters_pick[];
extern const jinja_callable jinja_tests[];
extern const jinja_callable jinja_str_methods[], jinja_list_methods[], jinja_dict_methods[];
extern const jinja_callable jinja_str_methods_find[];
extern const jinja_callable jinja_functions[];
extern const jinja_callable jinja_loop_methods[], jinja_cycler_methods[];
/* jinja_format.c: "%s" % x and "{}".format(x). */
jinja_value jinja_percent(jinja *j, ae_span format, jinja_value values);
jinja_value jinja_format_braces(jinja *j, jinja_value self, const jinja_args *args);
jinja_value jinja_filter_format(jinja *j, jinja_value self, const jinja_args *args);
/* jinja_sort.c: stable order of values by `key` (NULL: themselves). */
void jinja_sort(jinja *j, jinja_value *items, const jinja_value *keys, size_t n, bool reverse);

#endif

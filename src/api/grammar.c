/* grammar.c -- the public face of grammars, and how the engine hears of them. */
#include "api/bound.h"

#include "text/text.h"

#include <jansson.h>
#include <math.h>
#include <stdatomic.h>

struct aerie_grammar {
    ae_grammar *rules;
    atomic_int holds;
};

const ae_grammar *ae_bound_rules(const aerie_grammar *g)
{
    return g->rules;
}

/* Takes the rules over. */
static aerie_status hold(aerie_grammar **out, ae_grammar *rules, aerie_error *err)
{
    aerie_grammar *g = ae_alloc(1, sizeof *g);
    *out = g;
    if (!g) {
        ae_grammar_free(rules);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a grammar");
    }
    g->rules = rules;
    atomic_init(&g->holds, 1);
    return AERIE_OK;
}

aerie_status aerie_grammar_gbnf(aerie_grammar **out, const char *text, aerie_error *err)
{
    ae_grammar *rules;
    *out = NULL;
    aerie_status status = ae_grammar_parse(&rules, ae_span_text(text), err);
    return status ? status : hold(out, rules, err);
}

aerie_status aerie_grammar_schema(aerie_grammar **out, const char *schema, aerie_error *err)
{
    ae_grammar *rules;
    *out = NULL;
    json_error_t why;
    json_t *json = json_loads(schema, JSON_DECODE_ANY, &why);
    if (!json)
        return aerie_fail(err, AERIE_BAD_TEXT, "the schema is not JSON (line %d, column %d): %s",
                          why.line, why.column, why.text);
    aerie_status status = ae_grammar_of_schema(&rules, json, err);
    json_decref(json);
    return status ? status : hold(out, rules, err);
}

aerie_status aerie_grammar_json(aerie_grammar **out, aerie_error *err)
{
    ae_grammar *rules;
    *out = NULL;
    aerie_status status = ae_grammar_of_json(&rules, err);
    return status ? status : hold(out, rules, err);
}

aerie_grammar *aerie_grammar_share(const aerie_grammar *g)
{
    /* The count of holds is not what a grammar says. */
    aerie_grammar *shared = (aerie_grammar *)(uintptr_t)g;
    atomic_fetch_add(&shared->holds, 1);
    return shared;
}

void aerie_grammar_free(aerie_grammar *g)
{
    if (!g || atomic_fetch_sub(&g->holds, 1) > 1) return;
    ae_grammar_free(g->rules);
    ae_free(g);
}

bool aerie_grammar_fits(const aerie_grammar *g, const char *text, size_t len)
{
    ae_grammar_state *s;
    if (ae_grammar_start(&s, g->rules, NULL)) return false;
    bool fits = true;
    for (size_t i = 0; i < len && fits; i++) fits = ae_grammar_advance(s, (ae_span){ text + i, 1 });
    fits = fits && ae_grammar_may_end(s);
    ae_grammar_stop(s);
    return fits;
}

/* ---- for the engine */

typedef struct {
    const ae_bound *bound;
    ae_grammar_state *state;
} bound_reply;

static void *start(void *user)
{
    bound_reply *r = ae_alloc(1, sizeof *r);
    if (!r) return NULL;
    r->bound = user;
    if (!ae_grammar_start(&r->state, r->bound->grammar, NULL)) return r;
    ae_free(r);
    return NULL;
}

static bool allows(void *state, int32_t id)
{
    bound_reply *r = state;
    return ae_grammar_takes_token(r->state, r->bound->order, id);
}

static bool mask(void *state, float *logits, int64_t vocab_size)
{
    bound_reply *r = state;
    /* A model may have more rows than its tokenizer tokens. */
    for (int64_t id = ae_token_order_size(r->bound->order); id < vocab_size; id++)
        logits[id] = -INFINITY;
    return ae_grammar_mask(r->state, r->bound->order, logits);
}

/* Of a token that ends the reply there are no bytes. */
static void accept(void *state, int32_t id)
{
    bound_reply *r = state;
    ae_grammar_advance(r->state, ae_token_order_bytes(r->bound->order, id));
}

static void end(void *state)
{
    bound_reply *r = state;
    ae_grammar_stop(r->state);
    ae_free(r);
}

ae_constraint ae_bound_constraint(const ae_bound *bound)
{
    return (ae_constraint){ .user = (void *)(uintptr_t)bound,
                            .start = start,
                            .allows = allows,
                            .mask = mask,
                            .accept = accept,
                            .end = end };
}

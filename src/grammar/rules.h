/* rules.h -- a grammar being written down, and as it is walked. Private to grammar.
 *
 * A rule has alternatives, an alternative is a row of elements: a set of bytes, one of which must
 * come, or a call of a rule. Characters are rows of bytes: what is walked knows no encoding. */
#ifndef AE_RULES_H
#define AE_RULES_H

#include "grammar/grammar.h"

/* An element of an alternative: >= 0 calls that rule; AE_RULE_END ends it; any other is the set
 * number -1 - element. */
enum { AE_RULE_END = INT32_MIN };
static inline int32_t ae_set_element(int32_t set)
{
    return -1 - set;
}

typedef struct {
    uint64_t bits[4]; /* byte b: bits[b / 64] >> b % 64 & 1 */
} ae_byte_set;

static inline bool ae_byte_set_has(const ae_byte_set *s, unsigned char b)
{
    return s->bits[b / 64] >> (b % 64) & 1;
}

struct ae_grammar {
    ae_ids code;         /* alternatives, one after the other, each with its AE_RULE_END */
    ae_ids alternatives; /* where each begins in the code; a rule's are neighbours */
    ae_ids first;        /* [n_rules + 1]: a rule's first in `alternatives` */
    ae_byte_set *sets;
    size_t n_sets, cap_sets;
    int32_t root;
};

/* A grammar that grows. Zeroed it is empty. Failures stick in `status` and `err`. */
typedef struct {
    ae_grammar *grammar;
    ae_ids owner; /* of every alternative so far: its rule */
    int32_t n_rules;
    aerie_status status;
    aerie_error *err;
} ae_rules;

void ae_rules_begin(ae_rules *r, aerie_error *err);
/* Hands the grammar over. AERIE_BAD_TEXT when a rule begins with itself, or no text fits. */
aerie_status ae_rules_finish(ae_rules *r, int32_t root, ae_grammar **out);
void ae_rules_abandon(ae_rules *r);
void ae_rules_fail(ae_rules *r, aerie_status status, const char *format, ...) AERIE_PRINTF(3, 4);

int32_t ae_rules_new(ae_rules *r);
/* Adds an alternative to a rule: the elements of `row` from `from` on, which leave it. */
void ae_rules_add(ae_rules *r, int32_t rule, ae_ids *row, size_t from);

/* ---- elements at the end of a row */
void ae_rules_byte(ae_rules *r, ae_ids *row, unsigned char b);
void ae_rules_text(ae_rules *r, ae_ids *row, ae_span text);
void ae_rules_call(ae_ids *row, int32_t rule);
/* One character of ranges [n][2], first and last, in any order; `negated`: any other. */
void ae_rules_class(ae_rules *r, ae_ids *row, const uint32_t (*ranges)[2], size_t n, bool negated);
/* What stands in the row from `from` on comes `least` to `most` times; most < 0: without end. */
void ae_rules_repeat(ae_rules *r, ae_ids *row, size_t from, int64_t least, int64_t most);

#endif

/* pretokenize.h -- cuts a text into the words within which byte-level BPE merges.
 *
 * A pre-tokenizer is a list of steps, each cutting the pieces of the one before. The patterns of
 * the well-known tokenizers are scanned by hand-written code; any other goes through PCRE2. */
#ifndef AE_PRETOKENIZE_H
#define AE_PRETOKENIZE_H

#include "base/base.h"

enum { AE_PRE_MAX_STEPS = 8 };

typedef struct ae_pre_pattern ae_pre_pattern;

/* The end of the piece that begins at `at` (at < text.len); always past `at`. */
typedef size_t ae_pre_scan_fn(ae_span text, size_t at);

typedef struct {
    ae_pre_scan_fn *scan;    /* hand-written, or */
    ae_pre_pattern *pattern; /* compiled */
} ae_pre_step;

typedef struct {
    ae_pre_step steps[AE_PRE_MAX_STEPS];
    int32_t n_steps; /* 0: the text is one word */
} ae_pretokenizer;

aerie_status ae_pretokenizer_new(ae_pretokenizer *p, const char *const *patterns,
                                 int32_t n_patterns, aerie_error *err);
void ae_pretokenizer_free(ae_pretokenizer *p);

/* Calls `word` for each word from left to right: together they are the whole text. */
typedef void ae_pre_word_fn(void *user, size_t begin, size_t end);
aerie_status ae_pretokenize(const ae_pretokenizer *p, ae_span text, ae_pre_word_fn *word,
                            void *user, aerie_error *err);

/* The patterns behind a name of GGUF's tokenizer.ggml.pre; NULL: no such name. */
const char *const *ae_pre_patterns(const char *name, int32_t *n_patterns);
/* What else a name means, which GGUF does not say. */
typedef struct {
    bool ignore_merges, normalize_nfc;
} ae_pre_meaning;
ae_pre_meaning ae_pre_means(const char *name);
/* The name of a list of patterns; NULL: it has none. */
const char *ae_pre_name(const char *const *patterns, int32_t n_patterns);
/* The known name nearest to a wrong one, or NULL. */
const char *ae_pre_nearest(const char *name);
/* What tokenizer.json's ByteLevel and Digits pre-tokenizers do, as patterns. */
extern const char ae_pre_gpt2[], ae_pre_digit[], ae_pre_digits[];

/* The scanner of a pattern; NULL: it has none. */
ae_pre_scan_fn *ae_pre_scanner(const char *pattern);

aerie_status ae_pre_pattern_new(ae_pre_pattern **out, const char *pattern, aerie_error *err);
void ae_pre_pattern_free(ae_pre_pattern *p); /* NULL is fine */

/* What matching needs besides the pattern: one for all patterns of a call, never two threads'. */
typedef struct ae_pre_matcher ae_pre_matcher;
aerie_status ae_pre_matcher_new(ae_pre_matcher **out, aerie_error *err);
void ae_pre_matcher_free(ae_pre_matcher *m); /* NULL is fine */

/* Calls `piece` for each match and each gap between matches. `piece` may split further with the
 * same matcher. */
aerie_status ae_pre_pattern_split(const ae_pre_pattern *p, ae_pre_matcher *m, ae_span text,
                                  ae_pre_word_fn *piece, void *user, aerie_error *err);

#endif

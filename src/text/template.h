/* template.h -- chat templates: the Jinja that model files carry, rendered as transformers does
 * (jinja2 ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks), within bounds. */
#ifndef AE_TEMPLATE_H
#define AE_TEMPLATE_H

#include "base/base.h"

#include <jansson.h>

typedef struct ae_template ae_template;

/* Parses once; the template is immutable and may be rendered by several threads at a time. An
 * error names the line. Nesting is bounded (128). */
aerie_status ae_template_parse(ae_template **out, ae_span source, aerie_error *err);
/* The same as Jinja itself reads a source: blocks leave their lines' breaks and indents, a line break
 * at the very end stays, and printing what is undefined fails. Tasks of lm-evaluation-harness are
 * written so. */
aerie_status ae_template_parse_plain(ae_template **out, ae_span source, aerie_error *err);
void ae_template_free(ae_template *t); /* NULL is fine */

typedef struct {
    json_t *messages;                  /* array of {"role", "content", ...}; borrowed */
    json_t *tools;                     /* NULL: none */
    json_t *extra;                     /* object of further variables, or NULL */
    const char *bos_token, *eos_token; /* NULL: "" */
    bool add_generation_prompt;
    bool generation_unsaid; /* add_generation_prompt is undefined, as where a caller says nothing */
    int64_t now_unix;       /* for strftime_now, UTC; 0: the clock's time */
    /* Bounds; 0 means the default. */
    uint64_t max_steps; /* evaluated nodes, 10 million */
    size_t max_output;  /* bytes, 16 MiB */
} ae_template_input;

/* Appends the rendered text. AERIE_BAD_TEXT with the template's own words for raise_exception. */
aerie_status ae_template_render(const ae_template *t, const ae_template_input *in, ae_bytes *out,
                                aerie_error *err);

/* Formats for files that carry no template: "zephyr", "openchat", "mistral", "llama2", "llama3",
 * "chatml", "gemma", "alpaca", "vicuna"... The Jinja source of one by name; NULL: unknown. */
const char *ae_template_known(const char *name);
/* The i-th known name, for listings and "did you mean"; NULL past the end. */
const char *ae_template_known_name(size_t i);
/* Which known format suits a vocabulary, by the special tokens it has. `has` tells whether a token
 * exists. NULL: none. */
const char *ae_template_guess(bool (*has)(void *user, const char *token), void *user);

#endif

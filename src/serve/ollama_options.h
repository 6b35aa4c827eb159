/* ollama_options.h -- Ollama's `options`, over those of a Modelfile. Private to serve. */
#ifndef AE_OLLAMA_OPTIONS_H
#define AE_OLLAMA_OPTIONS_H

#include "serve/reply.h"

#include "aerie/engine.h"

enum { AE_OLLAMA_MOST_STOPS = 64 };

/* What of them an ask takes. `stop` borrows from the JSON. */
typedef struct {
    aerie_parameters of;
    const char *stop[AE_OLLAMA_MOST_STOPS];
    size_t n_stop;
} ae_ollama_options;

/* Ollama's defaults. */
void ae_ollama_options_begin(ae_ollama_options *o);
/* Lays `options` (NULL: nothing) over them. Unknown ones are let pass; a wrong type is Ollama's
 * sentence (`option "num_ctx" must be of type integer`). */
aerie_status ae_ollama_options_add(ae_ollama_options *o, const json_t *options, aerie_error *err);

/* The generator's seed for a request's `seed` that is none by chance: the number itself, if it is
 * above 0. */
uint64_t ae_seed_of(int64_t n);
/* A request's top_p, where 0 lets the best alone pass; with the sampler it would be off. */
float ae_top_p_of(double p);

/* `format`: "json", a schema, or nothing (*out NULL). *out is the caller's. */
aerie_status ae_ollama_format(aerie_grammar **out, const json_t *format, aerie_error *err);

#endif

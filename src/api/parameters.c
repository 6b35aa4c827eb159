/* parameters.c -- Ollama's options that are numbers, one table. */
#include "api/api.h"

#include <math.h>
#include <string.h>

typedef enum { REAL, WHOLE, LONG } kind; /* float, int, int64_t */

static const struct {
    const char *name;
    kind kind;
    size_t at;
} known[] = {
    { "temperature", REAL, offsetof(aerie_parameters, sampling.temperature) },
    { "top_k", WHOLE, offsetof(aerie_parameters, sampling.top_k) },
    { "top_p", REAL, offsetof(aerie_parameters, sampling.top_p) },
    { "min_p", REAL, offsetof(aerie_parameters, sampling.min_p) },
    { "typical_p", REAL, offsetof(aerie_parameters, sampling.typical_p) },
    { "repeat_penalty", REAL, offsetof(aerie_parameters, sampling.repeat_penalty) },
    { "presence_penalty", REAL, offsetof(aerie_parameters, sampling.presence_penalty) },
    { "frequency_penalty", REAL, offsetof(aerie_parameters, sampling.frequency_penalty) },
    { "repeat_last_n", WHOLE, offsetof(aerie_parameters, sampling.repeat_last_n) },
    { "num_ctx", LONG, offsetof(aerie_parameters, num_ctx) },
    /* An older name; where both are said, the newer one counts. */
    { "max_output_tokens", LONG, offsetof(aerie_parameters, num_predict) },
    { "num_predict", LONG, offsetof(aerie_parameters, num_predict) },
};

static void set(void *to, kind of, double value)
{
    float real = (float)value;
    int64_t whole = (int64_t)fmax(fmin(value, 9e15), -1);
    int small = (int)ae_min64(whole, 1 << 30);

    switch (of) {
    case REAL:
        memcpy(to, &real, sizeof real);
        break;
    case WHOLE:
        memcpy(to, &small, sizeof small);
        break;
    case LONG:
        memcpy(to, &whole, sizeof whole);
        break;
    }
}

bool aerie_parameters_set(aerie_parameters *p, const char *name, double value)
{
    if (!isfinite((float)value)) return false;
    for (size_t i = 0; i < AE_COUNT(known); i++) {
        if (strcmp(known[i].name, name) != 0) continue;
        set((char *)p + known[i].at, known[i].kind, value);
        return true;
    }
    return false;
}

const char *aerie_parameter_name(size_t i, bool *whole)
{
    if (i >= AE_COUNT(known)) return NULL;
    if (whole) *whole = known[i].kind != REAL;
    return known[i].name;
}

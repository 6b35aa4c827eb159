/* method.h -- private: the one table of training methods. A new method is an objective file and a
 * line here: reading, defaults, checks and documentation all walk this. */
#ifndef AE_TRAIN_METHOD_H
#define AE_TRAIN_METHOD_H

#include "train/objective.h"

typedef struct {
    const char *name;              /* what `method:` says */
    const ae_objective *objective; /* NULL: it has a loop of its own */
    ae_example_kind kind;          /* what its records are made into */
    double learning_rate;          /* default peak of all parameters; ten times that with LoRA */
    double beta;                   /* default of the key; 0: it has none */
    int64_t max_length;            /* default, where the model's context is no shorter */
    bool online;                   /* samples its replies: the records are prompts */
    bool of_tokens;                /* its loss is a mean over learned tokens, of any sequence */
    /* Recipe keys that it has and not every method has, apart by spaces. A key that no method lists
     * is every method's. */
    const char *keys;
    const char *source; /* paper or reference code */
} ae_method_info;

/* By ae_method; NULL out of range. */
const ae_method_info *ae_method_at(int method);
const ae_method_info *ae_method_of(const ae_recipe *recipe);
const char *ae_method_name(int method); /* NULL out of range */
/* Whether a recipe of this method may set the key. */
bool ae_method_has_key(const ae_method_info *method, const char *key);
/* "dpo, kto, cpo": the methods that list the key. */
void ae_method_names_with_key(const char *key, char *out, size_t size);

#endif

/* recipe.h -- private: the one table of a recipe's keys. */
#ifndef AE_TRAIN_RECIPE_H
#define AE_TRAIN_RECIPE_H

#include "train/train.h"

typedef enum {
    AE_KEY_TEXT,    /* const char *; NULL: not given */
    AE_KEY_FLAG,    /* bool */
    AE_KEY_COUNT,   /* int64_t in low .. high */
    AE_KEY_NUMBER,  /* double in low .. high; NaN: not given */
    AE_KEY_WORD,    /* int, one of word(0), word(1), ... */
    AE_KEY_TEXTS,   /* ae_texts: a text or a list of them */
    AE_KEY_SOURCES, /* ae_sources: a path, or a list of paths and {path, columns, fraction} */
    AE_KEY_WORDS,   /* ae_words: a word or a list of them */
    AE_KEY_NUMBERS, /* ae_numbers in low .. high: a number or a list of them */
    AE_KEY_MAP      /* ae_texts: a mapping, its names and values in turns */
} ae_key_kind;

typedef struct {
    const char *name; /* dotted below a mapping: "lora.r" */
    ae_key_kind kind;
    size_t offset; /* in ae_recipe */
    double low, high;
    const char *(*word)(int i);
    const char *default_text; /* parsed like a recipe's own; NULL: not given */
    bool identity;            /* changes what is computed: a checkpoint must agree */
    const char *doc;
} ae_key;

extern const ae_key ae_recipe_keys[];
extern const size_t ae_n_recipe_keys;

/* The key of that name, or NULL. */
const ae_key *ae_recipe_key(const char *name);
/* The part after the dot of the first key below `word`, "r" for "lora"; NULL: none is. */
const char *ae_recipe_first_below(const char *word);
static inline bool ae_recipe_is_mapping(const char *word)
{
    return ae_recipe_first_below(word) != NULL;
}
/* AERIE_NOT_FOUND with a sentence that offers the nearest key. */
aerie_status ae_recipe_unknown(const char *name, aerie_error *err);
/* Sets a key from a scalar's text, which the recipe copies. Errors name the key. */
aerie_status ae_recipe_set(ae_recipe *recipe, const ae_key *key, const char *text,
                           aerie_error *err);
/* Appends to a key of kind AE_KEY_WORDS or AE_KEY_NUMBERS, which ae_recipe_set() begins anew. */
aerie_status ae_recipe_add(ae_recipe *recipe, const ae_key *key, const char *text,
                           aerie_error *err);
/* "loss"...; NULL out of range. */
const char *ae_best_metric_name(int metric);
/* Whether what evaluations say changes the run. */
bool ae_best_is_wanted(const ae_recipe *recipe);
/* How a recipe's records become tokens. A zeroed one is closed. */
typedef struct {
    ae_template *chat_template;
    ae_conditions conditions;
    ae_encode_options encode;
} ae_recipe_encoder;
aerie_status ae_recipe_encoder_open(ae_recipe_encoder *out, const ae_recipe *recipe,
                                    const ae_model *model, const char *template_source,
                                    aerie_error *err);
void ae_recipe_encoder_close(ae_recipe_encoder *e);
ae_dataset_options ae_recipe_dataset_options(const ae_recipe *recipe, const ae_source *source);
/* After a source was read: only its fraction stays. */
void ae_recipe_took(ae_samples *s, const ae_source *source, const ae_dataset *dataset);
/* Parts that were read become `all`, as the method wants its samples. */
aerie_status ae_recipe_join(ae_recipe_samples *s, const ae_recipe *recipe, const ae_model *model,
                            aerie_error *err);
/* Fills in what depends on other keys, and refuses what contradicts itself. */
aerie_status ae_recipe_check(ae_recipe *recipe, aerie_error *err);

#endif

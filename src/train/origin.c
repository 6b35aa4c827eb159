/* origin.c -- what an adapter is learned from: hashes of the recipe and of its data. */
#include "train/origin.h"

#include "train/recipe.h"

#include <string.h>

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for what an adapter is learned from");
}

static aerie_status hash_recipe(char out[65], const ae_recipe *r, aerie_error *err)
{
    ae_bytes text = { 0 };
    ae_sha256 s;
    aerie_status status;

    ae_recipe_print(r, true, &text);
    status = ae_bytes_status(&text, err);
    if (!status) {
        ae_sha256_start(&s);
        ae_sha256_add(&s, text.data, text.len);
        ae_sha256_hex(&s, out);
    }
    ae_bytes_free(&text);
    return status;
}

enum { MOST_FILES = 256 };

/* A folder's files, or a pattern's, one by one. Samples that were made in memory have none. */
static void hash_source(ae_chain *out, const char *source, ae_arena *arena)
{
    const char **paths;
    size_t n;

    if (ae_files_of(&paths, &n, source, arena, NULL)) return;
    for (size_t i = 0; i < n && out->n_data < MOST_FILES; i++) {
        const char *slash = strrchr(paths[i], '/');
        ae_chain_link *link = &out->data[out->n_data];
        link->name = slash && slash[1] ? slash + 1 : paths[i];
        /* One that cannot be read (any more) is left out. */
        out->n_data += !ae_file_sha256(link->hash, paths[i], NULL, NULL, NULL);
    }
}

static const char *word_of(const char *key, int value)
{
    const ae_key *k = ae_recipe_key(key);

    return k && k->word ? k->word(value) : NULL;
}

aerie_status ae_origin_of(ae_chain *out, const ae_recipe *r, ae_arena *arena, aerie_error *err)
{
    *out = (ae_chain){ .method = word_of("method", r->method) };
    if (r->load_in != AE_LOAD_AS_STORED) out->load_in = word_of("load_in", r->load_in);
    out->data = ae_arena_take(arena, MOST_FILES, sizeof *out->data);
    if (!out->data) return no_memory(err);
    for (int64_t i = 0; i < r->data.n; i++) hash_source(out, r->data.items[i].path, arena);
    return hash_recipe(out->recipe, r, err);
}

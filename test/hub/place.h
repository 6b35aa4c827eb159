/* place.h -- folders of models for a test, and models without weights to put into them. */
#ifndef AE_TEST_PLACE_H
#define AE_TEST_PLACE_H

#include "scratch.h"

#include "hub/hub.h"

typedef struct {
    char *root;
    char *models, *ollama, *hf, *share; /* owned */
    ae_places places;
} place;

static inline void put_file(const char *folder, const char *name, const char *text)
{
    char *path = ae_path_join(folder, name), *slash = strrchr(path, '/');

    *slash = '\0';
    assert_int_equal(ae_file_make_folder(path, NULL), AERIE_OK);
    *slash = '/';
    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    ae_free(path);
}

static inline bool has_file(const char *folder, const char *name)
{
    char *path = ae_path_join(folder, name);
    bool found = ae_file_exists(path);

    ae_free(path);
    return found;
}

static inline place place_make(void)
{
    place p = { .root = scratch_make() };

    p.models = ae_path_join(p.root, "store");
    p.ollama = ae_path_join(p.root, "ollama");
    p.hf = ae_path_join(p.root, "hf");
    p.share = ae_path_join(p.root, "share");
    p.places = (ae_places){ p.models, p.ollama, p.hf, p.share };
    put_file(p.share, "nursery.gguf", "x");
    put_file(p.share, "nursery-zephyr.gguf", "x");
    put_file(p.share, "readme.txt", "x");
    return p;
}

static inline void place_leave(place *p)
{
    scratch_remove(p->root);
    ae_free(p->models);
    ae_free(p->ollama);
    ae_free(p->hf);
    ae_free(p->share);
}

/* A layer of these bytes, whose blob is in the store. */
static inline ae_layer put_layer(const ae_places *places, const char *media, const char *text)
{
    ae_layer l = { .media = media, .bytes = (int64_t)strlen(text) };
    ae_blob_writer w;

    assert_int_equal(ae_blob_begin(&w, places, NULL), AERIE_OK);
    ae_blob_add(&w, text, strlen(text));
    assert_int_equal(ae_blob_finish(&w, NULL, l.hex, NULL, NULL), AERIE_OK);
    return l;
}

/* A model of the store: weights, a system message and a config. */
static inline void put_model(const ae_places *places, const char *name, const char *weights,
                             const char *system)
{
    ae_layer layers[] = { put_layer(places, AE_MEDIA "model", weights),
                          put_layer(places, AE_MEDIA "system", system) };
    const ae_manifest m = { .config = put_layer(places, "config", "{\"model_family\":\"llama\"}"),
                            .layers = layers,
                            .n = AE_COUNT(layers) };
    aerie_error err = { 0 };
    ae_name parsed;

    assert_true(ae_name_parse(&parsed, name));
    if (ae_manifest_save(&m, NULL, &parsed, places, &err)) fail_msg("%s: %s", name, err.message);
}

/* The same in the other store. */
static inline void put_ollama(const place *p, const char *name, const char *weights,
                              const char *system)
{
    const ae_places other = { .models = p->ollama };

    put_model(&other, name, weights, system);
}

#endif

/* pull.c -- a model from a registry: its manifest, its layers, and then its name. */
#include "hub/registry.h"

#include <string.h>

static const char accepted[] = "application/vnd.docker.distribution.manifest.v2+json";

static aerie_status get_manifest(ae_registry *r, ae_manifest *m, ae_arena *arena, ae_bytes *text,
                                 aerie_error *err)
{
    ae_http_response answer = { 0 };
    ae_bytes url = { 0 };
    aerie_status status;

    ae_bytes_printf(&url, "%s/manifests/%s", r->base.data, r->name->tag);
    status = ae_bytes_status(&url, err);
    if (!status) status = ae_registry_get(r, url.data, accepted, &answer, err);
    if (status == AERIE_NOT_FOUND)
        aerie_error_prefix(err, "pull model manifest: file does not exist");
    if (!status) {
        ae_bytes_add(text, answer.body.data, answer.body.len);
        status = ae_bytes_status(text, err);
    }
    if (!status)
        status =
            ae_manifest_parse(m, arena, text->data ? text->data : "", text->len, url.data, err);
    ae_http_response_free(&answer);
    ae_bytes_free(&url);
    return status;
}

static aerie_status get_layers(ae_registry *r, const ae_manifest *m, const ae_places *places,
                               aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i <= m->n && !status; i++) {
        const ae_layer *l = i < m->n ? &m->layers[i] : &m->config;
        if (!l->hex[0]) continue;
        ae_blob_keep(places, l->hex);
        status = ae_registry_blob(r, l, places, err);
    }
    return status;
}

static aerie_status save(ae_registry *r, const ae_manifest *m, const ae_bytes *text,
                         const ae_places *places, aerie_error *err)
{
    ae_arena arena = { 0 };
    ae_manifest old = { 0 };
    aerie_status status, had = ae_hub_manifest(&old, &arena, r->name, places, NULL);

    ae_registry_tell(r, "writing manifest", NULL, 0, 0);
    status = r->stop ? aerie_fail(err, AERIE_INTERRUPTED, "interrupted")
                     : ae_manifest_save(m, text->data, r->name, places, err);
    if (!status && !had && strcmp(old.hex, m->hex) != 0) {
        ae_registry_tell(r, "removing unused layers", NULL, 0, 0);
        status = ae_hub_collect(&old, places, err);
    }
    if (!status) ae_registry_tell(r, "success", NULL, 0, 0);
    ae_arena_free(&arena);
    return status;
}

aerie_status ae_hub_pull(const char *word, const ae_places *places, const ae_pull_options *options,
                         aerie_error *err)
{
    ae_registry r = { 0 };
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    ae_manifest m;
    ae_name name;
    aerie_status status = ae_store_need(places, err);

    if (!status && !ae_name_parse(&name, word))
        status = aerie_fail(err, AERIE_BAD_ARGUMENT, "invalid model name '%.200s'", word);
    if (!status) status = ae_registry_open(&r, &name, options, err);
    if (!status && !ae_registry_tell(&r, "pulling manifest", NULL, 0, 0))
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    if (!status) status = get_manifest(&r, &m, &arena, &text, err);
    if (!status) status = get_layers(&r, &m, places, err);
    if (!status && !ae_registry_tell(&r, "verifying sha256 digest", NULL, 0, 0))
        status = aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    if (!status) status = save(&r, &m, &text, places, err);
    ae_registry_close(&r);
    ae_bytes_free(&text);
    ae_arena_free(&arena);
    return status;
}

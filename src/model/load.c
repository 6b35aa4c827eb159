/* load.c -- opening a model: configuration first, then every parameter found and checked. Weights
 * stay in the mapped file. */
#include "model/chain.h"
#include "model/model_private.h"

#include <stdio.h>
#include <string.h>

static aerie_status check_shape(const ae_model *m, const ae_stored_tensor *t,
                                const ae_param_site *site, aerie_error *err)
{
    if (t->rows == site->rows && t->cols == site->cols) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_FILE,
                      "%s: tensor '%s' is %lld x %lld, but the configuration asks for %lld x %lld",
                      m->path, t->name, (long long)t->rows, (long long)t->cols,
                      (long long)site->rows, (long long)site->cols);
}

/* Norms and biases are used as F32; files may hold them in half precision, and norms less `plus`.
 * They are always copied: each alone between two matrices, they would keep 64 KiB of the file in
 * memory apiece. */
static aerie_status vector_as_f32(ae_model *m, ae_tensor *t, float plus, const char *name,
                                  aerie_error *err)
{
    if (t->rows > 1) return AERIE_OK;
    float *copy = ae_arena_take(&m->arena, (size_t)t->cols, sizeof *copy);
    if (!copy) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for '%s'", m->path, name);
    if (!ae_dtype_decode_row(t->dtype, t->data, t->cols, copy))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: '%s' has %lld numbers, no whole blocks of its type", m->path, name,
                          (long long)t->cols);
    for (int64_t i = 0; plus && i < t->cols; i++) copy[i] += plus;
    t->data = copy;
    t->dtype = AE_F32;
    return AERIE_OK;
}

/* Where a Gemma 3 that reads images too keeps the names of the model of text: "model." becomes one
 * of these. */
static const char *const text_prefixes[] = { "model.", "language_model.model.",
                                             "model.language_model." };

static const char *find_prefix(const ae_tensor_list *list)
{
    char name[AE_PARAM_NAME];

    for (size_t i = 0; i < AE_COUNT(text_prefixes); i++) {
        snprintf(name, sizeof name, "%sembed_tokens.weight", text_prefixes[i]);
        if (ae_tensor_list_find(list, name)) return text_prefixes[i];
    }
    return text_prefixes[0];
}

static void stored_name(const ae_param_site *site, const char *prefix, char out[AE_PARAM_NAME])
{
    char name[AE_PARAM_NAME];
    size_t plain = strlen(text_prefixes[0]);

    if (!prefix) {
        ae_param_gguf_name(site, out);
        return;
    }
    ae_param_hf_name(site, name);
    if (strncmp(name, text_prefixes[0], plain) == 0)
        snprintf(out, AE_PARAM_NAME, "%.40s%.50s", prefix, name + plain);
    else /* the head, beside the model */
        snprintf(out, AE_PARAM_NAME, "%.*s%.50s", prefix == text_prefixes[1] ? 15 : 0, prefix,
                 name);
}

/* `prefix`: of Hugging Face's names; NULL: GGUF's. */
static aerie_status load_param(ae_model *m, const ae_tensor_list *list, const ae_param_site *site,
                               const char *prefix, aerie_error *err)
{
    bool less_one =
        prefix && ae_param_is_norm(site->param) && ae_family_of(&m->config)->norms_minus_one;
    char name[AE_PARAM_NAME];
    aerie_status status;

    stored_name(site, prefix, name);
    const ae_stored_tensor *stored = ae_tensor_list_find(list, name);
    if (!stored)
        return aerie_fail(
            err, AERIE_BAD_FILE,
            "%s: tensor '%s' is missing; is the file whole, and of the architecture that "
            "it says (%s)?",
            m->path, name, m->config.family);
    status = check_shape(m, stored, site, err);
    if (!status) {
        status = ae_stored_tensor_view(site->tensor, stored, err);
        if (status) aerie_error_prefix(err, "%s", m->path);
    }
    if (!status) status = vector_as_f32(m, site->tensor, less_one ? 1 : 0, name, err);
    return status;
}

aerie_status ae_model_load(ae_model *m, const ae_tensor_list *list, bool gguf_names,
                           aerie_error *err)
{
    const char *prefix = gguf_names ? NULL : find_prefix(list);
    aerie_status status = AERIE_OK;

    if (prefix && prefix != text_prefixes[0])
        ae_log(AERIE_LOG_INFO, "%s: reads images too; its model of text alone is used", m->path);
    for (int64_t i = 0; !status && i < m->n_params; i++) {
        ae_param_site site = ae_param_site_at(&m->config, &m->weights, i);
        status = load_param(m, list, &site, prefix, err);
    }
    return status ? status : ae_model_wire(m, err);
}

static aerie_status read_chain(ae_model *m, aerie_error *err)
{
    ae_span text;
    aerie_status status;

    if (!ae_gguf_has(m->gguf, AE_CHAIN_KEY)) return AERIE_OK;
    status = ae_gguf_text(m->gguf, AE_CHAIN_KEY, &text, err);
    return status ? status : ae_chain_read(&m->chain, &m->arena, text, m->path, err);
}

static aerie_status open_gguf(ae_model *m, aerie_error *err)
{
    aerie_status status = ae_gguf_open(&m->gguf, m->path, err);

    if (!status)
        status = ae_config_from_gguf(&m->config, m->gguf, &m->arena, &m->rope_factors, err);
    if (!status) status = ae_model_lay_out(m, err);
    if (!status) status = ae_model_load(m, ae_gguf_tensors(m->gguf), true, err);
    if (!status) status = ae_model_read_text_metadata(m, err);
    if (!status) status = read_chain(m, err);
    return status;
}

aerie_status ae_model_read_folder_config(ae_model *m, const char *folder, aerie_error *err)
{
    char *path = ae_path_join(folder, "config.json");
    aerie_status status;

    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", folder);
    if (ae_file_exists(path))
        status = ae_config_from_hf(&m->config, path, err);
    else
        status = aerie_fail(err, AERIE_NOT_FOUND,
                            "%s: has no config.json; a model is a GGUF file or a "
                            "folder with config.json and model.safetensors",
                            folder);
    ae_free(path);
    return status;
}

static aerie_status open_folder(ae_model *m, aerie_error *err)
{
    aerie_status status = ae_model_read_folder_config(m, m->path, err);

    if (!status) status = ae_safetensors_open(&m->safetensors, m->path, err);
    if (!status) status = ae_model_lay_out(m, err);
    if (!status) status = ae_model_load(m, ae_safetensors_tensors(m->safetensors), false, err);
    if (!status) status = ae_model_read_text_files(m, m->path, err);
    return status;
}

aerie_status ae_model_open(ae_model **out, const char *path, aerie_error *err)
{
    ae_model *m;
    aerie_status status = ae_model_new(&m, path, err);

    *out = NULL;
    if (status) return status;
    status = ae_file_is_folder(path) ? open_folder(m, err) : open_gguf(m, err);
    if (!status) status = ae_model_settle_text(m, err);
    if (status)
        ae_model_close(m);
    else
        *out = m;
    return status;
}

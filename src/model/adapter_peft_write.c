/* adapter_peft_write.c -- a LoRA adapter as a PEFT folder. Its chain lies in the metadata of the
 * weights' file: PEFT before 0.14 refuses an adapter_config.json with keys that it does not know.
 */
#include "model/adapter_pattern.h"
#include "model/tokenizer_files.h"

#include <math.h>
#include <stdlib.h>

static void safetensors_sink(void *file, const void *data, size_t bytes)
{
    ae_safetensors_writer_add(file, data, bytes);
}

/* Two walks: all names and shapes come before any data. */
static void write_matrices(const ae_adapter *a, const ae_model *m, bool announce,
                           ae_safetensors_writer *w)
{
    char name[AE_PARAM_NAME + 64];

    for (int64_t i = 0; i < a->n_layers * AE_N_PROJ; i++) {
        const ae_lora *lora = &a->loras[i];
        if (!lora->a) continue;
        ae_param_site site =
            ae_param_of_projection(&m->config, &m->weights, i / AE_N_PROJ, (int)(i % AE_N_PROJ));
        int64_t head_dim = site.param->permuted && a->rope_interleaved ? m->config.head_dim : 0;
        const ae_tensor *parts[] = { lora->a, lora->b, lora->m };
        for (int k = 0; k < (lora->m ? 3 : 2); k++) {
            const int64_t dims[2] = { parts[k]->rows, parts[k]->cols };
            ae_adapter_peft_name(&site, (ae_lora_part)k, name);
            if (announce)
                ae_safetensors_writer_tensor(w, name, AE_F32, dims, k == AE_LORA_M ? 1 : 2);
            else
                ae_adapter_send(parts[k], k == AE_LORA_A ? 0 : head_dim, false, safetensors_sink,
                                w);
        }
    }
}

/* A reward model's head, a module of its own. */
static void write_score(const ae_adapter *a, bool announce, ae_safetensors_writer *w)
{
    if (!a->score) return;
    const int64_t dims[2] = { 1, a->score->cols };
    if (announce)
        ae_safetensors_writer_tensor(w, AE_PEFT_SCORE, AE_F32, dims, 2);
    else
        ae_adapter_send(a->score, 0, false, safetensors_sink, w);
}

static aerie_status write_weights(const ae_adapter *a, const ae_model *m, const char *folder,
                                  const ae_bytes *chain, aerie_error *err)
{
    char *path = ae_path_join(folder, "adapter_model.safetensors");
    ae_safetensors_writer *w = NULL;
    aerie_status status = AERIE_OK;

    if (!path) return aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", folder);
    status = ae_safetensors_writer_open(&w, path, err);
    ae_free(path);
    if (status) return status;
    ae_safetensors_set(w, "format", "pt");
    ae_safetensors_set(w, AE_CHAIN_KEY, chain->data);
    write_matrices(a, m, true, w);
    write_score(a, true, w);
    write_matrices(a, m, false, w);
    write_score(a, false, w);
    return ae_safetensors_writer_commit(w, err);
}

static json_t *targets_json(const ae_lora_options *o)
{
    json_t *list = json_array();

    for (int p = 0; p < AE_N_PROJ; p++)
        if (o->targets[p]) json_array_append_new(list, json_string(ae_proj_name(p)));
    return list;
}

json_t *ae_adapter_number_json(double value)
{
    return value == floor(value) && fabs(value) < 1e9 ? json_integer((json_int_t)value)
                                                      : json_real(value);
}

/* PEFT makes matrices for every layer that its config does not leave out. NULL: all have some. */
static json_t *layers_json(const ae_adapter *a)
{
    json_t *list = json_array();

    for (int64_t layer = 0; layer < a->n_layers; layer++) {
        bool any = false;
        for (int p = 0; p < AE_N_PROJ; p++) any |= a->loras[layer * AE_N_PROJ + p].a != NULL;
        if (any) json_array_append_new(list, json_integer((json_int_t)layer));
    }
    if ((int64_t)json_array_size(list) < a->n_layers) return list;
    json_decref(list);
    return NULL;
}

/* Takes the patterns. */
static json_t *config_json(const ae_adapter *a, const ae_model *m, json_t *ranks, json_t *alphas)
{
    const ae_lora_options *o = &a->options;
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:b, s:b, s:b, s:I, s:o, s:f, s:o, s:b, s:b, s:o, s:o}", "peft_type",
        "LORA", "task_type", a->score ? "SEQ_CLS" : "CAUSAL_LM", "bias", "none", "inference_mode",
        1, "init_lora_weights", 1, "fan_in_fan_out", 0, "r", (json_int_t)o->rank, "lora_alpha",
        ae_adapter_number_json((double)o->alpha), "lora_dropout", (double)o->dropout,
        "target_modules", targets_json(o), "use_rslora", o->rslora, "use_dora", o->dora,
        "rank_pattern", ranks, "alpha_pattern", alphas);
    json_t *modules = a->score ? json_pack("[s]", "score") : json_null();
    json_t *base = json_string(m->path);

    json_t *layers = layers_json(a);

    if (root && layers) json_object_set_new(root, "layers_to_transform", layers);
    if (root) json_object_set_new(root, "modules_to_save", modules);
    if (root && base) json_object_set_new(root, "base_model_name_or_path", base);
    return root;
}

static aerie_status write_config(const ae_adapter *a, const ae_model *m, const char *folder,
                                 aerie_error *err)
{
    json_t *ranks, *alphas, *root = NULL;
    char *text;
    aerie_status status = ae_pattern_write(&ranks, &alphas, a, m, err);

    if (status) return status;
    root = config_json(a, m, ranks, alphas);
    text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
    status = text ? ae_write_into(folder, "adapter_config.json", ae_span_text(text), err)
                  : aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for its configuration", folder);

    free(text);
    json_decref(root);
    return status;
}

aerie_status ae_adapter_save_peft(const ae_adapter *a, const char *folder, const ae_model *m,
                                  aerie_error *err)
{
    ae_bytes chain = { 0 };
    aerie_status status = ae_adapter_chain_text(a, m, &chain, err);

    if (!status) status = ae_file_make_folder(folder, err);
    if (!status) status = write_weights(a, m, folder, &chain, err);
    if (!status) status = write_config(a, m, folder, err);
    ae_bytes_free(&chain);
    return status;
}

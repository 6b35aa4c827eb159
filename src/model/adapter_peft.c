/* adapter_peft.c -- a LoRA adapter out of a PEFT folder (adapter_config.json and
 * adapter_model.safetensors). */
#include "model/adapter_pattern.h"

#include <stdio.h>
#include <string.h>

void ae_adapter_peft_name(const ae_param_site *site, ae_lora_part part,
                          char out[AE_PARAM_NAME + 64])
{
    static const char *const suffixes[] = { "lora_A.weight", "lora_B.weight",
                                            "lora_magnitude_vector" };
    char weight[AE_PARAM_NAME];

    ae_param_hf_name(site, weight);
    snprintf(out, AE_PARAM_NAME + 64, "base_model.model.%.*s%s",
             (int)(strlen(weight) - strlen("weight")), weight, suffixes[part]);
}

static bool is_set(const json_t *root, const char *key)
{
    const json_t *value = json_object_get(root, key);

    return json_is_true(value) || json_array_size(value) > 0 || json_object_size(value) > 0;
}

/* PEFT's task SEQ_CLS names both of its classifiers' heads; of decoders it is `score`. */
static bool saves_other_modules(const json_t *root)
{
    const json_t *modules = json_object_get(root, "modules_to_save");

    if (modules && !json_is_null(modules) && !json_is_array(modules)) return true;
    for (size_t i = 0; i < json_array_size(modules); i++) {
        const char *name = json_string_value(json_array_get(modules, i));
        if (!name || (strcmp(name, "score") != 0 && strcmp(name, "classifier") != 0)) return true;
    }
    return false;
}

/* What PEFT can do and this build does not: better refused than half applied. */
static aerie_status check_plain(const json_t *root, const char *path, aerie_error *err)
{
    static const char *const extras[] = { "fan_in_fan_out", "layer_replication", "use_qalora" };
    const char *type = json_string_value(json_object_get(root, "peft_type"));
    const char *bias = json_string_value(json_object_get(root, "bias"));

    if (!type || strcmp(type, "LORA") != 0)
        return aerie_fail(err, AERIE_UNSUPPORTED, "%s: 'peft_type' is '%s'; this build knows LORA",
                          path, type ? type : "missing");
    if (bias && strcmp(bias, "none") != 0)
        return aerie_fail(err, AERIE_UNSUPPORTED, "%s: 'bias' is '%s'; this build knows none", path,
                          bias);
    if (saves_other_modules(root))
        return aerie_fail(err, AERIE_UNSUPPORTED,
                          "%s: 'modules_to_save' has more than 'score', a reward model's head; "
                          "this build replaces no other whole modules",
                          path);
    for (size_t i = 0; i < AE_COUNT(extras); i++)
        if (is_set(root, extras[i]))
            return aerie_fail(err, AERIE_UNSUPPORTED,
                              "%s: '%s' is in use, which this build does not apply", path,
                              extras[i]);
    return AERIE_OK;
}

/* What a configuration says of sizes. */
typedef struct {
    ae_lora_options *options;
    ae_pattern *ranks, *alphas;
} sizes;

static ae_lora_size size_of(const void *user, const ae_param_site *site,
                            const ae_stored_tensor *down)
{
    const sizes *s = user;
    char module[AE_PARAM_NAME];
    double rank;

    (void)down;
    ae_param_hf_name(site, module);
    module[strlen(module) - strlen(".weight")] = '\0';
    rank = ae_pattern_find(s->ranks, module, (double)s->options->rank);
    return (ae_lora_size){
        rank >= 1 && rank <= 4096 ? (int64_t)rank : 0,
        (float)ae_pattern_find(s->alphas, module, (double)s->options->alpha),
    };
}

static aerie_status read_options(sizes *s, const char *path, aerie_error *err)
{
    ae_lora_options *o = s->options;
    ae_bytes text = { 0 };
    json_error_t where;
    json_t *root = NULL;
    aerie_status status = ae_file_read(&text, path, 16 << 20, err);

    if (status) goto done;
    root = json_loadb(text.data ? text.data : "", text.len, 0, &where);
    if (!json_is_object(root)) {
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: is no JSON object", path);
        goto done;
    }
    status = check_plain(root, path, err);
    if (status) goto done;
    o->rank = json_integer_value(json_object_get(root, "r"));
    o->alpha = (float)json_number_value(json_object_get(root, "lora_alpha"));
    o->dropout = (float)json_number_value(json_object_get(root, "lora_dropout"));
    o->rslora = json_is_true(json_object_get(root, "use_rslora"));
    o->dora = json_is_true(json_object_get(root, "use_dora"));
    ae_lora_options probe = *o;
    probe.targets[AE_PROJ_Q] = true; /* which there are is seen by the tensors */
    status = ae_adapter_check_options(&probe, path, err);
    if (!status) status = ae_pattern_read(&s->ranks, root, "rank_pattern", path, err);
    if (!status) status = ae_pattern_read(&s->alphas, root, "alpha_pattern", path, err);
done:
    json_decref(root);
    ae_bytes_free(&text);
    return status;
}

static aerie_status read_chain(ae_adapter *a, const ae_safetensors *s, const char *path,
                               aerie_error *err)
{
    const char *text = ae_safetensors_metadata(s, AE_CHAIN_KEY);

    if (!text) return AERIE_OK;
    return ae_chain_read(&a->chain, &a->arena, ae_span_text(text), path, err);
}

aerie_status ae_adapter_read_peft(ae_adapter **out, const char *folder, const ae_model *m,
                                  bool trainable, aerie_error *err)
{
    char *config = ae_path_join(folder, "adapter_config.json");
    char *weights = ae_path_join(folder, "adapter_model.safetensors");
    ae_safetensors *s = NULL;
    ae_adapter *a = NULL;
    sizes of = { 0 };
    aerie_status status = AERIE_OK;

    if (!config || !weights)
        status = aerie_fail(err, AERIE_NO_MEMORY, "%s: no room for a path", folder);
    if (!status) status = ae_adapter_begin(&a, m, trainable, err);
    if (a) of.options = &a->options;
    if (!status) status = read_options(&of, config, err);
    if (!status) status = ae_safetensors_open(&s, weights, err);
    if (!status)
        status = ae_adapter_fill(a, m,
                                 &(ae_adapter_source){ .list = ae_safetensors_tensors(s),
                                                       .path = weights,
                                                       .name = ae_adapter_peft_name,
                                                       .score = AE_PEFT_SCORE,
                                                       .size_of = size_of,
                                                       .user = &of },
                                 err);
    if (!status) status = read_chain(a, s, weights, err);
    ae_safetensors_close(s);
    ae_pattern_free(of.ranks);
    ae_pattern_free(of.alphas);
    ae_free(config);
    ae_free(weights);
    if (status) {
        ae_adapter_close(a);
        a = NULL;
    }
    *out = a;
    return status;
}

/* recipe_data.c -- what a recipe says about reading its data. */
#include "train/recipe.h"

#include <string.h>

static aerie_status unknown_template(const char *name, aerie_error *err)
{
    const char *names[64];
    const char *near;
    size_t n = 0;

    while (n < AE_COUNT(names) && ae_template_known_name(n)) {
        names[n] = ae_template_known_name(n);
        n++;
    }
    near = ae_nearest(name, names, n);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "the template '%s' is neither a file nor a known format%s%s%s", name,
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static aerie_status copy_text(char **out, const char *text, size_t len, aerie_error *err)
{
    *out = ae_strndup(text, len);
    return *out ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for a chat template");
}

static aerie_status read_template(char **out, const char *path, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, path, 1 << 20, err);

    if (!status) status = copy_text(out, text.data ? text.data : "", text.len, err);
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_recipe_template(char **out, const ae_recipe *recipe, const ae_model *model,
                                aerie_error *err)
{
    const char *name = recipe->template_name;
    const char *known = name ? ae_template_known(name) : ae_model_template(model);

    *out = NULL;
    if (known) return copy_text(out, known, strlen(known), err);
    if (!name) return AERIE_OK;
    return ae_file_exists(name) ? read_template(out, name, err) : unknown_template(name, err);
}

/* Samples are no longer than the model can see, and by default no longer than is usual. */
static int64_t max_length(const ae_recipe *r, const ae_model *model)
{
    int64_t context = ae_model_config(model)->max_position;
    int64_t usual = r->method == AE_METHOD_DPO ? 1024 : 2048;

    if (r->max_length > 0) return r->max_length;
    return context > 0 && context < usual ? context : usual;
}

ae_data_options ae_recipe_data_options(const ae_recipe *r, const ae_model *model,
                                       const char *template_source, bool eval)
{
    static const ae_data_kind kinds[] = { AE_DATA_TEXT, AE_DATA_CHAT, AE_DATA_PAIRS };
    const ae_sources *sources = eval ? &r->eval_data : &r->data;

    return (ae_data_options){ .kind = kinds[r->method],
                              .sources = sources->items,
                              .n_sources = sources->n,
                              .tokenizer = ae_model_tokenizer(model),
                              .template_source = template_source,
                              .max_length = max_length(r, model),
                              .max_prompt_length = r->max_prompt_length,
                              .train_on = (ae_train_on)r->train_on,
                              .packing = (ae_packing)r->packing,
                              .seed = (uint64_t)r->seed };
}

/* recipe_data.c -- from a recipe's files to its samples. */
#include "train/method.h"
#include "train/recipe.h"
#include "train/reward.h"

#include <math.h>
#include <stdlib.h>
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
    int64_t usual = ae_method_of(r)->max_length;

    if (r->max_length > 0) return r->max_length;
    return context > 0 && context < usual ? context : usual;
}

static ae_encode_options encode_options(const ae_recipe *r, const ae_model *model,
                                        const ae_template *t)
{
    return (ae_encode_options){ .tokenizer = ae_model_tokenizer(model),
                                .chat_template = t,
                                .train_on = (ae_train_on)r->train_on,
                                .empty_system = r->empty_system,
                                .train_header = r->train_header,
                                .append_eos = r->append_eos || r->method == AE_METHOD_PRETRAIN,
                                /* Blocks are cut out of whole documents. */
                                .max_length = r->packing ? 0 : (int32_t)max_length(r, model),
                                .max_prompt_length = (int32_t)r->max_prompt_length,
                                .max_reply_length = (int32_t)r->max_completion_length,
                                .keep = (ae_keep)r->keep };
}

static const char *value_of(const ae_texts *map, const char *name, const char *otherwise)
{
    for (int64_t i = 0; i + 1 < map->n; i += 2)
        if (strcmp(map->items[i], name) == 0) return map->items[i + 1];
    return otherwise;
}

/* Of weights, or of prefixes alone. *out is the caller's (ae_free its classes). */
static aerie_status open_conditions(ae_conditions *out, const ae_recipe *r, aerie_error *err)
{
    const ae_texts *names = r->class_weights.n > 0 ? &r->class_weights : &r->class_prefixes;
    ae_class *classes = NULL;

    *out = (ae_conditions){ .in_system = r->class_prompt == 1,
                            .end_of_turn = r->end_of_turn,
                            .by_message = r->per_sequence_loss,
                            .bfloat16 = r->bf16_weights };
    if (names->n == 0) return AERIE_OK;
    out->classes = classes = ae_alloc((size_t)names->n / 2, sizeof *classes);
    if (!classes) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the classes");
    for (int64_t i = 0; i + 1 < names->n; i += 2) {
        const char *name = names->items[i];
        classes[out->n_classes++] =
            (ae_class){ .name = name,
                        .prefix = value_of(&r->class_prefixes, name, name),
                        .weight = strtof(value_of(&r->class_weights, name, "1"), NULL) };
    }
    return AERIE_OK;
}

ae_dataset_options ae_recipe_dataset_options(const ae_recipe *r, const ae_source *source)
{
    return (ae_dataset_options){ .columns = source->columns,
                                 .n_columns = source->n_columns,
                                 .kind = ae_method_of(r)->kind,
                                 .ranked = (ae_ranked_pairs)r->ranked_answers,
                                 .min_margin = r->min_margin,
                                 .score_margins = r->score_margins,
                                 .seed = (uint64_t)r->seed,
                                 .ranked_pairs = r->reward_loss == AE_REWARD_BRADLEY_TERRY,
                                 .max_answers = (size_t)r->max_ranked_answers };
}

void ae_recipe_took(ae_samples *s, const ae_source *source, const ae_dataset *dataset)
{
    s->n_left_out = ae_dataset_left_out(dataset);
    s->n = (size_t)ceil((double)s->n * source->fraction);
}

static aerie_status read_source(ae_samples *out, const ae_recipe *r, const ae_source *source,
                                const ae_encode_options *encode, ae_pool *pool, aerie_error *err)
{
    ae_dataset_options options = ae_recipe_dataset_options(r, source);
    ae_dataset *dataset = NULL;
    aerie_status status = ae_dataset_start(&dataset, &source->path, 1, &options, err);

    if (!status) status = ae_samples_encode(out, dataset, encode, pool, err);
    if (!status) ae_recipe_took(out, source, dataset);
    ae_dataset_close(dataset);
    return status;
}

/* `all` gets the items of every part, whose memory stays theirs. */
static aerie_status gather(ae_recipe_samples *out, aerie_error *err)
{
    size_t n = 0, at = 0;

    for (int64_t i = 0; i < out->n_parts; i++) n += out->parts[i].n;
    out->all.items = ae_arena_take(&out->all.arena, n, sizeof *out->all.items);
    if (!out->all.items)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu training samples", n);
    for (int64_t i = 0; i < out->n_parts; i++) {
        const ae_samples *part = &out->parts[i];
        if (part->n > 0) memcpy(out->all.items + at, part->items, part->n * sizeof *part->items);
        at += part->n;
        out->all.n_dropped += part->n_dropped;
        out->all.n_truncated += part->n_truncated;
        out->all.n_left_out += part->n_left_out;
    }
    out->all.n = n;
    return AERIE_OK;
}

static aerie_status wrap(ae_recipe_samples *s, int64_t length, aerie_error *err)
{
    ae_samples blocks = { 0 };
    aerie_status status = ae_samples_wrap(&blocks, &s->all, (int32_t)length, err);

    if (status) return status;
    ae_samples_free(&s->all);
    s->all = blocks;
    return AERIE_OK;
}

aerie_status ae_recipe_join(ae_recipe_samples *s, const ae_recipe *recipe, const ae_model *model,
                            aerie_error *err)
{
    aerie_status status = gather(s, err);

    if (!status && ae_method_of(recipe)->kind == AE_EXAMPLE_UNPAIRED)
        status = ae_samples_unpair(&s->all, recipe->method == AE_METHOD_KTO,
                                   (int32_t)max_length(recipe, model), err);
    if (!status && recipe->packing) status = wrap(s, max_length(recipe, model), err);
    return status;
}

aerie_status ae_recipe_encoder_open(ae_recipe_encoder *out, const ae_recipe *recipe,
                                    const ae_model *model, const char *template_source,
                                    aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *out = (ae_recipe_encoder){ 0 };
    if (!ae_model_tokenizer(model))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "%s: it has no tokenizer, without which text cannot be trained on",
                          ae_model_path(model));
    if (template_source)
        status = ae_template_parse(&out->chat_template, ae_span_text(template_source), err);
    out->encode = encode_options(recipe, model, out->chat_template);
    if (!status && recipe->method == AE_METHOD_CRLFT) {
        status = open_conditions(&out->conditions, recipe, err);
        out->encode.conditions = &out->conditions;
    }
    if (status) ae_recipe_encoder_close(out);
    return status;
}

void ae_recipe_encoder_close(ae_recipe_encoder *e)
{
    ae_template_free(e->chat_template);
    ae_free((void *)(uintptr_t)e->conditions.classes);
    *e = (ae_recipe_encoder){ 0 };
}

aerie_status ae_recipe_read(ae_recipe_samples *out, const ae_recipe *recipe,
                            const ae_sources *sources, const ae_model *model,
                            const char *template_source, aerie_error *err)
{
    ae_recipe_encoder encoder;
    ae_pool *pool = NULL;
    aerie_status status;

    *out = (ae_recipe_samples){ 0 };
    status = ae_recipe_encoder_open(&encoder, recipe, model, template_source, err);
    if (status) return status;
    status = ae_pool_open(&pool, (int)recipe->threads, err);
    out->parts = ae_alloc((size_t)sources->n, sizeof *out->parts);
    if (!status && !out->parts)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory to read the data");
    for (int64_t i = 0; i < sources->n && !status; i++) {
        status =
            read_source(&out->parts[i], recipe, &sources->items[i], &encoder.encode, pool, err);
        out->n_parts = i + 1;
    }
    if (!status) status = ae_recipe_join(out, recipe, model, err);
    ae_pool_close(pool);
    ae_recipe_encoder_close(&encoder);
    if (status) ae_recipe_samples_free(out);
    return status;
}

void ae_recipe_samples_free(ae_recipe_samples *s)
{
    ae_samples_free(&s->all);
    for (int64_t i = 0; i < s->n_parts; i++) ae_samples_free(&s->parts[i]);
    ae_free(s->parts);
    *s = (ae_recipe_samples){ 0 };
}

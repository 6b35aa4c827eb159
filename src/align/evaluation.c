/* evaluation.c -- what is asked of the model in the end. */
#include "align/stage.h"

#include "aerie/eval.h"
#include "aerie/score.h"
#include "aerie/text.h"

#include <stdlib.h>

static aerie_status open_model(ae_doing *d, const char *model, const json_t *adapters,
                               aerie_model **out)
{
    const char *list[AE_MOST_STAGES + 8];
    size_t n = json_array_size(adapters);
    aerie_status status;
    char *path = NULL;

    for (size_t i = 0; i < n && i < AE_COUNT(list); i++)
        list[i] = json_string_value(json_array_get(adapters, i));
    aerie_model_options o = { .threads = d->a->train.threads,
                              .cpu = d->a->train.cpu,
                              .adapters = list,
                              .n_adapters = (int)n,
                              .any_base = d->a->train.any_base };
    status = aerie_find_model(d->a->train.places, model, &path, d->err);
    if (!status) status = aerie_model_open(out, path, &o, d->err);
    aerie_free(path);
    return status;
}

static int64_t count_of(const char *text)
{
    return text ? strtoll(text, NULL, 10) : 0;
}

static bool on_row(void *user, const aerie_scored *row)
{
    (void)row;
    return ae_align_go_on(user, 0, NULL);
}

static aerie_status evaluate_score(ae_doing *d, json_t **out)
{
    const char *model = ae_align_setting(d, "model"), *data = ae_align_setting(d, "data");
    aerie_score_options o = { .limit = count_of(ae_stage_setting(d->stage, "limit")),
                              .max_length = count_of(ae_stage_setting(d->stage, "max_length")) };
    aerie_score_result r = { 0 };
    aerie_model *m = NULL;
    aerie_status status = d->status;

    if (!status) status = open_model(d, model, NULL, &m);
    if (!status) status = aerie_score(m, data, &o, on_row, d->a, &r, d->err);
    aerie_model_close(m);
    if (status) return status;
    *out = json_pack("{s:I, s:o, s:I, s:o}", "responses", (json_int_t)r.n_responses, "mean",
                     ae_align_number(r.mean), "pairs", (json_int_t)r.n_pairs, "accuracy",
                     ae_align_number(r.accuracy));
    return AERIE_OK;
}

static aerie_status evaluate_perplexity(ae_doing *d, json_t **out)
{
    const char *model = ae_align_setting(d, "model"), *file = ae_align_setting(d, "file");
    aerie_perplexity_result r = { 0 };
    aerie_model *m = NULL;
    ae_bytes text = { 0 };
    aerie_status status = d->status;

    if (!status && !model) status = ae_align_need_model(d);
    if (!status) status = ae_file_read(&text, file, 0, d->err);
    if (!status)
        status = model ? open_model(d, model, NULL, &m)
                       : open_model(d, d->from.model, d->from.adapters, &m);
    if (!status)
        status =
            aerie_perplexity(m, text.data ? text.data : "", text.len,
                             count_of(ae_stage_setting(d->stage, "ctx")), NULL, NULL, &r, d->err);
    aerie_model_close(m);
    ae_bytes_free(&text);
    if (status) return status;
    *out = json_pack("{s:f, s:f, s:I}", "ppl", r.ppl, "nll", r.nll, "tokens", (json_int_t)r.tokens);
    return AERIE_OK;
}

/* What it prints is JSON, or kept as a text. */
static aerie_status evaluate_command(ae_doing *d, json_t **out)
{
    const char *run = ae_align_setting(d, "run");
    aerie_status status = d->status ? d->status : ae_align_need_commands(d);
    char *printed = NULL;

    if (!status) status = d->a->options->command(d->a->options->user, run, &printed, d->err);
    if (!status) {
        *out = json_loads(printed ? printed : "", JSON_DECODE_ANY, NULL);
        if (!*out) *out = json_string(printed ? printed : "");
    }
    aerie_free(printed);
    return status;
}

aerie_status ae_align_evaluate(ae_aligner *a, int i, aerie_error *err)
{
    const ae_stage *s = &a->pipeline.evaluations[i];
    ae_doing d = { .a = a, .stage = s, .number = a->pipeline.n_stages, .err = err };
    json_t *numbers = NULL;
    aerie_status status;
    char *text;

    d.from = ae_align_place_before(a, s, a->pipeline.n_stages);
    ae_sha256_start(&d.sha);
    status = s->kind == AE_STAGE_SCORE        ? evaluate_score(&d, &numbers)
             : s->kind == AE_STAGE_PERPLEXITY ? evaluate_perplexity(&d, &numbers)
                                              : evaluate_command(&d, &numbers);
    if (status) {
        aerie_error_prefix(err, "evaluation %s", s->name);
        return status;
    }
    text = json_dumps(numbers, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    ae_align_tell(a, s, i, a->pipeline.n_evaluations, AERIE_ALIGN_EVALUATED, "", text);
    free(text);
    json_array_append_new(json_object_get(a->report, "evaluations"),
                          json_pack("{s:s, s:s, s:o}", "name", s->name, "kind",
                                    ae_stage_kind_name(s->kind), "result", numbers));
    return AERIE_OK;
}

/* merge.c -- adapters folded into a model's weights, and what that cost. */
#include "aerie/merge.h"

#include "aerie/eval.h"
#include "api/api.h"
#include "api/quantize.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Prose, a dialogue, a list, code, numbers, other languages: a little of what models are asked. */
static const char sample[] =
    "The mill at the end of the valley had stood empty for eleven years when Marta bought it. She "
    "was told the roof would last another winter, and it did not. By March there was snow on the "
    "upper floor, and a family of owls that no carpenter was willing to disturb.\n\n"
    "\"How long will the repairs take?\" asked her brother.\n"
    "\"Longer than you think, and less than you fear,\" she said.\n\n"
    "Three things decide the price of flour: the harvest, the distance to the nearest railway, and "
    "the number of millers who have given up. In 1893 a sack cost 4.20; by 1910 it cost 7.85, an "
    "increase of 87 percent.\n\n"
    "To bake a plain loaf you need:\n"
    "1. 500 g of flour\n"
    "2. 330 ml of water\n"
    "3. 10 g of salt\n"
    "4. a spoonful of starter, fed the evening before\n\n"
    "def hydration(flour, water):\n"
    "    \"\"\"Water as a share of the flour's weight.\"\"\"\n"
    "    if flour <= 0:\n"
    "        raise ValueError(\"flour must be positive\")\n"
    "    return water / flour\n\n"
    "Question: A train leaves at 9:40 and arrives at 13:05. How long is the journey?\n"
    "Answer: From 9:40 to 13:00 are 3 hours and 20 minutes, and 5 more make 3 hours and 25 "
    "minutes.\n\n"
    "Le moulin est ouvert tous les jours, sauf le lundi. Das Wasser kommt aus dem Bach hinter dem "
    "Haus. El pan se vende por la tarde. Explain to a child why the sky is blue: sunlight is made "
    "of many colours, and the air scatters the blue ones most, so blue light reaches our eyes from "
    "every side.\n";

/* Tokens of the sample, or of a longer text's windows. */
enum { WINDOW = 256 };

/* Folding takes a tensor at a time; measuring wants a whole model, twice. --force asks for neither
 * check. */
static const aerie_memory_plan measuring = { .n_ctx = WINDOW, .use = AERIE_USE_LOGITS };

/* ---- folding ---- */

/* A handle beside those of projections: the head that scores. */
#define SCORE INT64_MAX

typedef struct {
    aerie_model *m;
    ae_bytes chain;
    const ae_tensor *score; /* the uppermost adapter's; NULL: none has one */
    bool has_score;         /* the base has one that it replaces */
} folding;

static int64_t change_of(void *user, const ae_stored_tensor *t)
{
    const folding *f = user;

    if (f->score && strcmp(t->name, AE_GGUF_SCORE) == 0) return SCORE;
    return ae_adapters_site(t->name, f->m->model, f->m->adapters, f->m->n_adapters);
}

static void change(void *user, int64_t handle, int64_t row, float *x)
{
    const folding *f = user;

    if (handle == SCORE)
        memcpy(x, f->score->data, (size_t)f->score->cols * sizeof *x);
    else
        ae_adapters_merge_row(x, handle, row, f->m->model, f->m->adapters, f->m->n_adapters);
}

static void annotate(void *user, ae_gguf_writer *w)
{
    const folding *f = user;

    ae_gguf_set_span(w, AE_CHAIN_KEY, ae_span_of(&f->chain));
}

static void find_score(folding *f)
{
    for (int i = 0; i < f->m->n_adapters; i++)
        if (ae_adapter_score(f->m->adapters[i])) f->score = ae_adapter_score(f->m->adapters[i]);
    f->has_score = ae_model_net(f->m->model)->score != NULL;
}

static aerie_status fold(aerie_model *m, const char *out_path, const aerie_merge_options *o,
                         aerie_merge_summary *summary, aerie_error *err)
{
    folding f = { .m = m };
    aerie_quantize_options q = {
        .imatrix = o->imatrix, .threads = o->threads, .progress = o->progress, .user = o->user
    };
    aerie_status status =
        ae_adapters_merged_chain(&f.chain, m->model, m->adapters, m->n_adapters, err);

    find_score(&f);
    ae_fold with = { .change_of = change_of,
                     .change = change,
                     .annotate = annotate,
                     .user = &f,
                     .key = AE_CHAIN_KEY };
    if (f.score && !f.has_score) {
        with.added_name = AE_GGUF_SCORE;
        with.added = ae_f32(f.score);
        with.n_added = f.score->cols;
    }
    if (!status)
        status = ae_api_quantize(ae_model_path(m->model), out_path, o->type ? o->type : "F16", &q,
                                 &with, &summary->file, err);
    ae_bytes_free(&f.chain);
    return status;
}

/* ---- measuring ---- */

static aerie_status open_to_measure(aerie_model **out, const char *path,
                                    const aerie_model_options *o, aerie_error *err)
{
    aerie_error why = { 0 };
    aerie_status status = aerie_model_open(out, path, o, &why);

    if (!status) return AERIE_OK;
    return aerie_fail(
        err, status, "%s%s", why.message,
        status == AERIE_NO_MEMORY && o->plan ? "; or merge without measuring (--no-measure)" : "");
}

/* Whole windows of the text, the longest that do: a short one is one window. */
static aerie_status windows_of(aerie_windows *out, const aerie_model *m, const char *text,
                               size_t len, aerie_error *err)
{
    int64_t most = ae_model_config(m->model)->max_position;
    ae_ids ids = { 0 };
    aerie_status status = ae_api_need_tokenizer(m, err);

    if (!status)
        status = ae_api_encode(&ids, ae_model_tokenizer(m->model), (ae_span){ text, len },
                               AE_ENCODE_BOS, err);
    out->n_ctx = most < WINDOW ? most : WINDOW;
    if ((int64_t)ids.len < out->n_ctx) out->n_ctx = (int64_t)ids.len;
    if (!status && out->n_ctx < 4)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "a text of %zu tokens is too short to measure on; give a longer one",
                            ids.len);
    ae_ids_free(&ids);
    return status;
}

static aerie_status keep_logits(aerie_model *m, const char *path, const aerie_merge_options *o,
                                aerie_error *err)
{
    const char *text = o->text ? o->text : sample;
    size_t len = o->text ? o->len : strlen(sample);
    aerie_perplexity_result unwanted;
    aerie_windows windows = { 0 };
    aerie_status status = windows_of(&windows, m, text, len, err);

    return status ? status
                  : aerie_logits_save(m, text, len, &windows, path, NULL, NULL, &unwanted, err);
}

static aerie_status measure(const char *out_path, const char *logits, const aerie_merge_options *o,
                            aerie_merge_summary *summary, aerie_error *err)
{
    aerie_model_options exact = {
        .threads = o->threads, .cpu = o->cpu, .exact = true, .plan = o->any_base ? NULL : &measuring
    };
    aerie_divergence_result r = { 0 };
    aerie_model *m = NULL;
    aerie_status status = aerie_model_open(&m, out_path, &exact, err);

    if (!status) status = aerie_divergence(m, logits, NULL, NULL, &r, err);
    aerie_model_close(m);
    if (status) aerie_error_prefix(err, "%s is written, but not measured", out_path);
    if (status) return status;
    summary->tokens = r.tokens;
    summary->logit_max = r.logit_max;
    summary->logit_mean = r.logit_mean;
    summary->kl_mean = r.kl_mean;
    summary->kl_max = r.kl_max;
    summary->same_top = r.same_top;
    summary->ppl = r.ppl;
    summary->unmerged_ppl = r.reference_ppl;
    return AERIE_OK;
}

/* ---- both ---- */

static aerie_status check_paths(const char *model_path, const char *out_path,
                                const aerie_merge_options *o, aerie_error *err)
{
    struct stat a, b;

    if (o->n_adapters < 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "merging wants at least one adapter");
    if (stat(model_path, &a) == 0 && stat(out_path, &b) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: the output is the model itself; give the merged model a name of its "
                          "own",
                          out_path);
    return AERIE_OK;
}

aerie_status aerie_merge(const char *model_path, const char *out_path,
                         const aerie_merge_options *options, aerie_merge_summary *summary,
                         aerie_error *err)
{
    aerie_merge_options o = options ? *options : (aerie_merge_options){ 0 };
    aerie_model_options with = { .threads = o.threads,
                                 .cpu = o.cpu,
                                 .adapters = o.adapters,
                                 .n_adapters = o.n_adapters,
                                 .any_base = o.any_base,
                                 .exact = true,
                                 .plan = o.unmeasured || o.any_base ? NULL : &measuring };
    aerie_merge_summary unwanted, *sum = summary ? summary : &unwanted;
    ae_bytes logits = { 0 };
    aerie_model *m = NULL;
    bool measured = false;
    aerie_status status = check_paths(model_path, out_path, &o, err);

    *sum = (aerie_merge_summary){ 0 };
    ae_bytes_printf(&logits, "%s.logits", out_path);
    if (!status) status = ae_bytes_status(&logits, err);
    if (!status) status = open_to_measure(&m, model_path, &with, err);
    if (!status) {
        /* Neither has anything to predict tokens with. */
        measured = !o.unmeasured && ae_model_net(m->model)->head;
        if (measured) status = keep_logits(m, logits.data, &o, err);
        ae_model_forget(m->model);
    }
    if (!status) status = fold(m, out_path, &o, sum, err);
    aerie_model_close(m);
    if (!status && measured) status = measure(out_path, logits.data, &o, sum, err);
    if (measured && logits.data) remove(logits.data);
    ae_bytes_free(&logits);
    return status;
}

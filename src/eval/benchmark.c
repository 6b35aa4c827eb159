/* benchmark.c -- one task after the other: its requests, the answers that are kept, those that are
 * missing, the report. */
#include "eval/benchmark_private.h"

#include <stdlib.h>
#include <string.h>

/* ---- one task ---- */

static aerie_status chat(void *user, json_t *messages, ae_bytes *out, aerie_error *err)
{
    const ae_bench *b = user;

    if (!b->who || !b->who->chat)
        return aerie_fail(
            err, AERIE_UNSUPPORTED,
            "the protocol %s writes prompts with the model's chat template, which who "
            "answers does not tell",
            b->protocol->name);
    return b->who->chat(b->who->user, messages, out, err);
}

/* Where each item's requests begin. */
static aerie_status count_requests(ae_bench *b, aerie_error *err)
{
    b->n_items = (int64_t)ae_task_set_len(b->set);
    b->first = ae_arena_take(&b->arena, (size_t)b->n_items + 1, sizeof *b->first);
    if (!b->first) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for items");
    for (int64_t i = 0; i < b->n_items; i++)
        b->first[i + 1] = b->first[i] + (int64_t)ae_task_set_at(b->set, (size_t)i)->n_requests;
    b->n_requests = b->first[b->n_items];
    b->answers = ae_arena_take(&b->arena, (size_t)b->n_requests, sizeof *b->answers);
    return b->answers ? AERIE_OK : aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
}

aerie_status ae_bench_build(ae_bench *b, json_t *docs, int shots, aerie_error *err)
{
    const ae_benchmark_options *o = b->options;
    const ae_task_options options = { .data = b->data,
                                      .docs = docs,
                                      .shots = shots,
                                      .limit = o->limit,
                                      .chat = b->protocol->chat ? chat : NULL,
                                      .chat_user = b,
                                      .system = o->system,
                                      .multiturn = o->multiturn };
    ae_task_set *set = NULL;
    aerie_status status = ae_task_set_build(&set, b->task, &options, err);

    if (status) return status;
    /* `docs` may be the old set's: it goes last. */
    ae_task_set_free(b->set);
    b->set = set;
    return count_requests(b, err);
}

static void add_text(ae_sha256 *hash, ae_span text)
{
    uint64_t n = text.len;

    ae_sha256_add(hash, &n, sizeof n);
    if (n > 0) ae_sha256_add(hash, text.data, text.len);
}

void ae_bench_end_key(ae_sha256 *hash, uint8_t key[32])
{
    char hex[65];

    ae_sha256_hex(hash, hex);
    for (int k = 0; k < 32; k++) {
        char two[3] = { hex[2 * k], hex[2 * k + 1], '\0' };
        key[k] = (uint8_t)strtoul(two, NULL, 16);
    }
}

/* All that an answer depends on. */
static void make_key(ae_bench *b, int64_t item, int64_t i)
{
    const ae_task_request *r = ae_bench_request(b, item, i);
    const ae_generation *how = ae_task_generation(b->task);
    int64_t settings[] = { r->kind, b->protocol->bos, ae_task_split(b->task), ae_bench_longest(b) };
    ae_sha256 hash;

    ae_sha256_start(&hash);
    add_text(&hash, ae_span_text(b->who->identity));
    ae_sha256_add(&hash, settings, sizeof settings);
    add_text(&hash, r->context);
    add_text(&hash, r->continuation);
    /* Of llama.cpp's ways an item's choices decide together where each begins. */
    for (int64_t k = b->first[item];
         ae_task_split(b->task) != AE_SPLIT_HARNESS && k < b->first[item + 1]; k++)
        add_text(&hash, ae_bench_request(b, item, k)->continuation);
    if (r->kind == AE_REQUEST_DIVERGENCE) ae_bench_add_reference(&hash, b, item);
    if (r->kind == AE_REQUEST_GENERATE && how) {
        ae_sha256_add(&hash, &how->max_tokens, sizeof how->max_tokens);
        ae_sha256_add(&hash, &how->temperature, sizeof how->temperature);
        for (size_t k = 0; k < how->n_until; k++) add_text(&hash, ae_span_text(how->until[k]));
    }
    ae_bench_end_key(&hash, b->answers[i].key);
}

static aerie_status find_kept(ae_bench *b, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int64_t item = 0; item < b->n_items && !status; item++)
        for (int64_t i = b->first[item]; i < b->first[item + 1] && !status; i++) {
            make_key(b, item, i);
            if (b->keep && !b->options->fresh)
                status = ae_kept_find(b->keep, &b->answers[i], &b->arena, err);
            b->n_kept += b->answers[i].known;
        }
    b->n_known = b->n_kept;
    return status;
}

/* The folder that a file is in; the arena's. */
static const char *folder_of(ae_bench *b, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        ae_arena_strndup(&b->arena, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);

    return folder ? folder : ".";
}

static aerie_status ask_task(ae_bench *b, aerie_error *err)
{
    aerie_status status;

    b->data = b->options->data;
    if (!b->data && b->options->rescore) b->data = folder_of(b, b->options->rescore);
    if (b->options->rescore) return ae_bench_read_samples(b, err);
    if (!b->who)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is nobody to answer: give a model");
    status = ae_task_form(b->task) == AE_FORM_DIVERGENCE
                 ? ae_bench_read_reference(b, err)
                 : ae_bench_build(b, NULL, b->options->shots, err);
    if (!status) status = find_kept(b, err);
    return status ? status : ae_bench_ask(b, err);
}

static aerie_status run_task(json_t *results, ae_bench *b, aerie_error *err)
{
    json_t *result = NULL;
    aerie_status status = ae_task_open(&b->task, b->name, b->protocol, err);

    if (!status) status = ask_task(b, err);
    if (!status) status = ae_bench_report(&result, b, err);
    if (!status) {
        char *text = json_dumps(result, JSON_COMPACT);
        if (b->keep && text)
            status = ae_kept_result(b->keep, b->name, b->who ? b->who->identity : "", text, err);
        free(text);
        json_object_set(results, ae_task_name(b->task), result);
    }
    json_decref(result);
    ae_task_set_free(b->set);
    ae_task_close(b->task);
    ae_saved_logits_close(&b->reference);
    ae_arena_free(&b->arena);
    return status;
}

/* ---- all of them ---- */

typedef struct {
    const ae_benchmark_options *options;
    const ae_bench_model *who;
    const ae_protocol *protocol;
    ae_kept *keep;
    json_t *results, *groups;
} all_tasks;

static aerie_status run_name(all_tasks *a, const char *word, aerie_error *err)
{
    ae_arena arena = { 0 };
    const char **names;
    size_t n;
    aerie_status status = ae_task_names(&names, &n, word, &arena, err);

    for (size_t i = 0; i < n && !status; i++) {
        ae_bench b = { .options = a->options,
                       .who = a->who,
                       .protocol = a->protocol,
                       .name = names[i],
                       .keep = a->keep };
        if (!json_object_get(a->results, names[i])) status = run_task(a->results, &b, err);
    }
    if (!status && n > 1)
        json_object_set_new(a->groups, word,
                            ae_bench_group(a->results, names, n, a->protocol->macro));
    ae_arena_free(&arena);
    return status;
}

static const char *bos_word(ae_bos bos)
{
    return bos == AE_BOS_NEVER    ? "never"
           : bos == AE_BOS_ALWAYS ? "always"
                                  : "as the tokenizer says";
}

static aerie_status write_results(const all_tasks *a, const json_t *out, aerie_error *err)
{
    char *path = ae_path_join(a->options->out, "results.json"),
         *text = json_dumps(out, JSON_INDENT(1));
    aerie_status status = path && text ? ae_file_write(path, text, strlen(text), err)
                                       : aerie_fail(err, AERIE_NO_MEMORY, "no memory for results");

    free(text);
    ae_free(path);
    return status;
}

static aerie_status run_all(all_tasks *a, json_t **out, aerie_error *err)
{
    const ae_benchmark_options *o = a->options;
    aerie_status status = o->out ? ae_file_make_folder(o->out, err) : AERIE_OK;

    if (!status && o->keep && !o->rescore) status = ae_kept_open(&a->keep, o->keep, err);
    for (size_t i = 0; i < o->n_tasks && !status; i++) status = run_name(a, o->tasks[i], err);
    if (status) return status;
    *out = json_pack("{s:s, s:s, s:O, s:O}", "protocol", a->protocol->name, "bos",
                     bos_word(a->protocol->bos), "results", a->results, "groups", a->groups);
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for results");
    if (o->out) status = write_results(a, *out, err);
    return status;
}

aerie_status ae_benchmark(json_t **out, const ae_benchmark_options *options,
                          const ae_bench_model *who, aerie_error *err)
{
    all_tasks a = {
        .options = options, .who = who, .results = json_object(), .groups = json_object()
    };
    aerie_status status =
        ae_protocol_find(&a.protocol, options->protocol ? options->protocol : "lm-eval", err);

    *out = NULL;
    if (!status) status = run_all(&a, out, err);
    if (status) {
        json_decref(*out);
        *out = NULL;
    }
    ae_kept_close(a.keep);
    json_decref(a.results);
    json_decref(a.groups);
    return status;
}

const char *ae_benchmark_known(size_t i)
{
    return ae_task_known(i);
}

const char *ae_benchmark_protocol(size_t i, const char **about)
{
    const ae_protocol *p = ae_protocol_at(i);

    if (about) *about = p ? p->about : NULL;
    return p ? p->name : NULL;
}

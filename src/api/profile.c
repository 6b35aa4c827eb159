/* profile.c -- where the time of a prompt and of a reply goes, by kind of work, each beside what
 * the machine could do at best. */
#include "api/bench_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The weights by where their data lies, for the names of what works on them. */
typedef struct {
    ae_named_param *params;
    int64_t n;
    const void *head;
} names;

/* "model.layers.3.self_attn.q_proj.weight" -> "q_proj". */
static void short_name(char *out, size_t size, const char *name)
{
    const char *end = strrchr(name, '.'), *start = end;
    if (!end) end = start = name + strlen(name);
    while (start > name && start[-1] != '.') start--;
    snprintf(out, size, "%.*s", (int)(end - start), start);
}

static void name_entry(char *out, size_t size, const ae_timed_entry *e, const names *known)
{
    char weight[24] = "";
    if (e->weight && e->weight == known->head) snprintf(weight, sizeof weight, "head");
    for (int64_t i = 0; i < known->n && e->weight && !weight[0]; i++)
        if (known->params[i].tensor->data == e->weight)
            short_name(weight, sizeof weight, known->params[i].name);
    if (e->weight)
        snprintf(out, size, "%s %s %s", e->what, weight[0] ? weight : "adapter",
                 ae_dtype_info_of(e->dtype)->name);
    else
        snprintf(out, size, "%s", e->what);
}

static double at_best(double amount, double rate)
{
    return rate > 0 ? amount / rate : 0;
}

/* Memory and arithmetic go on at the same time: the slower one is the limit. */
static double limit_of(const ae_timed_entry *e, const aerie_bench_limits *limits)
{
    double memory = at_best(e->bytes, limits->read_bytes);
    double arithmetic = at_best(e->byte_operations, limits->byte_operations) +
                        at_best(e->float_operations, limits->float_operations);
    return memory > arithmetic ? memory : arithmetic;
}

static void add_entry(aerie_bench_profile *p, const ae_timed_entry *e, const names *known,
                      const aerie_bench_limits *limits)
{
    char name[sizeof p->ops->name];
    int i = 0;
    name_entry(name, sizeof name, e, known);
    while (i < p->n_ops && strcmp(p->ops[i].name, name)) i++;
    if (i == AERIE_BENCH_OPS) return;
    aerie_bench_op *op = &p->ops[i];
    if (i == p->n_ops) {
        *op = (aerie_bench_op){ 0 };
        memcpy(op->name, name, sizeof name);
        p->n_ops++;
    }
    op->calls += e->calls;
    op->seconds += e->seconds;
    op->bytes += e->bytes;
    op->operations += e->byte_operations + e->float_operations;
    op->limit_seconds += limit_of(e, limits);
}

static int by_time(const void *pa, const void *pb)
{
    const aerie_bench_op *a = pa, *b = pb;
    return (a->seconds < b->seconds) - (a->seconds > b->seconds);
}

static void gather(aerie_bench_profile *p, const ae_device *timed, const names *known,
                   const aerie_bench_limits *limits)
{
    int64_t n;
    const ae_timed_entry *entries = ae_timed_entries(timed, &n);
    for (int64_t i = 0; i < n; i++) add_entry(p, &entries[i], known, limits);
    qsort(p->ops, (size_t)p->n_ops, sizeof *p->ops, by_time);
}

static aerie_status know_names(names *known, const aerie_model *m, aerie_error *err)
{
    known->n = ae_model_params(m->model, NULL, 0);
    known->params = ae_alloc((size_t)known->n, sizeof *known->params);
    if (!known->params) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a profile");
    ae_model_params(m->model, known->params, known->n);
    known->head = m->net.head ? m->net.head->data : NULL;
    return AERIE_OK;
}

static void clear(void *user)
{
    ae_timed_clear(user);
}

static aerie_status profile_prompt(ae_bench *b, ae_device *timed, aerie_bench_profile *out,
                                   aerie_error *err)
{
    int64_t n = b->options->n_prompt;
    int32_t *ids = ae_bench_ids(n, b->vocab_size, 1);
    if (!ids) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt");
    ae_timed_clear(timed);
    aerie_status status = ae_bench_prompt(b, ids, n, &out->seconds, err);
    out->tokens = n;
    ae_free(ids);
    return status;
}

static aerie_status profile_reply(ae_bench *b, ae_device *timed, aerie_bench_profile *out,
                                  aerie_error *err)
{
    double rate;
    b->begins = clear;
    b->user = timed;
    aerie_status status = ae_bench_replies(b, 1, 1, &rate, err);
    out->tokens = b->options->n_reply;
    if (!status) out->seconds = (double)out->tokens / rate;
    return status;
}

aerie_status aerie_bench_profiles(aerie_model *m, const aerie_bench_options *options,
                                  const aerie_bench_limits *limits, aerie_bench_profile *prompt,
                                  aerie_bench_profile *reply, aerie_error *err)
{
    names known = { 0 };
    ae_device *timed = NULL;
    ae_bench b = { 0 };
    *prompt = *reply = (aerie_bench_profile){ 0 };
    aerie_status status = know_names(&known, m, err);
    if (!status) status = ae_timed_open(&timed, m->device, err);
    if (!status) status = ae_bench_open(&b, m, timed, options, err);
    if (!status) status = ae_bench_warm_up(&b, err);
    b.what = "profile";
    if (!status && options->n_prompt > 0) {
        status = profile_prompt(&b, timed, prompt, err);
        gather(prompt, timed, &known, limits);
    }
    if (!status && options->n_reply > 0) {
        status = profile_reply(&b, timed, reply, err);
        gather(reply, timed, &known, limits);
    }
    ae_engine_close(b.engine);
    if (timed) timed->close(timed);
    ae_free(known.params);
    return status;
}

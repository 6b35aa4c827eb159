/* benchmark_ask.c -- a task's requests to whoever answers, likelihoods and replies. */
#include "eval/benchmark_private.h"

#include <stdio.h>
#include <string.h>

bool ae_bench_told(ae_bench *b, int64_t i)
{
    b->answers[i].known = true;
    b->n_known++;
    if (b->keep && !b->status) b->status = ae_kept_put(b->keep, &b->answers[i], b->err);
    return !b->status && ae_bench_go_on(b);
}

bool ae_bench_go_on(const ae_bench *b)
{
    const ae_benchmark_options *o = b->options;

    if (!o->progress) return true;
    return b->n_parts > 0 ? o->progress(o->user, b->name, b->parts, b->n_parts)
                          : o->progress(o->user, b->name, b->n_known + b->n_refused, b->n_requests);
}

/* The indices of requests of some kinds that have no answer. */
static int64_t *unanswered(const ae_bench *b, bool replies, int64_t *n)
{
    int64_t *list = ae_alloc((size_t)b->n_requests, sizeof *list);

    *n = 0;
    for (int64_t item = 0; list && item < b->n_items; item++)
        for (int64_t i = b->first[item]; i < b->first[item + 1]; i++) {
            bool is_reply = ae_bench_request(b, item, i)->kind == AE_REQUEST_GENERATE;
            if (is_reply == replies && !b->answers[i].known) list[(*n)++] = i;
        }
    return list;
}

/* Which item a request is of. */
static int64_t item_of(const ae_bench *b, int64_t i)
{
    int64_t low = 0, high = b->n_items;

    while (high - low > 1) {
        int64_t mid = low + (high - low) / 2;
        if (b->first[mid] <= i)
            low = mid;
        else
            high = mid;
    }
    return low;
}

typedef struct {
    ae_bench *bench;
    const int64_t *list;
} asking;

static bool take_answer(void *user, int64_t index, const ae_scored_answer *answer)
{
    asking *a = user;
    int64_t i = a->list[index];

    a->bench->answers[i].answer = (ae_response){ answer->logprob, answer->is_greedy,
                                                 (int32_t)answer->n_tokens, answer->squares };
    return ae_bench_told(a->bench, i);
}

/* What comes before the first of a stop string, one string after the other. */
static ae_span cut_at_stops(ae_span reply, const ae_generation *how)
{
    for (size_t i = 0; i < how->n_until; i++) {
        ae_span stop = ae_span_text(how->until[i]);
        size_t at = stop.len > 0 ? jinja_find_text(reply, stop, 0) : SIZE_MAX;
        if (at != SIZE_MAX) reply.len = at;
    }
    return reply;
}

static bool take_reply(void *user, int64_t index, ae_span reply)
{
    asking *a = user;
    ae_bench *b = a->bench;
    int64_t i = a->list[index];

    reply = cut_at_stops(reply, ae_task_generation(b->task));
    char *copy = ae_arena_strndup(&b->arena, reply.data ? reply.data : "", reply.len);
    if (!copy) {
        b->status = aerie_fail(b->err, AERIE_NO_MEMORY, "no memory for a reply");
        return false;
    }
    b->answers[i].reply = (ae_span){ copy, reply.len };
    return ae_bench_told(b, i);
}

aerie_status ae_bench_all_refused(const ae_bench *b, aerie_error *err)
{
    return aerie_fail(err, AERIE_UNSUPPORTED, "%s: nothing of it is answered: %s", b->name, b->why);
}

/* One question is left out; when none has been answered and several are refused, what is wrong is
 * wrong with all. */
static bool take_refusal(void *user, int64_t index, const char *why)
{
    enum { ENOUGH = 16 };
    const asking *a = user;
    ae_bench *b = a->bench;

    b->answers[a->list[index]].refused = true;
    if (b->n_refused++ == 0) snprintf(b->why, sizeof b->why, "%s", why);
    if (b->n_known > 0 || b->n_refused < ENOUGH) return ae_bench_go_on(b);
    b->status = ae_bench_all_refused(b, b->err);
    return false;
}

static aerie_status ask_texts(ae_bench *b, const int64_t *list, int64_t n, aerie_error *err)
{
    ae_scored_text *all = ae_alloc((size_t)n, sizeof *all);
    asking a = { b, list };
    aerie_status status = AERIE_OK;

    if (!all) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");
    for (int64_t i = 0; i < n; i++) {
        const ae_task_request *r = ae_bench_request(b, item_of(b, list[i]), list[i]);
        all[i] = (ae_scored_text){ r->context, r->continuation };
    }
    if (ae_task_form(b->task) == AE_FORM_ROLLING && ae_task_split(b->task) != AE_SPLIT_HARNESS)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "the protocol %s cuts texts into windows of tokens, which needs a "
                            "model here; ask a server with lm-eval",
                            b->protocol->name);
    else if (!b->who->texts)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "%s asks for likelihoods, which who answers cannot give", b->name);
    else
        status = b->who->texts(b->who->user, all, n, take_answer, take_refusal, &a, err);
    ae_free(all);
    return status;
}

static aerie_status ask_replies(ae_bench *b, const int64_t *list, int64_t n, aerie_error *err)
{
    enum { HARNESS_TOKENS = 256 };
    const ae_generation *how = ae_task_generation(b->task);
    ae_reply_question *all = ae_alloc((size_t)n, sizeof *all);
    asking a = { b, list };
    aerie_status status = AERIE_OK;

    if (!all) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");
    for (int64_t i = 0; i < n; i++)
        all[i] = (ae_reply_question){
            .prompt = ae_bench_request(b, item_of(b, list[i]), list[i])->context,
            .until = how->until,
            .n_until = how->n_until,
            .temperature = how->temperature,
            .top_p = how->top_p,
            .no_bos = b->protocol->bos == AE_BOS_NEVER,
            .max_tokens = how->max_tokens > 0 ? how->max_tokens : HARNESS_TOKENS
        };
    if (!b->who->replies)
        status = aerie_fail(err, AERIE_UNSUPPORTED,
                            "%s asks for replies, which who answers cannot give", b->name);
    else
        status = b->who->replies(b->who->user, all, n, take_reply, take_refusal, &a, err);
    ae_free(all);
    return status;
}

static aerie_status ask_kind(ae_bench *b, bool replies, aerie_error *err)
{
    int64_t n, *list = unanswered(b, replies, &n);
    aerie_status status = AERIE_OK;

    if (!list) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for requests");
    if (n > 0 && replies)
        status = ask_replies(b, list, n, err);
    else if (n > 0 && ae_task_form(b->task) == AE_FORM_DIVERGENCE)
        status = ae_bench_ask_divergence(b, list, n, err);
    else if (n > 0 && b->who->tokenizer)
        status = ae_bench_ask_tokens(b, err);
    else if (n > 0)
        status = ask_texts(b, list, n, err);
    ae_free(list);
    return status;
}

aerie_status ae_bench_ask(ae_bench *b, aerie_error *err)
{
    double start = ae_clock_seconds();
    aerie_error keeping = { 0 };
    aerie_status status;

    b->err = &keeping;
    status = ask_kind(b, false, err);
    if (!status) status = ask_kind(b, true, err);
    if (b->status && err) *err = keeping;
    if (b->status) status = b->status;
    /* What was answered before a failure is kept. */
    if (b->keep) {
        aerie_status flushed = ae_kept_flush(b->keep, status ? NULL : err);
        if (!status) status = flushed;
    }
    b->seconds = ae_clock_seconds() - start;
    return status;
}

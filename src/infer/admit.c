/* admit.c -- who is let in: the order, the room, and what earlier texts hold of a prompt. */
#include "infer/engine_private.h"

enum { WORTH_WAITING = 32 }; /* tokens that a prompt need not compute */

ae_kv *ae_run_new_kv(const ae_run *run, const ae_ticket *t, int64_t capacity, const ae_kv *prefix,
                     int64_t prefix_len, aerie_error *err)
{
    ae_kv *kv;
    ae_engine_new_kv_of(&kv, run->engine, run->engine->options.net, t->kv_type, capacity, prefix,
                        prefix_len, err);
    return kv;
}

int64_t ae_run_sequences(const ae_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->prompts[i].in_use) n += run->prompts[i].replies_left;
    return n;
}

static ae_prompt_run *free_prompt(ae_run *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (!run->prompts[i].in_use) return &run->prompts[i];
    return NULL;
}

static ae_prefix prefix_of(const ae_ticket *t, const int32_t *ids, int64_t n, int tops)
{
    return (ae_prefix){ .ids = ids,
                        .n = n,
                        .kind = t->request.net_id * 64 + (int64_t)t->kv_type,
                        .cost = t->cost,
                        .tops = tops };
}

void ae_run_keep(const ae_run *run, const ae_prompt_run *p, const int32_t *ids, int64_t n,
                 const ae_kv *kv, ae_chance *chances)
{
    aerie_error ignored = { 0 };
    const ae_prefix text = prefix_of(p->ticket, ids, n, chances ? p->tops : 0);
    ae_kv *shared =
        run->engine->prefixes ? ae_run_new_kv(run, p->ticket, n, kv, n, &ignored) : NULL;
    if (shared)
        ae_prefixes_keep(run->engine->prefixes, &text, shared, chances);
    else
        ae_free(chances);
}

/* Whether a request may go on from earlier texts. An embedding is made of the states of all tokens,
 * and those are not kept. */
static bool shares(const ae_run *run, const ae_request *r)
{
    return run->engine->prefixes && !r->kv && r->wants != AE_WANT_HIDDEN;
}

ae_prefix_found ae_run_earlier(const ae_run *run, const ae_ticket *t, const int32_t *ids, int64_t n)
{
    const ae_prefix like = prefix_of(t, ids, n, 0);
    if (!shares(run, &t->request)) return (ae_prefix_found){ 0 };
    return ae_prefixes_find(run->engine->prefixes, &like);
}

/* What a request may share. The last token is computed in any case: its logits choose the first of
 * the reply, its state is what is scored. Of tokens that are told of, the search leaves it out. */
static ae_prefix wanted_of(const ae_ticket *t)
{
    int tops = ae_request_tops(&t->request);
    return prefix_of(t, t->request.prompt, t->request.n_prompt - (tops == 0), tops);
}

static ae_prefix_found find_earlier(const ae_run *run, const ae_ticket *t)
{
    const ae_prefix like = wanted_of(t);
    if (!shares(run, &t->request)) return (ae_prefix_found){ 0 };
    return ae_prefixes_find(run->engine->prefixes, &like);
}

/* What an earlier text tells of the prompt's tokens. */
static bool take_chances(ae_prompt_run *p, const ae_prefix_found *earlier)
{
    int64_t n = p->request->n_prompt - 1;
    p->tops = ae_request_tops(p->request);
    if (p->tops == 0) return true;
    p->chances = ae_alloc((size_t)n + 1, (size_t)p->tops * sizeof *p->chances);
    for (int64_t i = 0; p->chances && i < earlier->len; i++)
        for (int k = 0; k < p->tops; k++)
            p->chances[i * p->tops + k] = earlier->chances[i * earlier->tops + k];
    return p->chances;
}

/* A prompt's cache, begun with what an earlier text holds of it. */
static aerie_status open_prompt(ae_run *run, ae_prompt_run *p, aerie_error *err)
{
    const ae_request *r = p->request;
    bool replies_in_it = ae_request_replies(r) == 1 && r->wants == AE_WANT_REPLIES;
    int64_t capacity = replies_in_it ? ae_run_context(run, r) : r->n_prompt;
    ae_prefix_found earlier = find_earlier(run, p->ticket);
    if (run->stats) run->stats->reused += earlier.len;
    p->kv = r->kv ? r->kv : ae_run_new_kv(run, p->ticket, capacity, earlier.kv, earlier.len, err);
    if (!p->kv) return AERIE_NO_MEMORY;
    p->fed = ae_kv_len(p->kv);
    if (take_chances(p, &earlier)) return AERIE_OK;
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a prompt's log-probabilities");
}

/* The prompt under way that will hold much more of this one than earlier texts do, or NULL. */
static const ae_prompt_run *worth_awaiting(const ae_run *run, const ae_ticket *t)
{
    if (!shares(run, &t->request)) return NULL;
    const ae_prefix like = wanted_of(t);
    int64_t held = ae_prefixes_find(run->engine->prefixes, &like).len;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        int64_t n = p->in_use ? p->request->n_prompt : 0;
        if (p->fed >= n || !p->owns_kv || p->is_out || p->is_returning ||
            p->request->wants == AE_WANT_HIDDEN || p->tops < like.tops ||
            p->request->net_id != t->request.net_id || p->ticket->kv_type != t->kv_type ||
            n > run->engine->options.prefix_cache_positions / t->cost)
            continue;
        int64_t soon = ae_prefixes_common(p->request->prompt, n, like.ids, like.n);
        if (soon - (like.tops > 0) >= held + WORTH_WAITING) return p;
    }
    return NULL;
}

static bool is_being_read(const ae_run *run, int64_t number)
{
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        if (p->in_use && p->number == number) return !p->is_returning && ae_prompt_left(p) > 0;
    }
    return false;
}

/* One prompt is waited for, once: nobody waits for ever. */
static bool must_wait(const ae_run *run, ae_ticket *t)
{
    if (!t->has_waited) {
        const ae_prompt_run *p = worth_awaiting(run, t);
        if (!p) return false;
        t->has_waited = true;
        t->awaited = p->number;
    }
    return is_being_read(run, t->awaited);
}

static bool has_room(ae_run *run, const ae_ticket *t)
{
    return ae_run_sequences(run) + ae_request_replies(&t->request) <= run->max_sequences &&
           ae_run_find_room(run, t, t->request.n_prompt);
}

static aerie_status let_in(ae_run *run, ae_prompt_run *p, ae_ticket *t, aerie_error *err)
{
    const ae_request *r = &t->request;
    aerie_error why = { 0 };
    int64_t n = ae_request_replies(r);
    *p = (ae_prompt_run){ .request = r,
                          .ticket = t,
                          .index = t->name,
                          .number = run->n_let_in++,
                          .owns_kv = !r->kv,
                          .n_replies = n,
                          .replies_left = n,
                          .yields = ae_run_yields(r),
                          .in_use = true };
    aerie_status status = open_prompt(run, p, &why);
    if (status) return ae_run_fail(run, p, status, &why, err);
    if (run->events.started) run->events.started(run->events.user, p->index, r->kv ? 0 : p->fed);
    if (p->chances && p->fed > 0 && run->events.chances)
        run->events.chances(run->events.user, p->index, 1, p->fed, p->chances);
    return AERIE_OK;
}

aerie_status ae_run_admit(ae_run *run, aerie_error *err)
{
    bool all;
    aerie_status status = ae_run_bring_back(run, &all, err);
    /* Who was put out comes before who was never in. */
    if (!all) return status;
    for (ae_ticket **at = &run->first; *at && !status;) {
        ae_ticket *t = *at;
        ae_prompt_run *p = free_prompt(run);
        if (!p || !has_room(run, t)) break;
        if (must_wait(run, t)) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (!*at) run->last = at;
        t->next = NULL;
        status = let_in(run, p, t, err);
    }
    return status;
}

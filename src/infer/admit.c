/* admit.c -- who is let in: the order, the room, and what earlier texts hold of a prompt. */
#include "infer/engine_private.h"

enum { WORTH_WAITING = 32 }; /* tokens that a prompt need not compute */

ae_kv *ae_run_new_kv(const ae_run *run, int64_t capacity, const ae_kv *prefix, int64_t prefix_len,
                     aerie_error *err)
{
    ae_kv *kv;
    ae_engine_new_kv(&kv, run->engine, run->engine->options.net, capacity, prefix, prefix_len, err);
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

void ae_run_keep(const ae_run *run, const int32_t *ids, int64_t n, const ae_kv *kv)
{
    aerie_error ignored = { 0 };
    if (!run->engine->prefixes) return;
    ae_kv *shared = ae_run_new_kv(run, n, kv, n, &ignored);
    if (shared) ae_prefixes_keep(run->engine->prefixes, ids, n, shared);
}

/* Whether a request may go on from earlier texts. */
static bool shares(const ae_run *run, const ae_request *r)
{
    return run->engine->prefixes && !r->kv && !r->tells_prompt && r->wants == AE_WANT_REPLIES;
}

/* A prompt's cache, begun with what an earlier text holds of it. */
static ae_kv *open_prompt(ae_run *run, const ae_ticket *t, aerie_error *err)
{
    const ae_request *r = &t->request;
    bool replies_in_it = ae_request_replies(r) == 1 && r->wants == AE_WANT_REPLIES;
    int64_t capacity = replies_in_it ? ae_run_context(run, r) : r->n_prompt, held = 0;
    const ae_kv *earlier = NULL;
    ae_kv *kv;
    if (r->wants != AE_WANT_REPLIES) {
        ae_engine_new_kv_of(&kv, run->engine, run->engine->options.net, t->kv_type, capacity, NULL,
                            0, err);
        return kv;
    }
    /* The last token is computed in any case: its logits choose the first of the reply. */
    if (shares(run, r))
        earlier = ae_prefixes_find(run->engine->prefixes, r->prompt, r->n_prompt - 1, &held);
    if (run->stats) run->stats->reused += held;
    return ae_run_new_kv(run, capacity, earlier, held, err);
}

/* The prompt under way that will hold much more of this one than earlier texts do, or NULL. */
static const ae_prompt_run *worth_awaiting(const ae_run *run, const ae_request *r)
{
    ae_prefixes *prefixes = run->engine->prefixes;
    int64_t held;
    if (!shares(run, r)) return NULL;
    ae_prefixes_find(prefixes, r->prompt, r->n_prompt - 1, &held);
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        int64_t n = p->in_use ? p->request->n_prompt : 0;
        if (p->fed >= n || !p->owns_kv || p->request->wants != AE_WANT_REPLIES ||
            n > run->engine->options.prefix_cache_positions)
            continue;
        int64_t soon = ae_prefixes_common(p->request->prompt, n, r->prompt, r->n_prompt - 1);
        if (soon >= held + WORTH_WAITING) return p;
    }
    return NULL;
}

static bool is_being_read(const ae_run *run, int64_t number)
{
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        if (p->in_use && p->number == number) return p->fed < p->request->n_prompt;
    }
    return false;
}

/* One prompt is waited for, once: nobody waits for ever. */
static bool must_wait(const ae_run *run, ae_ticket *t)
{
    if (!t->has_waited) {
        const ae_prompt_run *p = worth_awaiting(run, &t->request);
        if (!p) return false;
        t->has_waited = true;
        t->awaited = p->number;
    }
    return is_being_read(run, t->awaited);
}

static bool has_room(const ae_run *run, const ae_ticket *t)
{
    int64_t most = run->engine->options.kv_positions;
    return ae_run_sequences(run) + ae_request_replies(&t->request) <= run->max_sequences &&
           (most <= 0 || run->reserved + t->reserved <= most);
}

static aerie_status let_in(ae_run *run, ae_prompt_run *p, ae_ticket *t, aerie_error *err)
{
    const ae_request *r = &t->request;
    aerie_error why = { 0 };
    int64_t n = ae_request_replies(r);
    ae_kv *kv = r->kv ? r->kv : open_prompt(run, t, &why);
    *p = (ae_prompt_run){ .request = r,
                          .ticket = t,
                          .index = t->name,
                          .number = run->n_let_in++,
                          .kv = kv,
                          .owns_kv = !r->kv,
                          .n_replies = n,
                          .replies_left = n,
                          .in_use = true };
    run->reserved += t->reserved;
    if (!kv) return ae_run_fail(run, p, AERIE_NO_MEMORY, &why, err);
    p->fed = ae_kv_len(kv);
    if (run->events.started)
        run->events.started(run->events.user, p->index, r->kv ? 0 : ae_kv_len(kv));
    return AERIE_OK;
}

aerie_status ae_run_admit(ae_run *run, aerie_error *err)
{
    aerie_status status = AERIE_OK;
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

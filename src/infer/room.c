/* room.c -- positions: what each request under way takes of them, who gives its own up when they
 * run out, and how it comes back.
 *
 * A reply may grow as long as its context, but few do. So a request is let in as soon as there is
 * room for its prompt and the next tokens of its reply; where replies then grow past all room, the
 * youngest gives its positions up (vLLM's preemption by recomputation: 2309.06180, section 4.5).
 * Its text and its dice stay, and when there is room again the text is read as a prompt is, which
 * gives the same bits: nobody can tell but by the time. Requests of several replies, and those
 * whose prompt is told of, keep room for the most that they may take and are never put out. */
#include "infer/engine_private.h"

bool ae_run_yields(const ae_request *r)
{
    return r->wants == AE_WANT_REPLIES && ae_request_replies(r) == 1 && !r->tells_prompt && !r->kv;
}

/* What is to be read of a request before it can go on. */
static int64_t text_of(const ae_prompt_run *p, const int32_t **ids)
{
    *ids = p->reply ? p->reply->history.data : p->request->prompt;
    return p->reply ? (int64_t)p->reply->history.len : p->request->n_prompt;
}

static int64_t taken_by(const ae_prompt_run *p)
{
    const int32_t *ids;
    if (!p->in_use || p->is_out) return 0;
    return p->yields ? text_of(p, &ids) : p->ticket->reserved;
}

/* With the tokens that a reply should be able to say before anybody has to go: with few, replies
 * are read again and again; with many, requests wait for room that is never used. */
static int64_t claim_of(const ae_run *run, const ae_ticket *t, int64_t length)
{
    if (!ae_run_yields(&t->request)) return t->reserved;
    return ae_min64(length + run->engine->options.kv_ahead, t->reserved);
}

int64_t ae_run_reserved(const ae_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++) n += taken_by(&run->prompts[i]);
    return n;
}

static int64_t claimed(const ae_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        if (taken_by(p) > 0) n += claim_of(run, p->ticket, taken_by(p));
    }
    return n;
}

/* Positions that the replies of the next pass add. */
static int64_t growth(const ae_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++)
        n += ae_reply_is_awake(&run->replies[i]) && run->replies[i].prompt->yields;
    return n;
}

int64_t ae_run_spare(const ae_run *run)
{
    int64_t most = run->engine->options.kv_positions;
    return most > 0 ? ae_max64(most - ae_run_reserved(run) - growth(run), 0) : INT64_MAX;
}

static bool is_resting(const ae_prompt_run *p)
{
    return p->reply && p->reply->rests;
}

/* The one let in last of those that can be put out; of those that rest, if there is one. */
static ae_prompt_run *youngest(ae_run *run, bool resting_alone)
{
    ae_prompt_run *best = NULL;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_prompt_run *p = &run->prompts[i];
        if (!p->in_use || p->is_out || !p->yields || (resting_alone && !is_resting(p))) continue;
        bool later = best && p->number > best->number;
        if (!best || is_resting(p) > is_resting(best) ||
            (is_resting(p) == is_resting(best) && later))
            best = p;
    }
    return best;
}

/* What was computed stays among the earlier texts as long as those have room. */
static void put_out(ae_run *run, ae_prompt_run *p)
{
    const int32_t *ids;
    ae_reply_run *r = p->reply;
    int64_t n = ae_min64(text_of(p, &ids), ae_kv_len(p->kv));
    if (n > 0) ae_run_keep(run, p, ids, n, p->kv, NULL);
    ae_kv_free(p->kv);
    p->kv = NULL;
    p->fed = 0;
    p->is_out = true;
    p->is_returning = false;
    if (run->stats) run->stats->put_out++;
    if (!r) return;
    r->kv = NULL;
    r->guess.n = r->guess.sent = 0;
    if (r->owns_draft_kv) ae_kv_free(r->draft_kv);
    r->draft_kv = NULL;
    r->owns_draft_kv = false;
}

bool ae_run_find_room(ae_run *run, const ae_ticket *t, int64_t length)
{
    int64_t most = run->engine->options.kv_positions;
    int64_t claim = claim_of(run, t, length);
    while (most > 0 && ae_run_reserved(run) > 0 && claimed(run) + claim > most) {
        /* A reader that is slow holds nobody up. */
        ae_prompt_run *p = youngest(run, true);
        if (!p) return false;
        put_out(run, p);
    }
    return true;
}

void ae_run_keep_within(ae_run *run)
{
    int64_t most = run->engine->options.kv_positions;
    while (most > 0 && ae_run_reserved(run) + growth(run) > most) {
        ae_prompt_run *p = youngest(run, false);
        if (!p) return;
        put_out(run, p);
    }
}

static ae_prompt_run *longest_out(ae_run *run)
{
    ae_prompt_run *best = NULL;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_prompt_run *p = &run->prompts[i];
        if (p->in_use && p->is_out && !is_resting(p) && (!best || p->number < best->number))
            best = p;
    }
    return best;
}

static aerie_status bring_back(ae_run *run, ae_prompt_run *p, aerie_error *err)
{
    const int32_t *ids;
    int64_t n = text_of(p, &ids);
    ae_prefix_found earlier = ae_run_earlier(run, p->ticket, ids, n - 1);
    p->kv = ae_run_new_kv(run, p->ticket, ae_run_context(run, p->request), earlier.kv, earlier.len,
                          err);
    if (!p->kv) return AERIE_NO_MEMORY;
    p->fed = ae_kv_len(p->kv);
    p->is_out = false;
    if (!p->reply) return AERIE_OK;
    p->reply->kv = p->kv;
    p->is_returning = p->fed < n - 1;
    return AERIE_OK;
}

aerie_status ae_run_bring_back(ae_run *run, bool *all, aerie_error *err)
{
    ae_prompt_run *p;
    *all = false;
    while ((p = longest_out(run))) {
        const int32_t *ids;
        aerie_error why = { 0 };
        if (!ae_run_find_room(run, p->ticket, text_of(p, &ids))) return AERIE_OK;
        aerie_status status = bring_back(run, p, &why);
        if (status) status = ae_run_fail(run, p, status, &why, err);
        if (status) return status;
    }
    *all = true;
    return AERIE_OK;
}

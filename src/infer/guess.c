/* guess.c -- the next tokens of every reply, guessed: by its own past, else by the draft model. */
#include "infer/engine_private.h"

/* A match that holds this often is not improved by asking a draft model. */
static const double GOOD_MATCH = 0.8;

/* Guesses that can still become tokens of the reply: the pass draws one more than it guesses. */
static int64_t useful(const ae_run *run, const ae_reply_run *r)
{
    const ae_request *request = r->prompt->request;
    int64_t left = ae_run_context(run, request) - (int64_t)r->history.len - 1;
    if (request->max_tokens > 0) left = ae_min64(left, request->max_tokens - r->n_new - 1);
    return ae_min64(left, AE_GUESS_MOST);
}

static void guess_by_past(ae_run *run, ae_reply_run *r)
{
    const ae_tokenizer *tokenizer = run->engine->options.tokenizer;
    ae_guess *g = &r->guess;
    int64_t n = (int64_t)r->history.len;
    ae_match m = ae_lookup_find(&r->lookup, r->history.data, n);
    g->n = g->sent = 0;
    if (m.length == 0) return;
    g->n = ae_max64(useful(run, r), 0);
    ae_match_copy(m, r->history.data, n, g->ids, g->n);
    for (int64_t i = 0; i < g->n; i++) {
        g->grades[i] = (uint8_t)ae_grade_of_match(m.length + i);
        if (tokenizer && ae_tokenizer_is_eog(tokenizer, g->ids[i])) g->n = i + 1;
    }
}

static bool wants_draft(const ae_reply_run *r)
{
    return r->guess.n == 0 || ae_hit_rate(&r->rates, r->guess.grades[0]) < GOOD_MATCH;
}

/* Tokens that the draft model has yet to read; a prompt is read once and not held against it. */
static int64_t behind(const ae_reply_run *r)
{
    return r->draft_kv ? (int64_t)r->history.len - ae_kv_len(r->draft_kv) : 1;
}

static double guess_by_draft(ae_run *run, ae_reply_run **wanting, int64_t *most, int64_t n)
{
    const ae_engine *e = run->engine;
    bool always = e->options.speculate_always;
    int64_t unread = 0, kept = 0;
    double seconds = 0;
    for (int64_t i = 0; i < n; i++) unread += behind(wanting[i]);
    for (int64_t i = 0; i < n; i++) {
        ae_reply_run *r = wanting[i];
        int64_t depth = always ? AE_GUESS_MOST / 4
                               : ae_speculation_depth(&e->speculation,
                                                      ae_hit_rate_of_drafts(&r->rates), n, unread);
        depth = ae_min64(depth, useful(run, r));
        if (depth < 1) continue;
        wanting[kept] = r;
        most[kept++] = depth;
    }
    if (kept > 0) ae_draft_guess(run, wanting, most, kept, &seconds);
    return seconds;
}

static void send_all(ae_run *run, int64_t room)
{
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_reply_run *r = &run->replies[i];
        if (!ae_reply_is_awake(r)) continue;
        r->guess.sent = ae_min64(r->guess.n, room);
        room -= r->guess.sent;
    }
}

double ae_run_guess(ae_run *run, bool prompts_wait)
{
    const ae_engine_options *o = &run->engine->options;
    ae_pass *ps = &run->pass;
    int64_t n = 0, n_wanting = 0;
    double seconds = 0;
    if (!ae_run_looks_up(run) && !ae_run_drafts(run)) return 0;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_reply_run *r = &run->replies[i];
        if (!ae_reply_is_awake(r)) continue;
        guess_by_past(run, r);
        if (wants_draft(r)) ps->wanting[n_wanting++] = r;
        ps->guesses[n] = &r->guess;
        ps->rates[n++] = &r->rates;
    }
    /* A pass that is full of prompts has no cheap places. Guesses are kept: they learn. */
    if (prompts_wait && !o->speculate_always) return 0;
    if (ae_run_drafts(run) && n_wanting > 0)
        seconds = guess_by_draft(run, ps->wanting, ps->most, n_wanting);
    int64_t room = ae_min64(run->max_batch - n, ae_run_spare(run));
    if (o->speculate_always)
        send_all(run, room);
    else
        ae_speculation_plan(&run->engine->speculation, ps->guesses, ps->rates, n, room);
    return seconds;
}

/* pass.c -- one forward pass over whatever is ready, of every prompt and reply. */
#include "infer/engine_private.h"

#include <math.h>

static ae_pass_part *pack(ae_pass *ps, void *owner, bool is_prompt, ae_kv *kv, const int32_t *ids,
                          int64_t n)
{
    int64_t s = ps->n_segments++, first = ps->n_tokens, from = ae_kv_len(kv);
    ps->segments[s] = (ae_segment){ .first = first, .n = n, .parent = -1, .cache = s };
    ps->caches[s] = kv;
    ps->parts[s] = (ae_pass_part){ .owner = owner, .is_prompt = is_prompt };
    for (int64_t i = 0; i < n; i++) {
        ps->ids[first + i] = ids[i];
        ps->pos[first + i] = (int32_t)(from + i);
    }
    ps->n_tokens += n;
    return &ps->parts[s];
}

static void want_last(ae_pass *ps, ae_pass_part *part, int64_t n)
{
    part->n_wanted = (int32_t)n;
    part->wanted = (int32_t)(ps->n_tokens - n);
}

/* A reply's last token, and the guesses after it as if it had drawn them. */
static void pack_reply(ae_pass *ps, ae_reply_run *r)
{
    ae_pass_part *part = pack(ps, r, false, r->kv, &r->history.data[r->history.len - 1], 1);
    int64_t at = ps->n_tokens;
    for (int64_t i = 0; i < r->guess.sent; i++) {
        ps->ids[at + i] = r->guess.ids[i];
        ps->pos[at + i] = ps->pos[at - 1] + (int32_t)(1 + i);
    }
    ps->segments[ps->n_segments - 1].n += r->guess.sent;
    ps->n_tokens += r->guess.sent;
    ps->sent += r->guess.sent;
    ps->n_replies++;
    want_last(ps, part, 1 + r->guess.sent);
}

static int64_t left_of(const ae_prompt_run *p)
{
    return p->request->n_prompt - p->fed;
}

static bool is_read(const ae_prompt_run *p)
{
    return !p->in_use || left_of(p) <= 0;
}

/* Prompts that are not read yet, of the pass's type: the one let in first, then those with the
 * fewest tokens left. */
static int64_t order_prompts(ae_run *run)
{
    ae_prompt_run **waiting = run->pass.waiting;
    int64_t n = 0, first = 0;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_prompt_run *p = &run->prompts[i];
        if (is_read(p) || p->ticket->kv_type != run->pass.kv_type) continue;
        int64_t at = n++;
        for (; at > 0 &&
               (left_of(waiting[at - 1]) > left_of(p) ||
                (left_of(waiting[at - 1]) == left_of(p) && waiting[at - 1]->number > p->number));
             at--)
            waiting[at] = waiting[at - 1];
        waiting[at] = p;
    }
    for (int64_t i = 1; i < n; i++)
        if (waiting[i]->number < waiting[first]->number) first = i;
    ae_prompt_run *oldest = n > 0 ? waiting[first] : NULL;
    for (; first > 0; first--) waiting[first] = waiting[first - 1];
    if (oldest) waiting[0] = oldest;
    return n;
}

static int64_t awake_replies(const ae_run *run)
{
    int64_t n = 0;
    for (int64_t i = 0; i < run->max_sequences; i++)
        n += run->replies[i].in_use && !run->replies[i].rests;
    return n;
}

/* Seconds of a pass of replies alone. While prompts wait all the time none of those runs, and none
 * is known. */
static double seconds_of(const ae_engine *e, int64_t replies)
{
    double known = ae_pass_cost(&e->speculation.pass, replies);
    return known > 0 ? known : (double)replies * e->prompt_token_seconds;
}

/* Tokens of prompts that the pass takes beside its replies, or instead of them. */
static int64_t room_for_prompts(const ae_run *run)
{
    enum { LEAST = 16 }; /* fewer would be read no faster */
    const ae_engine *e = run->engine;
    const ae_pass *ps = &run->pass;
    int64_t room = run->max_batch - ps->n_tokens, awake = awake_replies(run);
    if (e->options.patience <= 0 || awake == 0 || e->prompt_token_seconds <= 0) return room;
    double replies = seconds_of(e, ae_max64(awake, ps->n_tokens));
    double most = fmax(e->options.patience * replies, e->options.unnoticed) - replies;
    double tokens = fmin(most / e->prompt_token_seconds, (double)room);
    return ae_min64(room, ae_max64((int64_t)tokens, LEAST));
}

static bool wants_rows(const ae_request *r)
{
    return r->wants == AE_WANT_ROWS || r->tells_prompt;
}

static int64_t pack_prompt(ae_run *run, ae_prompt_run *p, int64_t most)
{
    enum { ROWS = 64 }; /* logits of more at once fit no memory where the vocabulary is large */
    ae_pass *ps = &run->pass;
    bool rows = wants_rows(p->request);
    int64_t n = ae_min64(left_of(p), rows ? ae_min64(most, ROWS - ps->n_prompt_rows) : most);
    if (n <= 0) return 0;
    ae_pass_part *part = pack(ps, p, true, p->kv, p->request->prompt + p->fed, n);
    ps->n_prompt += n;
    if (rows) ps->n_prompt_rows += n;
    if (rows)
        want_last(ps, part, n);
    else if (n == left_of(p) && p->request->wants == AE_WANT_REPLIES)
        want_last(ps, part, 1);
    return n;
}

/* Half of the room is the oldest prompt's, so that a long one gets on; the rest is of those that
 * have the least left, for then the most of them answer soon. What a short one leaves goes to the
 * oldest. */
static void pack_prompts(ae_run *run)
{
    ae_pass *ps = &run->pass;
    int64_t n = order_prompts(run), room = room_for_prompts(run), others = 0;
    if (n == 0 || room <= 0) return;
    for (int64_t i = 1; i < n; i++) others += left_of(ps->waiting[i]);
    room -= pack_prompt(run, ps->waiting[0], room - ae_min64(others, room / 2));
    for (int64_t i = 1; i < n && room > 0; i++) room -= pack_prompt(run, ps->waiting[i], room);
}

/* All caches of a pass are of one type: what has another has every other pass. */
static void choose_type(ae_run *run)
{
    ae_dtype own = run->engine->options.kv_type, other = own;
    bool own_waits = awake_replies(run) > 0;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        const ae_prompt_run *p = &run->prompts[i];
        if (is_read(p)) continue;
        if (p->ticket->kv_type == own)
            own_waits = true;
        else
            other = p->ticket->kv_type;
    }
    run->others_turn = other != own && (!own_waits || !run->others_turn);
    run->pass.kv_type = run->others_turn ? other : own;
}

/* Replies come first, so that a long prompt does not make them wait. */
static void pack_all(ae_run *run)
{
    for (int64_t i = 0; !run->others_turn && i < run->max_sequences; i++)
        if (run->replies[i].in_use && !run->replies[i].rests)
            pack_reply(&run->pass, &run->replies[i]);
    pack_prompts(run);
}

static aerie_status start_replies(ae_run *run, ae_prompt_run *p, const float *logits,
                                  aerie_error *err)
{
    aerie_status status = AERIE_OK;
    /* The prompt may be released by its last reply's end: count first. */
    int64_t n = p->n_replies;
    if (p->owns_kv) ae_run_keep(run, p->request->prompt, p->fed, p->kv);
    for (int64_t i = 0; i < n && !status; i++) status = ae_reply_start(run, p, i, logits, err);
    return status;
}

/* What a request without replies wanted. `states`: of all rows of the part. */
static aerie_status use_states(ae_run *run, ae_prompt_run *p, const ae_tensor *hidden,
                               int64_t first_row, int64_t n, aerie_error *err)
{
    const ae_engine_events *to = &run->events;
    bool is_read_now = left_of(p) == 0;
    if (p->request->wants == AE_WANT_HIDDEN && to->hidden)
        to->hidden(to->user, p->index, p->fed - n, n, ae_f32(hidden) + first_row * hidden->cols);
    if (p->request->wants == AE_WANT_SCORE && is_read_now) {
        ae_ctx cx = { .device = run->engine->options.device, .arena = &run->engine->step };
        const int32_t row = (int32_t)(first_row + n - 1);
        const ae_tensor *y = ae_net_scores(&cx, run->engine->options.net, hidden, &row, 1);
        if (!y) return aerie_fail(err, cx.error.status, "%s", cx.error.message);
        if (to->score) to->score(to->user, p->index, ae_f32(y)[0]);
    }
    if (is_read_now) ae_run_end_prompt(run, p, AERIE_OK, NULL);
    return AERIE_OK;
}

static aerie_status use_prompt(ae_run *run, ae_prompt_run *p, const ae_tensor *hidden,
                               const ae_segment *s, const float *logits, aerie_error *err)
{
    const ae_request *r = p->request;
    int64_t vocab_size = run->engine->options.net->config->vocab_size;
    p->fed += s->n;
    if (wants_rows(r) && run->events.prompt_rows)
        run->events.prompt_rows(run->events.user, p->index, p->fed - s->n, s->n, logits);
    if (r->wants != AE_WANT_REPLIES) return use_states(run, p, hidden, s->first, s->n, err);
    if (left_of(p) > 0) return AERIE_OK;
    return start_replies(run, p, logits + (wants_rows(r) ? s->n - 1 : 0) * vocab_size, err);
}

/* logits: of the part's wanted rows. What goes wrong with it is its request's alone. */
static aerie_status use_part(ae_run *run, const ae_pass_part *part, const ae_tensor *hidden,
                             const ae_segment *s, const float *logits, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    aerie_error why = { 0 };
    ae_prompt_run *p = part->owner;
    if (part->is_prompt) {
        status = use_prompt(run, p, hidden, s, logits, &why);
    } else {
        ae_reply_run *r = part->owner;
        p = r->prompt;
        /* Another reply of the same prompt may have brought both to an end. */
        if (r->in_use) status = ae_reply_advance(run, r, logits, &why);
    }
    return status ? ae_run_fail(run, p, status, &why, err) : AERIE_OK;
}

static aerie_status use_rows(ae_run *run, const ae_tensor *hidden, const ae_tensor *logits,
                             aerie_error *err)
{
    ae_pass *ps = &run->pass;
    aerie_status status = AERIE_OK;
    int64_t row = 0;
    for (int64_t s = 0; s < ps->n_segments && !status; s++) {
        const ae_pass_part *part = &ps->parts[s];
        const float *rows = part->n_wanted > 0 ? ae_f32(logits) + row * logits->cols : NULL;
        row += part->n_wanted;
        ps->at = part->wanted + (part->is_prompt && part->n_wanted > 0 ? part->n_wanted - 1 : 0);
        status = use_part(run, part, hidden, &ps->segments[s], rows, err);
    }
    return status;
}

/* Log-probabilities of what was drawn, by the way that training takes: logits as they stand would
 * be added up in another order. */
static aerie_status tell_draws(const ae_run *run, const ae_tensor *hidden, aerie_error *err)
{
    const ae_pass *ps = &run->pass;
    ae_arena *arena = &run->engine->step;
    ae_ctx cx = { .device = run->engine->options.device, .arena = arena };
    int32_t *rows = ae_arena_take_raw(arena, (size_t)ps->n_draws, sizeof *rows);
    int32_t *targets = ae_arena_take_raw(arena, (size_t)ps->n_draws, sizeof *targets);
    float temperature = run->temperature;
    if (!rows || !targets)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for log-probabilities");
    for (int64_t i = 0; i < ps->n_draws; i++) {
        rows[i] = ps->draws[i].row;
        targets[i] = ps->draws[i].id;
    }
    const ae_predictions p = { .rows = rows, .targets = targets, .n = ps->n_draws };
    const ae_tensor *logp = ae_net_log_prob_at(&cx, run->engine->options.net, hidden, &p,
                                               temperature > 0 ? temperature : 1, NULL);
    for (int64_t i = 0; logp && i < ps->n_draws; i++)
        run->events.drawn(run->events.user, ps->draws[i].request, ps->draws[i].reply, targets[i],
                          ae_f32(logp)[i]);
    if (ae_ctx_status(&cx) && err && err->status == AERIE_OK) *err = cx.error;
    return ae_ctx_status(&cx);
}

/* *logits: of all wanted rows; NULL when there are none. */
static aerie_status forward(ae_run *run, const ae_tensor **hidden_states, ae_tensor **logits,
                            aerie_error *err)
{
    ae_engine *e = run->engine;
    ae_pass *ps = &run->pass;
    ae_arena_reset_all(&e->step);
    ae_ctx cx = { .device = e->options.device, .arena = &e->step };
    ae_batch batch = { .n_tokens = ps->n_tokens,
                       .ids = ps->ids,
                       .pos = ps->pos,
                       .segments = ps->segments,
                       .n_segments = ps->n_segments,
                       .caches = ps->caches };
    int64_t n = 0;
    for (int64_t s = 0; s < ps->n_segments; s++)
        for (int32_t i = 0; i < ps->parts[s].n_wanted; i++) ps->rows[n++] = ps->parts[s].wanted + i;

    ae_tensor *hidden = ae_net_hidden(&cx, e->options.net, &batch);
    *hidden_states = hidden;
    *logits = n > 0 ? ae_net_logits(&cx, e->options.net, hidden, ps->rows, n) : NULL;
    if (ae_ctx_status(&cx) && err && err->status == AERIE_OK) *err = cx.error;
    return ae_ctx_status(&cx);
}

static bool prompts_wait(const ae_run *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (run->prompts[i].in_use && run->prompts[i].fed < run->prompts[i].request->n_prompt)
            return true;
    return false;
}

static void count(ae_run *run, double seconds)
{
    const ae_pass *ps = &run->pass;
    double share = ps->n_tokens > 0 ? (double)ps->n_prompt / (double)ps->n_tokens : 0;
    seconds -= ps->reading;
    run->stats->prompt_tokens += ps->n_prompt;
    run->stats->prompt_seconds += share * seconds + ps->reading;
    run->stats->reply_seconds += (1 - share) * seconds;
    run->stats->passes++;
    run->stats->pass_tokens += ps->n_tokens;
    run->stats->drafted += ps->sent;
    run->stats->accepted += ps->held;
}

/* What the pass says of the costs of others. */
static void learn(ae_run *run, double forward_seconds, double draft_seconds)
{
    ae_engine *e = run->engine;
    ae_pass *ps = &run->pass;
    if (ps->n_prompt == 0) {
        ae_pass_costs_note(&e->speculation.pass, ps->n_tokens, forward_seconds);
        ae_speculation_book(&e->speculation, ps->n_replies, ps->sent, ps->held, draft_seconds);
        return;
    }
    double replies = ps->n_replies > 0 ? seconds_of(e, ps->n_tokens - ps->n_prompt) : 0;
    double each = (forward_seconds - replies) / (double)ps->n_prompt;
    if (each <= 0) return;
    e->prompt_token_seconds +=
        (each - e->prompt_token_seconds) * (e->prompt_token_seconds > 0 ? 0.25 : 1);
}

aerie_status ae_run_pass(ae_run *run, aerie_error *err)
{
    ae_pass *ps = &run->pass;
    const ae_tensor *hidden;
    ae_tensor *logits;
    double start = ae_clock_seconds();

    ps->reading = 0;
    ps->n_tokens = ps->n_segments = ps->n_prompt = ps->n_replies = ps->sent = ps->held = 0;
    ps->n_draws = ps->n_prompt_rows = 0;
    choose_type(run);
    double draft_seconds = run->others_turn ? 0 : ae_run_guess(run, prompts_wait(run));
    pack_all(run);
    double forward_start = ae_clock_seconds();
    aerie_status status = forward(run, &hidden, &logits, err);
    double forward_seconds = ae_clock_seconds() - forward_start;
    if (!status) status = use_rows(run, hidden, logits, err);
    if (!status && ps->n_draws > 0) status = tell_draws(run, hidden, err);
    if (!status) learn(run, forward_seconds, draft_seconds);
    if (run->stats) count(run, ae_clock_seconds() - start);
    return status;
}

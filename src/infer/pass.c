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

/* Prompts that are not read yet: the one let in first, then those with the
 * fewest tokens left. */
static int64_t order_prompts(ae_run *run)
{
    ae_prompt_run **waiting = run->pass.waiting;
    int64_t n = 0, first = 0;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        ae_prompt_run *p = &run->prompts[i];
        if (ae_prompt_left(p) <= 0) continue;
        int64_t at = n++;
        for (; at > 0 && (ae_prompt_left(waiting[at - 1]) > ae_prompt_left(p) ||
                          (ae_prompt_left(waiting[at - 1]) == ae_prompt_left(p) &&
                           waiting[at - 1]->number > p->number));
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
    for (int64_t i = 0; i < run->max_sequences; i++) n += ae_reply_is_awake(&run->replies[i]);
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

static int64_t pack_prompt(ae_run *run, ae_prompt_run *p, int64_t most)
{
    ae_pass *ps = &run->pass;
    int64_t n = ae_min64(ae_prompt_left(p), most);
    if (n <= 0) return 0;
    const int32_t *ids = p->is_returning ? p->reply->history.data : p->request->prompt;
    ae_pass_part *part = pack(ps, p, true, p->kv, ids + p->fed, n);
    ps->n_prompt += n;
    /* A reply that returns has drawn from the row after what is read. */
    if (n == ae_prompt_left(p) && p->request->wants == AE_WANT_REPLIES && !p->is_returning)
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
    for (int64_t i = 1; i < n; i++) others += ae_prompt_left(ps->waiting[i]);
    room -= pack_prompt(run, ps->waiting[0], room - ae_min64(others, room / 2));
    for (int64_t i = 1; i < n && room > 0; i++) room -= pack_prompt(run, ps->waiting[i], room);
}

static bool of_one_net(const ae_reply_run *a, const ae_reply_run *b)
{
    return a->prompt->request->net == b->prompt->request->net;
}

/* Replies come first, so that a long prompt does not make them wait; those of one net together. */
static void pack_all(ae_run *run)
{
    const ae_reply_run *replies = run->replies;
    for (int64_t i = 0; i < run->max_sequences; i++) {
        bool is_packed = !ae_reply_is_awake(&replies[i]);
        for (int64_t j = 0; j < i && !is_packed; j++)
            is_packed = ae_reply_is_awake(&replies[j]) && of_one_net(&replies[j], &replies[i]);
        for (int64_t j = i; j < run->max_sequences && !is_packed; j++)
            if (ae_reply_is_awake(&replies[j]) && of_one_net(&replies[j], &replies[i]))
                pack_reply(&run->pass, &run->replies[j]);
    }
    pack_prompts(run);
}

static const ae_net *net_of(const ae_run *run, const ae_pass_part *part)
{
    const ae_prompt_run *p =
        part->is_prompt ? part->owner : ((const ae_reply_run *)part->owner)->prompt;
    return ae_request_net(run->engine, p->request);
}

/* Neighbours under the same adapters are one group; a pass under the same ones is none. */
static void make_groups(ae_run *run)
{
    ae_pass *ps = &run->pass;
    const ae_net *last = NULL;
    int64_t n = 0;
    for (int64_t s = 0; s < ps->n_segments; s++) {
        const ae_net *net = net_of(run, &ps->parts[s]);
        if (net != last)
            ps->groups[n++] =
                (ae_row_group){ .first = ps->segments[s].first, .layers = net->layers };
        ps->groups[n - 1].n += ps->segments[s].n;
        last = net;
    }
    ps->net = n == 1 ? *last : *run->engine->options.net;
    ps->net.groups = ps->groups;
    ps->net.n_groups = n == 1 ? 0 : n;
}

static void keep_prompt(ae_run *run, ae_prompt_run *p)
{
    ae_chance *chances = p->chances;
    if (!p->owns_kv || p->request->wants == AE_WANT_HIDDEN) return;
    p->chances = NULL;
    ae_run_keep(run, p, p->request->prompt, p->fed, p->kv, chances);
}

static aerie_status start_replies(ae_run *run, ae_prompt_run *p, const float *logits,
                                  aerie_error *err)
{
    aerie_status status = AERIE_OK;
    /* The prompt may be released by its last reply's end: count first. */
    int64_t n = p->n_replies;
    keep_prompt(run, p);
    for (int64_t i = 0; i < n && !status; i++) status = ae_reply_start(run, p, i, logits, err);
    return status;
}

/* What a request without replies wanted. `states`: of all rows of the part. */
static aerie_status use_states(ae_run *run, ae_prompt_run *p, const ae_tensor *hidden,
                               int64_t first_row, int64_t n, aerie_error *err)
{
    const ae_engine_events *to = &run->events;
    bool is_read_now = ae_prompt_left(p) == 0;
    if (p->request->wants == AE_WANT_HIDDEN && to->hidden)
        to->hidden(to->user, p->index, p->fed - n, n, ae_f32(hidden) + first_row * hidden->cols);
    if (p->request->wants == AE_WANT_SCORE && is_read_now) {
        ae_ctx cx = { .device = run->engine->options.device, .arena = &run->engine->step };
        const int32_t row = (int32_t)(first_row + n - 1);
        const ae_net *net = ae_request_net(run->engine, p->request);
        const ae_tensor *y = ae_net_scores(&cx, net, hidden, &row, 1);
        if (!y) return aerie_fail(err, cx.error.status, "%s", cx.error.message);
        if (to->score) to->score(to->user, p->index, ae_f32(y)[0]);
    }
    if (is_read_now) keep_prompt(run, p);
    if (is_read_now) ae_run_end_prompt(run, p, AERIE_OK, NULL);
    return AERIE_OK;
}

/* What the last n rows that were fed say of the tokens after them; the prompt's last says nothing
 * of it. */
static aerie_status find_chances(ae_run *run, ae_prompt_run *p, const ae_tensor *hidden,
                                 int64_t first_row, int64_t n, aerie_error *err)
{
    const ae_request *r = p->request;
    ae_ctx cx = { .device = run->engine->options.device, .arena = &run->engine->step };
    int64_t from = p->fed - n, count = ae_min64(p->fed, r->n_prompt - 1) - from;
    ae_chance *out = p->chances + from * p->tops;
    if (count <= 0 && from > 0)
        return AERIE_OK; /* of a prompt of one token nothing is told, once */
    aerie_status status = ae_chances_of(out, p->tops, &cx, run->engine->options.net, hidden,
                                        first_row, r->prompt + from + 1, count, err);
    if (!status && run->events.chances)
        run->events.chances(run->events.user, p->index, from + 1, count, out);
    return status;
}

static aerie_status use_prompt(ae_run *run, ae_prompt_run *p, const ae_tensor *hidden,
                               const ae_segment *s, const float *logits, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    p->fed += s->n;
    if (p->is_returning) {
        p->is_returning = ae_prompt_left(p) > 0;
        return AERIE_OK;
    }
    if (p->chances) status = find_chances(run, p, hidden, s->first, s->n, err);
    if (status) return status;
    if (p->request->wants != AE_WANT_REPLIES)
        return use_states(run, p, hidden, s->first, s->n, err);
    return ae_prompt_left(p) > 0 ? AERIE_OK : start_replies(run, p, logits, err);
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

    ae_tensor *hidden = ae_net_hidden(&cx, &ps->net, &batch);
    *hidden_states = hidden;
    *logits = n > 0 ? ae_net_logits(&cx, e->options.net, hidden, ps->rows, n) : NULL;
    if (ae_ctx_status(&cx) && err && err->status == AERIE_OK) *err = cx.error;
    return ae_ctx_status(&cx);
}

static bool prompts_wait(const ae_run *run)
{
    for (int64_t i = 0; i < run->max_sequences; i++)
        if (ae_prompt_left(&run->prompts[i]) > 0) return true;
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
    ps->n_draws = 0;
    double draft_seconds = ae_run_guess(run, prompts_wait(run));
    pack_all(run);
    make_groups(run);
    double forward_start = ae_clock_seconds();
    aerie_status status = forward(run, &hidden, &logits, err);
    double forward_seconds = ae_clock_seconds() - forward_start;
    if (!status) status = use_rows(run, hidden, logits, err);
    if (!status && ps->n_draws > 0) status = tell_draws(run, hidden, err);
    if (!status) learn(run, forward_seconds, draft_seconds);
    if (run->stats) count(run, ae_clock_seconds() - start);
    return status;
}

/* talk_events.c -- events of asks, brought from the engine's thread to the loop's. */
#include "serve/talk_private.h"

#include <stdio.h>
#include <string.h>

void ae_talk_go_on(talk *t)
{
    if (t->is_away) return;
    size_t unsent = t->open.x ? ae_exchange_waiting(t->open.x) : 0;
    atomic_store(&t->unsent, unsent);
    if (unsent + atomic_load(&t->carried) > AE_HTTPD_LOW_WATER) return;
    if (!atomic_exchange(&t->rests, false)) return;
    for (talk_ask *a = t->asks; a; a = a->next)
        if (!a->ended) aerie_engine_go_on(aerie_lease_engine(t->open.lease), a->ticket);
}

typedef struct {
    ae_post post;
    talk_ask *ask;
    size_t bytes;
    aerie_event event; /* what it points to lies behind it */
} carried_event;

typedef struct {
    char *at, *end;
} room;

static void *take(room *r, const void *data, size_t bytes)
{
    void *place = r->at;
    r->at += (bytes + 15) / 16 * 16;
    if (data && bytes) memcpy(place, data, bytes);
    return place;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

static size_t bytes_of(const aerie_event *e)
{
    size_t n = rounded(e->len) + rounded(e->n_tokens * sizeof *e->tokens) +
               rounded(e->n_numbers * sizeof *e->numbers) +
               rounded(e->stop ? strlen(e->stop) + 1 : 0);
    for (size_t i = 0; i < e->n_tokens; i++) {
        n += rounded(e->tokens[i].token.len) +
             rounded(e->tokens[i].n_top * sizeof *e->tokens[i].top);
        for (size_t k = 0; k < e->tokens[i].n_top; k++) n += rounded(e->tokens[i].top[k].len);
    }
    return n;
}

static void copy_token(aerie_reply_token *to, const aerie_reply_token *from, room *r)
{
    aerie_choice *top = take(r, from->top, from->n_top * sizeof *top);
    *to = *from;
    to->token.bytes = take(r, from->token.bytes, from->token.len);
    for (size_t k = 0; k < from->n_top; k++)
        top[k].bytes = take(r, from->top[k].bytes, from->top[k].len);
    to->top = top;
}

static carried_event *copy_event(talk_ask *a, const aerie_event *e)
{
    size_t bytes = rounded(sizeof(carried_event)) + bytes_of(e);
    char *memory = ae_alloc(1, bytes);
    if (!memory) return NULL;
    room r = { memory + rounded(sizeof(carried_event)), memory + bytes };
    carried_event *c = (carried_event *)(void *)memory;
    *c = (carried_event){ .ask = a, .bytes = bytes, .event = *e };
    c->event.text = take(&r, e->text, e->len);
    c->event.stop = e->stop ? take(&r, e->stop, strlen(e->stop) + 1) : NULL;
    c->event.numbers = take(&r, e->numbers, e->n_numbers * sizeof *e->numbers);
    c->event.message = "";
    aerie_reply_token *tokens = take(&r, NULL, e->n_tokens * sizeof *tokens);
    for (size_t i = 0; i < e->n_tokens; i++) copy_token(&tokens[i], &e->tokens[i], &r);
    c->event.tokens = tokens;
    return c;
}

/* Whether an event must wait: who made its ask is still making others. */
static bool is_held(talk *t, ae_post *event)
{
    if (!t->is_away) return false;
    event->next = NULL;
    if (t->held)
        t->last_held->next = event;
    else
        t->held = event;
    t->last_held = event;
    return true;
}

void ae_talk_let_events_in(talk *t)
{
    while (!t->is_away && t->held) {
        ae_post *event = t->held;
        t->held = event->next;
        bool is_last = !t->held; /* maybe its talk's: an ask's end comes after all else of it */
        event->fn(event->user);
        if (is_last) return;
    }
}

static void on_carried(void *user)
{
    carried_event *c = user;
    talk *t = c->ask->of;
    if (is_held(t, &c->post)) return;
    atomic_fetch_sub(&t->carried, c->bytes);
    if (t->open.x) t->open.form->event(&t->open, c->ask->number, &c->event);
    ae_free(c);
    ae_talk_go_on(t);
}

static void on_end(void *user)
{
    talk_ask *a = user;
    talk *t = a->of;
    if (is_held(t, &a->end_post)) return;
    a->ended = true;
    t->n_live--;
    if (t->open.x && a->end.status) {
        int status = ae_status_of(a->end.status);
        ae_talk_fail(&t->open, status, a->end.message);
    } else if (t->open.x) {
        t->open.form->event(&t->open, a->number, &a->end);
        if (t->open.x && ae_talk_at_rest(t)) {
            t->open.form->finish(&t->open);
            t->open.x = NULL;
        }
    }
    if (ae_talk_at_rest(t)) ae_talk_release(t);
}

aerie_flow ae_talk_on_event(void *user, const aerie_event *e)
{
    talk_ask *a = user;
    talk *t = a->of;
    ae_loop *loop = t->open.server->loop;
    if (e->kind == AERIE_EVENT_END) {
        a->end = *e;
        snprintf(a->message, sizeof a->message, "%s", e->message);
        a->end.message = a->message;
        a->end_post = (ae_post){ .fn = on_end, .user = a };
        ae_loop_post(loop, &a->end_post);
        return AERIE_GO_ON;
    }
    carried_event *c = copy_event(a, e);
    if (!c) return AERIE_STOP; /* no memory: the reply ends here */
    size_t waiting = atomic_fetch_add(&t->carried, c->bytes) + c->bytes + atomic_load(&t->unsent);
    bool hold = e->kind == AERIE_EVENT_TEXT && waiting > AE_HTTPD_HIGH_WATER;
    /* Before it is posted: whoever takes it finds the replies held, and lets them go on. */
    if (hold) atomic_store(&t->rests, true);
    c->post = (ae_post){ .fn = on_carried, .user = c };
    ae_loop_post(loop, &c->post);
    return hold ? AERIE_HOLD : AERIE_GO_ON;
}

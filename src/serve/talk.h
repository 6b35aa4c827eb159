/* talk.h -- a request that a model answers: from its name to a lease, an ask or several, and their
 * events, brought from the engine's thread to the loop's. Private to serve.
 *
 * Whoever reads slowly holds its own replies up and no one else's; whoever leaves has its asks
 * cancelled, wherever they are. */
#ifndef AE_TALK_H
#define AE_TALK_H

#include "serve/server.h"

#include "aerie/engine.h"
#include "aerie/host.h"
#include "aerie/store.h"

typedef struct ae_talk ae_talk;

/* Says what to ask, with ae_talk_ask(), or replies, with ae_talk_reply(); it touches nothing else
 * of the exchange and the loop, for where the request is large it is called on a worker's thread.
 * No event comes before it has returned. A failure is replied with. */
typedef aerie_status ae_talk_step(ae_talk *t, aerie_error *err);

/* How a protocol asks and replies. check(), begin() and free() are called on a worker's thread
 * where the request is large, one after the other; all others on the loop's. */
typedef struct {
    ae_face face;
    bool streams;       /* unless the request says not to */
    size_t state_bytes; /* of the form's state, which begins zeroed */
    /* What can be said against a request before its model is opened. NULL: nothing. */
    aerie_status (*check)(const json_t *request, aerie_error *err);
    /* Whether a request asks nothing of its model: with a keep_alive of 0 it is let go, not opened.
     * finish() follows, without a lease. NULL: something always is asked. */
    bool (*asks_nothing)(const json_t *request);
    /* The model is open: what is to be asked. */
    ae_talk_step *begin;
    /* An event of the n-th ask, until its end; the exchange is there. */
    void (*event)(ae_talk *t, size_t n, const aerie_event *event);
    /* Every ask has ended well: the reply's end. */
    void (*finish)(ae_talk *t);
    /* What the state owns, but not itself. NULL: nothing. */
    void (*free)(void *state);
} ae_talk_form;

struct ae_talk {
    ae_server *server;
    ae_exchange *x; /* the loop's; NULL: the client has left, or has its reply */
    uint64_t id;    /* the exchange's */
    const ae_talk_form *form;
    void *state;     /* the form's; owned */
    json_t *request; /* owned */
    char model[512]; /* as the request names it */
    bool stream;
    const aerie_stored *stored;
    aerie_lease *lease; /* NULL while the model is being opened */
    double began;       /* ae_clock_seconds() */
    bool has_keep_alive;
    double keep_alive; /* seconds, as the request has it */
    /* The form's, set in begin(), or NULL: says what ended a reply that had begun, where the face's
     * own way will not do. */
    void (*failure)(ae_talk *t, int status, const char *message);
};

/* Answers a request: reads it, finds its `model`, opens it for `keep_alive`. The form's begin()
 * follows, now or when the model is open; or an error has been replied. */
void ae_talk_answer(ae_server *s, ae_exchange *x, const ae_talk_form *form);

/* In a step: another ask, whose events have the next number, from 0. */
aerie_status ae_talk_ask(ae_talk *t, const aerie_ask *ask, aerie_asked *asked, aerie_error *err);

/* In event(): another step, taken now or soon. */
aerie_status ae_talk_then(ae_talk *t, ae_talk_step *step, aerie_error *err);
/* In event(), when every ask has ended: the model is given back, and the talk goes on with another,
 * whose `lease` and `stored` it has when the step is taken: now, or when that is open. */
aerie_status ae_talk_move(ae_talk *t, const char *model, ae_talk_step *step, aerie_error *err);

/* In a step, event() or finish(): `json` (taken over) is all of the reply, whatever else comes. */
void ae_talk_reply(ae_talk *t, json_t *json);
/* In event() or finish(): a stream is complete; or an error ends the reply. */
void ae_talk_end(ae_talk *t);
void ae_talk_fail(ae_talk *t, int status, const char *message);

#endif

/* talk_private.h -- what the files of talks share. Private to serve.
 *
 * A talk is the loop's, but for two times: from a large request's coming until it is read, and
 * while the form says what to ask of it, it is a worker's, and `is_away`. Whatever happens
 * meanwhile waits for its return: the events of asks that are already made, in `held`; that the
 * client has left, in `x`, which is the loop's alone. */
#ifndef AE_TALK_PRIVATE_H
#define AE_TALK_PRIVATE_H

#include "serve/talk.h"
#include "serve/workers.h"

#include <stdatomic.h>

typedef struct talk talk;

/* One ask. The engine's thread writes to it until its end is posted; then it is the loop's. */
typedef struct talk_ask {
    struct talk_ask *next;
    talk *of;
    size_t number;
    uint64_t ticket;
    bool ended;
    /* Its end has its place from the beginning: nothing may keep that from coming. */
    ae_post end_post;
    aerie_event end;
    char message[480];
} talk_ask;

struct talk {
    ae_talk open; /* what forms see; first, so that either is the other */
    uint64_t lease_ticket;
    ae_talk_step *next; /* that is to be taken with the lease */
    bool awaits_lease;
    ae_post lease_post;
    aerie_lease *given;
    aerie_status lease_status;
    char lease_message[480];
    talk_ask *asks;
    size_t n_asks, n_live;
    atomic_size_t carried; /* bytes on their way from the engine to the loop */
    atomic_size_t unsent;  /* bytes that the client had not read when it was last looked */
    atomic_bool rests;     /* replies rest because of them */

    bool is_large;        /* its steps are a worker's */
    bool is_away;         /* one of them is under way */
    atomic_bool was_left; /* the client has gone meanwhile: nothing more need be asked */
    size_t large_bytes;   /* counted in the server's */
    ae_work work;
    ae_bytes body;       /* of a request that is to be read */
    aerie_status status; /* these two: what came of the step */
    aerie_error err;
    bool has_reply;            /* it replied: */
    char *reply;               /* a text of JSON; NULL: there was no memory */
    ae_post *held, *last_held; /* events of asks that it made */
};

/* talk_events.c: what an ask comes to, on the engine's thread. */
aerie_flow ae_talk_on_event(void *user, const aerie_event *e);
/* The events that were held, once the talk is back; it may be gone after them. */
void ae_talk_let_events_in(talk *t);
/* Replies go on once little waits for the client. */
void ae_talk_go_on(talk *t);

/* talk.c: what came to its end is released, if it is the last. */
bool ae_talk_at_rest(const talk *t);
void ae_talk_release(talk *t);

#endif

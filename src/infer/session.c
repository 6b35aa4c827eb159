/* session.c -- a conversation's cache and the tokens it holds. */
#include "infer/session.h"

#include "infer/engine_private.h"

struct ae_session {
    ae_engine *engine;
    int64_t context;
    ae_kv *kv;
    ae_kv *draft_kv; /* of the engine's draft model; NULL: it has none */
    ae_ids held;     /* the tokens of the positions in kv; draft_kv may lag behind */
};

aerie_status ae_session_open(ae_session **out, ae_engine *engine, const ae_config *config,
                             int64_t context, aerie_error *err)
{
    *out = NULL;
    ae_session *s = ae_alloc(1, sizeof *s);
    if (!s) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a session");
    s->engine = engine;
    s->context = context > 0 ? context : config->max_position;
    const ae_net *draft = engine->options.draft;
    aerie_status status =
        ae_engine_new_kv(&s->kv, engine, engine->options.net, s->context, NULL, 0, err);
    if (!status && draft)
        status = ae_engine_new_kv(&s->draft_kv, engine, draft,
                                  ae_min64(s->context, draft->config->max_position), NULL, 0, err);
    if (status)
        ae_session_close(s);
    else
        *out = s;
    return status;
}

void ae_session_close(ae_session *s)
{
    if (!s) return;
    ae_kv_free(s->kv);
    ae_kv_free(s->draft_kv);
    ae_ids_free(&s->held);
    ae_free(s);
}

int64_t ae_session_context(const ae_session *s)
{
    return s->context;
}

/* How far the prompt goes along with what is held. The last prompt token is always computed again:
 * its logits choose the reply's first token. */
static int64_t common_prefix(const ae_session *s, const ae_request *r)
{
    int64_t n = 0, held = (int64_t)s->held.len;
    while (n < held && n < r->n_prompt - 1 && s->held.data[n] == r->prompt[n]) n++;
    return n;
}

typedef struct {
    const ae_engine_events *outer;
    ae_session *session;
} relay;

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    relay *r = user;
    ae_ids_add(&r->session->held, id);
    return !r->outer->token || r->outer->token(r->outer->user, request, reply, id);
}

static void on_finish(void *user, int64_t request, int64_t reply, ae_finish why)
{
    relay *r = user;
    if (r->outer->finish) r->outer->finish(r->outer->user, request, reply, why);
}

static bool on_stop(void *user)
{
    relay *r = user;
    return r->outer->stop && r->outer->stop(r->outer->user);
}

aerie_status ae_session_reply(ae_session *s, const ae_request *request,
                              const ae_engine_events *events, ae_engine_stats *stats,
                              int64_t *reused, aerie_error *err)
{
    static const ae_engine_events none = { 0 };
    relay to = { .outer = events ? events : &none, .session = s };
    ae_engine_events own = { .user = &to, .token = on_token, .finish = on_finish, .stop = on_stop };
    ae_request mine = *request;

    if (request->n_prompt < 1 || request->n_prompt >= s->context)
        return aerie_fail(
            err, AERIE_BAD_ARGUMENT,
            "the conversation has %lld tokens and the context %lld; shorten it or raise --ctx",
            (long long)request->n_prompt, (long long)s->context);
    int64_t keep = ae_kv_truncate(s->kv, common_prefix(s, request));
    if (s->draft_kv) ae_kv_truncate(s->draft_kv, keep);
    s->held.len = (size_t)keep;
    ae_ids_add_all(&s->held, request->prompt + keep, (size_t)(request->n_prompt - keep));
    if (reused) *reused = keep;
    mine.kv = s->kv;
    mine.draft_kv = s->draft_kv;
    mine.n_replies = 1;
    mine.context = s->context;
    aerie_status status = ae_engine_run(s->engine, &mine, 1, &own, stats, err);
    /* The last token drawn is not in the cache, and an interrupted run may have stopped anywhere:
     * what the cache holds is the truth. */
    if ((int64_t)s->held.len > ae_kv_len(s->kv)) s->held.len = (size_t)ae_kv_len(s->kv);
    if (s->held.failed) {
        ae_ids_free(&s->held);
        ae_kv_truncate(s->kv, 0);
        if (s->draft_kv) ae_kv_truncate(s->draft_kv, 0);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a session's tokens");
    }
    return status;
}

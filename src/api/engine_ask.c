/* engine_ask.c -- an ask made ready to run, on the thread of who asks: its prompt written and cut
 * into tokens, everything copied and checked. */
#include "api/live.h"

#include <math.h>
#include <string.h>

void ae_live_ask_free(live_ask *a)
{
    if (!a) return;
    for (int64_t i = 0; a->replies && i < a->n_replies; i++) {
        ae_bytes_free(&a->replies[i].text);
        ae_free(a->replies[i].tokens);
    }
    ae_ids_free(&a->prompt);
    aerie_grammar_free(a->grammar);
    ae_arena_free(&a->memory);
    ae_free(a);
}

static aerie_status no_memory(aerie_error *err)
{
    return aerie_fail(err, AERIE_NO_MEMORY, "no memory for one more ask");
}

static aerie_status write_prompt(live_ask *a, const aerie_ask *ask, aerie_asked *asked,
                                 aerie_error *err)
{
    const aerie_engine *e = a->engine;
    int given = (ask->messages != NULL) + (ask->text != NULL) + (ask->ids != NULL);
    if (given != 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "an ask has one prompt: messages, a text, or tokens");
    if (ask->messages) return ae_live_chat(&a->prompt, e->model, e->chat, ask, asked, err);
    if (ask->ids) {
        ae_ids_add_all(&a->prompt, ask->ids, ask->n_ids);
        return ae_ids_status(&a->prompt, err);
    }
    ae_span text = { ask->text, ask->text_len ? ask->text_len : strlen(ask->text) };
    if (ask->suffix)
        return ae_tokenizer_encode_fim(ae_model_tokenizer(e->model->model), text,
                                       ae_span_text(ask->suffix), &a->prompt, err);
    unsigned flags = (ask->how.no_bos ? 0 : AE_ENCODE_BOS) |
                     (ask->how.no_special ? 0 : (unsigned)AE_ENCODE_SPECIAL);
    return ae_api_encode(&a->prompt, ae_model_tokenizer(e->model->model), text, flags, err);
}

static aerie_status check_length(const live_ask *a, aerie_ask_kind kind, int64_t context,
                                 aerie_error *err)
{
    int64_t n = (int64_t)a->prompt.len;
    bool replies = kind == AERIE_ASK_REPLIES;
    if (n < context || (n == context && !replies)) return AERIE_OK;
    return aerie_fail(
        err, AERIE_TOO_LONG,
        "the prompt has %lld tokens, and the context holds %lld%s; shorten it, or ask "
        "for a larger context",
        (long long)n, (long long)context, replies ? " with a reply" : "");
}

static aerie_status copy_stops(live_ask *a, const aerie_ask *ask, aerie_error *err)
{
    size_t bytes = 0;
    a->stops = ae_arena_take(&a->memory, ask->n_stop, sizeof *a->stops);
    if (!a->stops) return no_memory(err);
    if (ask->n_stop > LIVE_MOST_STOPS)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%zu stop strings; give at most %d", ask->n_stop,
                          LIVE_MOST_STOPS);
    for (size_t i = 0; i < ask->n_stop; i++) {
        ae_span text = ae_span_text(ask->stop[i]);
        bytes += text.len;
        if (text.len == 0 || bytes > LIVE_MOST_STOP_BYTES || !ae_utf8_valid(text))
            return aerie_fail(err, AERIE_BAD_ARGUMENT,
                              "stop string %zu is empty, not UTF-8, or makes them longer than %d "
                              "bytes together",
                              i, LIVE_MOST_STOP_BYTES);
        const char *copy = ae_arena_strndup(&a->memory, text.data, text.len);
        if (!copy) return no_memory(err);
        a->stops[a->n_stops++] = (ae_span){ copy, text.len };
    }
    return AERIE_OK;
}

static aerie_status copy_bias(live_ask *a, const aerie_ask *ask, aerie_error *err)
{
    ae_logit_bias *bias = ae_arena_take(&a->memory, ask->n_bias, sizeof *bias);
    if (!bias) return no_memory(err);
    for (size_t i = 0; i < ask->n_bias; i++)
        bias[i] = (ae_logit_bias){ ask->bias[i].id, ask->bias[i].bias };
    a->request.bias = bias;
    a->request.n_bias = (int64_t)ask->n_bias;
    return AERIE_OK;
}

/* The engine's order of tokens, made when the first wants it. */
static aerie_status find_order(aerie_engine *e, aerie_error *err)
{
    aerie_status status = ae_api_need_tokenizer(e->model, err);
    ae_monitor_enter(&e->monitor);
    if (!status && !e->order)
        status = ae_token_order_new(&e->order, ae_model_tokenizer(e->model->model), err);
    ae_monitor_leave(&e->monitor);
    return status;
}

static aerie_status bind(live_ask *a, const aerie_ask *ask, aerie_error *err)
{
    if (!ask->grammar) return AERIE_OK;
    if (ask->ignore_eog)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a reply that is held to a grammar ends where that ends");
    aerie_status status = find_order(a->engine, err);
    if (status) return status;
    a->grammar = aerie_grammar_share(ask->grammar);
    a->bound = (ae_bound){ ae_bound_rules(a->grammar), a->engine->order };
    a->constraint = ae_bound_constraint(&a->bound);
    a->request.constraint = &a->constraint;
    return AERIE_OK;
}

static aerie_status open_replies(live_ask *a, const aerie_ask *ask, aerie_error *err)
{
    a->replies = ae_arena_take(&a->memory, (size_t)a->n_replies, sizeof *a->replies);
    if (!a->replies) return no_memory(err);
    for (int64_t i = 0; i < a->n_replies; i++)
        a->replies[i].decoder.continues =
            /* A grammar has every byte of the reply. */
            !ask->messages || ask->continue_final || ask->grammar;
    return AERIE_OK;
}

static aerie_status open_embedding(live_ask *a, const aerie_ask *ask, aerie_error *err)
{
    if (ask->kind != AERIE_ASK_EMBEDDING) return AERIE_OK;
    size_t width = (size_t)a->engine->model->net.config->hidden_size;
    a->pooling = ask->pooling;
    a->normalises = !ask->not_normalised;
    a->pooled = ae_arena_take(&a->memory, width, sizeof *a->pooled);
    return a->pooled ? AERIE_OK : no_memory(err);
}

static aerie_status check_ask(const aerie_engine *e, const aerie_ask *ask, aerie_error *err)
{
    if ((unsigned)ask->kind > AERIE_ASK_SCORE || (unsigned)ask->pooling > AERIE_POOL_FIRST)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "there is no such kind of ask, or of pooling");
    if (ask->adapter && ask->adapter->engine != e)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "the adapter is of another engine's model");
    if (ask->n_replies < 0 || ask->n_replies > e->options.parallel)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%lld replies of one prompt; the most at once is %lld",
                          (long long)ask->n_replies, (long long)e->options.parallel);
    if (ask->top_logprobs < 0 || ask->top_logprobs > LIVE_MOST_TOP)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "top_logprobs is %d; give 0 to %d",
                          ask->top_logprobs, LIVE_MOST_TOP);
    if (ask->context < 0 || ask->context > e->options.context)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a context of %lld; this model was opened for %lld at the most",
                          (long long)ask->context, (long long)e->options.context);
    return AERIE_OK;
}

static void fill_request(live_ask *a, const aerie_ask *ask, int64_t context)
{
    static const ae_want wants[] = { [AERIE_ASK_REPLIES] = AE_WANT_REPLIES,
                                     [AERIE_ASK_LOG_PROBS] = AE_WANT_CHANCES,
                                     [AERIE_ASK_EMBEDDING] = AE_WANT_HIDDEN,
                                     [AERIE_ASK_SCORE] = AE_WANT_SCORE };
    const aerie_sampling *s = ask->sampling;
    a->request =
        (ae_request){ .prompt = a->prompt.data,
                      .n_prompt = (int64_t)a->prompt.len,
                      .n_replies = a->n_replies,
                      .max_tokens = ae_max64(ask->max_tokens, 0),
                      .context = context,
                      .sampling = ae_api_sampling(s),
                      .seed = s && s->seed ? s->seed : 42,
                      .ignore_eog = ask->ignore_eog,
                      .tells_rows = ask->logprobs,
                      .wants = wants[ask->kind],
                      .tells_prompt = ask->prompt_logprobs && ask->kind == AERIE_ASK_REPLIES };
    a->top = ask->logprobs || ask->prompt_logprobs || ask->kind == AERIE_ASK_LOG_PROBS
                 ? ask->top_logprobs
                 : -1;
    a->request.n_top = (int)ae_max64(a->top, 0);
    if (ask->adapter) {
        a->request.net = &ask->adapter->net;
        a->request.net_id = ask->adapter->net_id;
    }
}

static aerie_status fill(live_ask *a, const aerie_ask *ask, aerie_asked *asked, aerie_error *err)
{
    aerie_status status = check_ask(a->engine, ask, err);
    asked->context = ask->context > 0 ? ask->context : a->engine->options.context;
    if (!status) status = write_prompt(a, ask, asked, err);
    asked->prompt_tokens = (int64_t)a->prompt.len;
    a->dropped = asked->dropped_messages;
    if (!status) status = check_length(a, ask->kind, asked->context, err);
    if (status) return status;
    a->n_replies = ask->n_replies > 0 && ask->kind == AERIE_ASK_REPLIES ? ask->n_replies : 1;
    fill_request(a, ask, asked->context);
    status = copy_stops(a, ask, err);
    if (!status) status = copy_bias(a, ask, err);
    if (!status) status = bind(a, ask, err);
    if (!status) status = open_replies(a, ask, err);
    if (!status) status = open_embedding(a, ask, err);
    return status ? status : ae_engine_check(a->engine->engine, &a->request, err);
}

aerie_status ae_live_prepare(live_ask **out, aerie_engine *e, const aerie_ask *ask,
                             aerie_asked *asked, aerie_error *err)
{
    live_ask *a = *out = ae_alloc(1, sizeof *a);
    if (!a) return no_memory(err);
    a->engine = e;
    aerie_status status = fill(a, ask, asked, err);
    if (!status) return AERIE_OK;
    ae_live_ask_free(a);
    *out = NULL;
    return status;
}

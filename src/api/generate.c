/* generate.c -- many prompts, several replies each, through one engine. */
#include "api/api.h"

/* One reply on its way: its decoder and the text so far. */
typedef struct {
    ae_decoder decoder;
    ae_bytes text;
} reply_text;

typedef struct {
    const aerie_generate_options *options;
    const ae_tokenizer *tokenizer;
    int64_t n_replies, done, total;
    reply_text *texts;    /* [total] */
    aerie_reply *replies; /* [total] */
    bool stopped;
} generation;

static bool on_token(void *user, int64_t request, int64_t reply, int32_t id)
{
    generation *g = user;
    int64_t i = request * g->n_replies + reply;
    ae_decoder_push(&g->texts[i].decoder, g->tokenizer, id, &g->texts[i].text);
    g->replies[i].n_tokens++;
    return true;
}

static void on_finish(void *user, int64_t request, int64_t reply, ae_finish why)
{
    generation *g = user;
    int64_t i = request * g->n_replies + reply;
    ae_decoder_finish(&g->texts[i].decoder, &g->texts[i].text);
    g->replies[i].finish = why == AE_FINISH_STOP ? AERIE_FINISH_STOP : AERIE_FINISH_LENGTH;
    g->done++;
    if (g->options->progress && !g->options->progress(g->options->user, g->done, g->total))
        g->stopped = true;
}

static bool on_stop(void *user)
{
    const generation *g = user;
    return g->stopped;
}

static int64_t context_of(const aerie_model *m, const aerie_generate_options *o)
{
    int64_t most = ae_model_config(m->model)->max_position;
    return o->context > 0 ? o->context : ae_min64(most, 4096);
}

static aerie_status make_requests(ae_request *requests, ae_ids *ids, aerie_model *m,
                                  const aerie_prompt *prompts, size_t n_prompts,
                                  const aerie_generate_options *o, aerie_error *err)
{
    ae_template *chat = NULL;
    aerie_status status = ae_api_template(&chat, m, o->chat_template, err);
    uint64_t seed = o->sampling.seed ? o->sampling.seed : 42;

    for (size_t i = 0; i < n_prompts && !status; i++) {
        status = ae_api_chat_ids(&ids[i], m, chat, prompts[i].messages, prompts[i].n_messages, err);
        requests[i] = (ae_request){
            .prompt = ids[i].data,
            .n_prompt = (int64_t)ids[i].len,
            .n_replies = o->n_replies > 0 ? o->n_replies : 1,
            .max_tokens = o->max_tokens > 0 ? o->max_tokens : 256,
            .context = context_of(m, o),
            .sampling = ae_api_sampling(&o->sampling),
            .seed = ae_mix64(seed) + i,
        };
    }
    ae_template_free(chat);
    return status;
}

static aerie_status take_texts(generation *g, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    for (int64_t i = 0; i < g->total && !status; i++)
        status = ae_api_give(&g->texts[i].text, &g->replies[i].text, NULL, err);
    return status;
}

static aerie_status run(generation *g, aerie_model *m, const ae_request *requests, size_t n_prompts,
                        aerie_error *err)
{
    ae_engine *engine = NULL;
    int64_t kept = g->options->prefix_tokens;
    ae_engine_options o = { .device = m->device,
                            .net = &m->net,
                            .tokenizer = g->tokenizer,
                            .kv_type = m->kv_type,
                            .prefix_cache_positions = kept ? kept : context_of(m, g->options),
                            .max_sequences = g->options->parallel > 0 ? g->options->parallel : 32 };
    ae_engine_events events = {
        .user = g, .token = on_token, .finish = on_finish, .stop = on_stop
    };
    aerie_memory_plan plan = { .n_ctx = context_of(m, g->options),
                               .parallel = o.max_sequences,
                               .prefix_tokens = o.prefix_cache_positions };
    aerie_status status = ae_api_check_use(m, g->options->draft, &plan, err);
    if (!status) status = ae_api_speculate(&o, m, g->options->speculate, g->options->draft, err);
    if (!status) status = ae_engine_open(&engine, &o, err);
    if (!status) status = ae_engine_run(engine, requests, (int64_t)n_prompts, &events, NULL, err);
    ae_engine_close(engine);
    return status ? status : take_texts(g, err);
}

aerie_status aerie_generate(aerie_model *model, const aerie_prompt *prompts, size_t n_prompts,
                            const aerie_generate_options *options, aerie_reply **replies,
                            aerie_error *err)
{
    const aerie_generate_options defaults = { .sampling = aerie_sampling_default() };
    const aerie_generate_options *o = options ? options : &defaults;
    int64_t n_replies = o->n_replies > 0 ? o->n_replies : 1;
    size_t total = 0;
    *replies = NULL;
    if (!ae_mul_size(&total, n_prompts, (size_t)n_replies) || total > INT32_MAX)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "too many replies at once");

    ae_request *requests = ae_alloc(n_prompts, sizeof *requests);
    ae_ids *ids = ae_alloc(n_prompts, sizeof *ids);
    generation g = { .options = o,
                     .tokenizer = ae_model_tokenizer(model->model),
                     .n_replies = n_replies,
                     .total = (int64_t)total,
                     .texts = ae_alloc(total, sizeof *g.texts),
                     .replies = ae_alloc(total, sizeof *g.replies) };
    aerie_status status = AERIE_OK;
    if (!requests || !ids || !g.texts || !g.replies)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu replies", total);
    if (!status) status = make_requests(requests, ids, model, prompts, n_prompts, o, err);
    if (!status) status = run(&g, model, requests, n_prompts, err);

    for (size_t i = 0; ids && i < n_prompts; i++) ae_ids_free(&ids[i]);
    for (size_t i = 0; g.texts && i < total; i++) ae_bytes_free(&g.texts[i].text);
    ae_free(requests);
    ae_free(ids);
    ae_free(g.texts);
    if (status)
        aerie_replies_free(g.replies, total);
    else
        *replies = g.replies;
    return status;
}

void aerie_replies_free(aerie_reply *replies, size_t n)
{
    for (size_t i = 0; replies && i < n; i++) ae_free(replies[i].text);
    ae_free(replies);
}

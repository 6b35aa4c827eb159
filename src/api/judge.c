/* judge.c -- the public face of judges, and of data that they label. */
#include "aerie/judge.h"

#include "api/api.h"
#include "eval/eval.h"

#include <string.h>

struct aerie_judge {
    ae_judge *judge;
    aerie_model *model; /* of a local one, with its template */
    ae_template *chat;
    int64_t context;
};

enum { MAX_CONTEXT = 8192 };

static aerie_status question_ids(void *user, const char *text, const char *begun, ae_ids *out,
                                 aerie_error *err)
{
    const aerie_judge *j = user;
    const aerie_message message = { "user", text };
    ae_bytes rendered = { 0 };
    aerie_status status = ae_api_render_chat(&rendered, j->model, j->chat, &message, 1, err);

    ae_bytes_add_text(&rendered, begun);
    if (!status) status = ae_bytes_status(&rendered, err);
    if (!status)
        status = ae_api_encode(out, ae_model_tokenizer(j->model->model), ae_span_of(&rendered),
                               AE_ENCODE_BOS | AE_ENCODE_SPECIAL, err);
    ae_bytes_free(&rendered);
    return status;
}

/* The reply as it comes: what it is, and whether to go on. */
typedef struct {
    const ae_tokenizer *tokenizer;
    ae_decoder decoder;
    ae_bytes *text;
} reason_text;

static bool on_reason(void *user, int64_t request, int64_t reply, int32_t id)
{
    reason_text *r = user;
    (void)request, (void)reply;

    ae_decoder_push(&r->decoder, r->tokenizer, id, r->text);
    return !strstr(r->text->data ? r->text->data : "", "[[");
}

static void on_reason_end(void *user, int64_t request, int64_t reply, ae_finish why)
{
    reason_text *r = user;
    (void)request, (void)reply, (void)why;

    ae_decoder_finish(&r->decoder, r->text);
}

/* Greedily: the same question has the same reason. */
static aerie_status give_reason(void *user, const char *text, int64_t most, ae_bytes *out,
                                aerie_error *err)
{
    const aerie_judge *j = user;
    aerie_model *m = j->model;
    ae_ids ids = { 0 };
    ae_engine *engine = NULL;
    reason_text r = { .tokenizer = ae_model_tokenizer(m->model), .text = out };
    const ae_engine_events events = { .user = &r, .token = on_reason, .finish = on_reason_end };
    aerie_status status = question_ids(user, text, "", &ids, err);
    ae_request request = { .prompt = ids.data,
                           .n_prompt = (int64_t)ids.len,
                           .n_replies = 1,
                           .max_tokens = most,
                           .context = (int64_t)ids.len + most,
                           .sampling = { .top_p = 1, .repeat_penalty = 1 } };
    const ae_engine_options o = { .device = m->device,
                                  .net = &m->net,
                                  .tokenizer = r.tokenizer,
                                  .kv_type = m->kv_type,
                                  .max_sequences = 1 };

    /* One that is too long has no reason, and then no verdict. */
    if (!status && request.context <= j->context) {
        status = ae_engine_open(&engine, &o, err);
        if (!status) status = ae_engine_run(engine, &request, 1, &events, NULL, err);
        ae_engine_close(engine);
    }
    char *end = out->data ? strstr(out->data, "[[") : NULL;
    if (end) {
        out->len = (size_t)(end - out->data);
        *end = '\0';
    }
    ae_ids_free(&ids);
    return status ? status : ae_bytes_status(out, err);
}

/* The model's file as it lies, and its template: who changes them has another judge. */
static aerie_status state_of(char out[17], const aerie_judge_options *o, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;

    ae_file_stamp(&text, ae_model_path(o->local->model));
    ae_bytes_printf(&text, " adapters %d template %s", o->local->n_adapters,
                    o->chat_template ? o->chat_template : "");
    status = ae_bytes_status(&text, err);
    if (!status)
        snprintf(out, 17, "%016llx", (unsigned long long)ae_hash64(text.data, text.len, 0));
    ae_bytes_free(&text);
    return status;
}

static aerie_status open_local(aerie_judge *j, const aerie_judge_options *o, aerie_error *err)
{
    int64_t most = ae_model_config(o->local->model)->max_position;
    int64_t context = o->context > 0 ? o->context : ae_min64(most, MAX_CONTEXT);
    const aerie_memory_plan plan = { .n_ctx = context, .use = AERIE_USE_SCORES };
    ae_judge_net net = { .device = o->local->device,
                         .net = &o->local->net,
                         .name = ae_model_path(o->local->model),
                         .max_tokens = context,
                         .ids = question_ids,
                         .reason_tokens = o->reason_tokens,
                         .reason = give_reason,
                         .user = j,
                         .stop = o->stop,
                         .stop_user = o->stop_user };
    char state[17] = "";
    aerie_status status = ae_api_template(&j->chat, o->local, o->chat_template, err);

    j->model = o->local;
    j->context = context;
    net.state = state;
    if (!status) status = state_of(state, o, err);
    if (!status) status = ae_api_check_use(o->local, NULL, &plan, err);
    return status ? status : ae_judge_net_open(&j->judge, &net, err);
}

static aerie_status open_endpoint(aerie_judge *j, const aerie_judge_options *o, aerie_error *err)
{
    const ae_judge_endpoint endpoint = { .url = o->url,
                                         .model = o->model,
                                         .key = o->key,
                                         .extra = o->request,
                                         .in_flight = o->in_flight,
                                         .max_tokens = o->max_tokens,
                                         .max_asks = o->max_asks,
                                         .max_retries = o->max_retries,
                                         .temperature = o->temperature,
                                         .retry_seconds = o->retry_seconds,
                                         .timeout_seconds = o->timeout_seconds,
                                         .stop = o->stop,
                                         .stop_user = o->stop_user };

    return ae_judge_endpoint_open(&j->judge, &endpoint, err);
}

static aerie_status open_kind(aerie_judge *j, const aerie_judge_options *o, aerie_error *err)
{
    if ((o->url != NULL) + (o->local != NULL) + (o->program != NULL) != 1)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a judge is one of three: behind an address, a model, or a program");
    if (o->url) return open_endpoint(j, o, err);
    if (o->local) return open_local(j, o, err);
    return ae_judge_program_open(
        &j->judge, &(ae_judge_program){ o->program, o->program_user, o->program_name }, err);
}

aerie_status aerie_judge_open(aerie_judge **out, const aerie_judge_options *options,
                              aerie_error *err)
{
    aerie_judge *j = ae_alloc(1, sizeof *j);
    aerie_status status;

    *out = NULL;
    if (!j) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    status = open_kind(j, options, err);
    if (status)
        aerie_judge_close(j);
    else
        *out = j;
    return status;
}

void aerie_judge_close(aerie_judge *j)
{
    if (!j) return;
    ae_judge_close(j->judge);
    ae_template_free(j->chat);
    ae_free(j);
}

static aerie_label_summary public_summary(const ae_label_summary *s)
{
    return (aerie_label_summary){ .n_rows = s->n_rows,
                                  .n_left_out = s->n_left_out,
                                  .n_questions = s->n_questions,
                                  .n_kept = s->n_kept,
                                  .n_none = s->n_none,
                                  .n_again = s->counts.n_again,
                                  .n_written = s->n_written,
                                  .prompt_tokens = s->counts.prompt_tokens,
                                  .reply_tokens = s->counts.reply_tokens,
                                  .n_pairs = s->n_pairs,
                                  .n_decided = s->n_decided,
                                  .n_tied = s->n_tied,
                                  .n_half_tied = s->n_half_tied,
                                  .n_turned = s->n_turned,
                                  .n_without = s->n_without,
                                  .n_alike = s->n_alike,
                                  .n_first = s->n_first,
                                  .n_second = s->n_second,
                                  .n_known = s->n_known,
                                  .n_known_agree = s->n_known_agree,
                                  .mean_score = s->mean_score };
}

aerie_status aerie_label(aerie_judge *judge, const aerie_label_options *o,
                         aerie_label_summary *summary, aerie_error *err)
{
    bool plain = o->low == 0 && o->high == 0;
    const ae_label_options options = { .paths = o->paths,
                                       .n_paths = o->n_paths,
                                       .out_path = o->out_path,
                                       .limit = o->limit,
                                       .ranked = o->ranked,
                                       .task = { .kind = o->scores ? AE_JUDGE_SCORE : AE_JUDGE_PAIR,
                                                 .words = o->words,
                                                 .low = plain ? 1 : o->low,
                                                 .high = !plain         ? o->high
                                                         : judge->model ? 9
                                                                        : 10 },
                                       .progress = o->progress,
                                       .on_pair = o->on_pair,
                                       .user = o->user };
    ae_label_summary sums = { 0 };
    aerie_status status;

    if (o->n_paths == 0 || !o->out_path)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "labelling needs data and an output");
    status = ae_label(judge->judge, &options, &sums, err);
    if (summary) *summary = public_summary(&sums);
    return status;
}

/* judge_net.c -- a net in this process as the judge: the likelihood of each verdict, read off one
 * pass over the question, and over the reason that it gave where one is wanted. */
#include "eval/judge.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

enum { MAX_CHOICES = 10 };

typedef struct {
    ae_judge judge;
    ae_judge_net net;
    char *name, *state;
    ae_arena step;
} net_judge;

/* The words a verdict may be, each one token after the same tokens. */
typedef struct {
    ae_bytes begun; /* the reply up to the verdict */
    int n, first;   /* first: the character code of choice 0 */
    ae_ids ids[MAX_CHOICES];
    size_t n_shared; /* tokens that all have before the verdict's */
    double p[MAX_CHOICES];
} choices;

static void free_choices(choices *c)
{
    for (int i = 0; i < c->n; i++) ae_ids_free(&c->ids[i]);
    ae_bytes_free(&c->begun);
}

static bool all_have(const choices *c, size_t at)
{
    for (int i = 0; i < c->n; i++)
        if (at >= c->ids[i].len || c->ids[i].data[at] != c->ids[0].data[at]) return false;
    return true;
}

static bool are_told_apart(const choices *c)
{
    for (int i = 0; i < c->n; i++) {
        if (c->n_shared >= c->ids[i].len) return false;
        for (int k = 0; k < i; k++)
            if (c->ids[i].data[c->n_shared] == c->ids[k].data[c->n_shared]) return false;
    }
    return c->n_shared > 0;
}

static aerie_status encode_choices(choices *c, net_judge *j, const char *text, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (int i = 0; i < c->n && !status; i++) {
        ae_bytes begun = { 0 };
        ae_bytes_printf(&begun, "%s%c", c->begun.data, c->first + i);
        status = ae_bytes_status(&begun, err);
        if (!status) status = j->net.ids(j->net.user, text, begun.data, &c->ids[i], err);
        ae_bytes_free(&begun);
    }
    if (status) return status;
    while (all_have(c, c->n_shared)) c->n_shared++;
    if (are_told_apart(c)) return AERIE_OK;
    return aerie_fail(err, AERIE_UNSUPPORTED,
                      "%s: its tokens do not tell the verdicts apart by one; it cannot judge this "
                      "way",
                      j->name);
}

/* The tokens before the verdict as one row with one segment, and the logits after the last. */
static ae_tensor *logits_of(net_judge *j, ae_ctx *cx, const choices *c)
{
    int64_t n = (int64_t)c->n_shared;
    int32_t last = (int32_t)(n - 1);
    int32_t *pos = ae_arena_take_raw(cx->arena, c->n_shared, sizeof *pos);
    const ae_segment segment = { .first = 0, .n = n, .parent = -1, .cache = -1 };
    ae_batch batch = {
        .n_tokens = n, .ids = c->ids[0].data, .pos = pos, .segments = &segment, .n_segments = 1
    };

    if (!pos) {
        aerie_fail(&cx->error, AERIE_NO_MEMORY, "no memory for a question of %lld tokens",
                   (long long)n);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) pos[i] = (int32_t)i;
    return ae_net_logits(cx, j->net.net, ae_net_hidden(cx, j->net.net, &batch), &last, 1);
}

static aerie_status weigh(choices *c, net_judge *j, aerie_error *err)
{
    ae_ctx cx = { .device = j->net.device, .arena = &j->step };
    const ae_tensor *logits;
    double sum = 0, most = -INFINITY;

    ae_arena_reset_all(&j->step);
    logits = logits_of(j, &cx, c);
    if (!logits) {
        if (err && !err->status) *err = cx.error;
        return ae_ctx_status(&cx);
    }
    for (int i = 0; i < c->n; i++) {
        c->p[i] = (double)ae_f32(logits)[c->ids[i].data[c->n_shared]];
        most = fmax(most, c->p[i]);
    }
    for (int i = 0; i < c->n; i++) sum += c->p[i] = exp(c->p[i] - most);
    for (int i = 0; i < c->n; i++) c->p[i] /= sum;
    return AERIE_OK;
}

static ae_verdict verdict_of(const choices *c, const ae_judge_task *task, ae_bytes *words)
{
    ae_verdict v = { .score = NAN };
    int best = 0;
    double mean = 0;

    for (int i = 0; i < c->n; i++) {
        if (c->p[i] > c->p[best]) best = i;
        mean += c->p[i] * (c->first - '0' + i);
        ae_bytes_printf(words, "%s%c %.4f", i ? ", " : "", c->first + i, c->p[i]);
    }
    if (task->kind == AE_JUDGE_PAIR)
        v.choice = (char)(c->first + best);
    else
        v.score = mean;
    v.reply = ae_span_of(words);
    return v;
}

/* Without what it has begun to say of its verdict: that is said for it. */
static void end_reason(ae_bytes *reason)
{
    static const char *const begins[] = { "Verdict:", "verdict:", "**Verdict:**", "Mark:", "**" };

    for (bool again = true; again;) {
        again = false;
        while (reason->len > 0 && strchr(" \t\r\n", reason->data[reason->len - 1])) reason->len--;
        for (size_t i = 0; i < AE_COUNT(begins); i++) {
            size_t n = strlen(begins[i]);
            if (reason->len < n || memcmp(reason->data + reason->len - n, begins[i], n)) continue;
            reason->len -= n;
            again = true;
        }
    }
    if (reason->data) reason->data[reason->len] = '\0';
}

/* The reply up to its verdict: a reason, where one is wanted, and the verdict's first words. */
static aerie_status begin_reply(choices *c, const net_judge *j, const ae_judge_task *task,
                                const char *text, aerie_error *err)
{
    const char *verdict = task->kind == AE_JUDGE_PAIR ? "Verdict: [[" : "Mark: [[";
    aerie_status status = AERIE_OK;

    if (j->net.reason_tokens > 0)
        status = j->net.reason(j->net.user, text, j->net.reason_tokens, &c->begun, err);
    end_reason(&c->begun);
    if (c->begun.len > 0) ae_bytes_add_text(&c->begun, "\n\n");
    ae_bytes_add_text(&c->begun, verdict);
    return status ? status : ae_bytes_status(&c->begun, err);
}

static aerie_status ask_one(net_judge *j, const ae_judge_task *task, const ae_judge_case *question,
                            const ae_judge_work *work, ae_judge_counts *counts, aerie_error *err)
{
    bool pair = task->kind == AE_JUDGE_PAIR;
    choices c = { .n = pair ? 3 : task->high - task->low + 1,
                  .first = pair ? 'A' : '0' + task->low };
    ae_bytes text = { 0 }, words = { 0 };
    ae_verdict v = { .score = NAN };
    aerie_status status = ae_judge_instruction(&text, task, err);

    if (!status && text.len) ae_bytes_add_text(&text, "\n\n");
    if (!status) status = ae_judge_question(&text, task, question, err);
    if (!status) status = begin_reply(&c, j, task, text.data, err);
    if (!status) status = encode_choices(&c, j, text.data, err);
    if (!status && (int64_t)c.n_shared > j->net.max_tokens) {
        ae_bytes_printf(&words, "(%zu tokens, more than the %lld that the judge reads)", c.n_shared,
                        (long long)j->net.max_tokens);
        v.reply = ae_span_of(&words);
        counts->n_none++;
    } else if (!status) {
        status = weigh(&c, j, err);
        counts->prompt_tokens += (int64_t)c.n_shared;
        if (j->net.reason_tokens > 0) ae_bytes_printf(&words, "%s", c.begun.data);
        if (!status) v = verdict_of(&c, task, &words);
    }
    if (!status) status = ae_bytes_status(&words, err);
    if (!status) status = work->answer(work->user, question->id, &v, err);
    free_choices(&c);
    ae_bytes_free(&text);
    ae_bytes_free(&words);
    return status;
}

static aerie_status check(const net_judge *j, const ae_judge_task *task, aerie_error *err)
{
    if (task->kind == AE_JUDGE_PAIR || (task->low >= 0 && task->high <= 9)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "%s: a model in this process gives marks of one digit; give two numbers from "
                      "0 to 9",
                      j->name);
}

static aerie_status ask(ae_judge *judge, const ae_judge_task *task, const ae_judge_work *work,
                        ae_judge_counts *counts, aerie_error *err)
{
    net_judge *j = (net_judge *)judge;
    ae_judge_task brief = *task;
    aerie_status status = check(j, task, err);

    brief.brief = j->net.reason_tokens <= 0;
    while (!status) {
        ae_judge_case c = { 0 };
        bool is_one = false;
        status = work->next(work->user, &c, &is_one, err);
        if (status || !is_one) return status;
        counts->n_asked++;
        status = ask_one(j, &brief, &c, work, counts, err);
        ae_judge_case_free(&c);
        if (!status && j->net.stop && j->net.stop(j->net.stop_user))
            status = aerie_fail(err, AERIE_INTERRUPTED, "stopped");
    }
    return status;
}

static void close_net(ae_judge *judge)
{
    net_judge *j = (net_judge *)judge;

    ae_arena_free(&j->step);
    ae_free(j->name);
    ae_free(j->state);
    ae_free(j);
}

aerie_status ae_judge_net_open(ae_judge **out, const ae_judge_net *net, aerie_error *err)
{
    net_judge *j = ae_alloc(1, sizeof *j);
    ae_bytes name = { 0 };

    *out = NULL;
    ae_bytes_add_text(&name, net->name ? net->name : "model");
    if (net->reason_tokens > 0)
        ae_bytes_printf(&name, ", reasons of %lld", (long long)net->reason_tokens);
    if (j) j->state = ae_strdup(net->state ? net->state : "");
    if (j && !name.failed) j->name = name.data;
    if (!j || !j->name || !j->state) {
        if (!j || !j->name) ae_bytes_free(&name);
        if (j) close_net(&j->judge);
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for a judge");
    }
    j->net = *net;
    j->judge = (ae_judge){ j->name, j->state, ask, close_net };
    *out = &j->judge;
    return AERIE_OK;
}

/* metrics.c -- one JSON line a step, flushed: a run that is killed leaves whole lines behind. The
 * same numbers go to the record of runs. */
#include "train/metrics.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MAX_METRICS_BYTES = 1 << 30 };

/* The step that a line tells of; -1 when it is no whole line of metrics. */
static int64_t step_of(const char *line, size_t len)
{
    json_t *object = json_loadb(line, len, 0, NULL);
    json_t *step = json_object_get(object, "step");
    int64_t value = json_is_integer(step) ? (int64_t)json_integer_value(step) : -1;

    json_decref(object);
    return value;
}

/* Writes the file again with the lines up to `step`: later ones are about to be made again. */
static aerie_status keep_until(const char *path, int64_t step, aerie_error *err)
{
    ae_bytes old = { 0 }, kept = { 0 };
    aerie_status status = AERIE_OK;

    if (step > 0 && ae_file_exists(path)) status = ae_file_read(&old, path, MAX_METRICS_BYTES, err);
    if (status) goto done;
    for (size_t at = 0; at < old.len;) {
        const char *end = memchr(old.data + at, '\n', old.len - at);
        size_t len = end ? (size_t)(end - old.data) - at + 1 : old.len - at;
        int64_t of = end ? step_of(old.data + at, len) : -1;
        if (of >= 0 && of <= step) ae_bytes_add(&kept, old.data + at, len);
        at += len;
    }
    status = ae_bytes_status(&kept, err);
    if (!status) status = ae_file_write(path, kept.data ? kept.data : "", kept.len, err);
done:
    ae_bytes_free(&old);
    ae_bytes_free(&kept);
    return status;
}

aerie_status ae_metrics_open(ae_metrics *m, const char *path, int64_t step, aerie_error *err)
{
    aerie_status status;

    *m = (ae_metrics){ 0 };
    status = keep_until(path, step, err);
    if (status) return status;
    m->path = ae_strdup(path);
    if (!m->path) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for metrics");
    m->stream = fopen(path, "ab");
    if (m->stream) return AERIE_OK;
    status = aerie_fail(err, AERIE_IO, "%s: cannot be written: %s", path, strerror(errno));
    ae_metrics_close(m);
    return status;
}

void ae_metrics_close(ae_metrics *m)
{
    if (m->stream) fclose(m->stream);
    ae_free(m->path);
    *m = (ae_metrics){ 0 };
}

void ae_metrics_of_sums(aerie_train_progress *p, const ae_loss_sums *sums)
{
    p->loss = sums->share > 0 ? sums->loss / sums->share : 0;
    if (sums->nll_share > 0) p->loss += sums->nll_weight * sums->nll / sums->nll_share;
    p->has_rewards = sums->n_chosen + sums->n_rejected > 0;
    if (!p->has_rewards) return;
    p->reward_chosen = sums->reward_chosen / sums->n_chosen;
    p->reward_rejected = sums->reward_rejected / sums->n_rejected;
    p->margin = p->reward_chosen - p->reward_rejected;
    p->accuracy = sums->n_correct / sums->n_pairs;
    p->mean_reward = sums->n_scores > 0 ? sums->scores / sums->n_scores : NAN;
}

/* What is told of a step, in the order of its line. */
typedef struct {
    ae_run_value items[40];
    size_t n;
} told;

static void add(told *t, const char *name, double value)
{
    t->items[t->n++] = (ae_run_value){ name, value };
}

static void add_rewards(told *t, const aerie_train_progress *p, const ae_loss_sums *sums)
{
    add(t, "reward_chosen", p->reward_chosen);
    add(t, "reward_rejected", p->reward_rejected);
    add(t, "margin", p->margin);
    add(t, "accuracy", p->accuracy);
    if (sums->n_scores > 0) {
        add(t, "reward", p->mean_reward);
        return;
    }
    add(t, "logps_chosen", sums->logp_chosen / sums->n_chosen);
    add(t, "logps_rejected", sums->logp_rejected / sums->n_rejected);
    if (sums->nll_share > 0) add(t, "nll", sums->nll / sums->nll_share);
}

static void add_replies(told *t, const ae_online_sums *s, bool training)
{
    double n = s->n_tokens > 0 ? s->n_tokens : 1;

    add(t, "reward", s->reward);
    add(t, "reward_std", s->reward_std);
    add(t, "kl", s->kl);
    add(t, "entropy", s->entropy);
    add(t, "reply_tokens", s->reply_tokens);
    add(t, "eos_rate", s->eos_rate);
    if (!training) return;
    add(t, "kl_coef", s->kl_coef);
    add(t, "clip_fraction", s->n_clipped / n);
    add(t, "approx_kl", s->apart / n);
    add(t, "sampling_difference", s->difference);
    add(t, "policy_loss", s->policy_loss / n);
    add(t, "value_loss", s->value_loss / n);
}

static told tell(const ae_metrics *m, bool training, const aerie_train_progress *p,
                 const ae_loss_sums *sums)
{
    told t = { 0 };

    /* Replies that nobody learns from have no loss. */
    if (training || !p->has_replies) add(&t, "loss", p->loss);
    if (training) {
        add(&t, "lr", p->learning_rate);
        add(&t, "grad_norm", p->grad_norm);
        add(&t, "tokens", (double)p->tokens);
        add(&t, "tokens_per_second", p->tokens_per_second);
    }
    if (p->has_rewards) add_rewards(&t, p, sums);
    if (m->level_name) add(&t, m->level_name, sums->level);
    if (p->has_replies) add_replies(&t, &sums->online, training);
    return t;
}

/* JSON has no NaN. Tokens are a whole number, of any size. */
static void print_value(ae_bytes *line, const ae_run_value *v)
{
    int digits = strcmp(v->name, "tokens") == 0 ? 15 : 9;

    if (isfinite(v->value))
        ae_bytes_printf(line, ", \"%s\": %.*g", v->name, digits, v->value);
    else
        ae_bytes_printf(line, ", \"%s\": null", v->name);
}

aerie_status ae_metrics_write(ae_metrics *m, const char *event, const aerie_train_progress *p,
                              const ae_loss_sums *sums, aerie_error *err)
{
    bool training = strcmp(event, "train") == 0;
    told t = tell(m, training, p, sums);
    ae_bytes line = { 0 };
    aerie_status status;

    ae_bytes_printf(&line, "{\"event\": \"%s\", \"step\": %lld", event, (long long)p->step);
    for (size_t i = 0; i < t.n; i++) print_value(&line, &t.items[i]);
    ae_bytes_add_text(&line, "}\n");
    status = ae_bytes_status(&line, err);
    if (!status && (fwrite(line.data, 1, line.len, m->stream) != line.len || fflush(m->stream)))
        status = aerie_fail(err, AERIE_IO, "%s: cannot be written: %s", m->path, strerror(errno));
    ae_bytes_free(&line);
    if (!status) ae_run_record(m->log, training ? "" : "eval_", p->step, t.items, t.n);
    return status;
}

/* report_model.c -- what was measured of one model. */
#include "compare/report.h"

#include <math.h>
#include <string.h>

/* A number of every reply that there is. */
typedef double value_fn(const ae_compare_reply *r);

static double first_seconds(const ae_compare_reply *r)
{
    return r->first_seconds > 0 ? r->first_seconds : NAN;
}

static double seconds(const ae_compare_reply *r)
{
    return r->seconds;
}

static double reply_tokens(const ae_compare_reply *r)
{
    return (double)r->reply_tokens;
}

static double prompt_tokens(const ae_compare_reply *r)
{
    return (double)r->prompt_tokens;
}

static double characters(const ae_compare_reply *r)
{
    return (double)ae_reply_characters(r->text, strlen(r->text));
}

/* After the first text, by the time it took to write. */
static double tokens_per_second(const ae_compare_reply *r)
{
    double spent = r->seconds - r->first_seconds;

    return r->reply_tokens > 1 && spent > 0 ? (double)(r->reply_tokens - 1) / spent : NAN;
}

static double reward(const ae_compare_reply *r)
{
    return r->reward;
}

static double similarity(const ae_compare_reply *r)
{
    return r->similarity;
}

static size_t values_of(double *out, const aerie_compare *c, const ae_compare_model *m,
                        value_fn *value)
{
    size_t n = 0;

    for (size_t row = 0; row < c->n_rows; row++) {
        const ae_compare_reply *r = &m->replies[row];
        if (!r->text || r->failed) continue;
        double x = value(r);
        if (!isnan(x)) out[n++] = x;
    }
    return n;
}

static double mean_of(double *room, const aerie_compare *c, const ae_compare_model *m,
                      value_fn *value)
{
    return ae_mean(room, values_of(room, c, m, value));
}

static json_t *spread_of(double *room, const aerie_compare *c, const ae_compare_model *m,
                         value_fn *value)
{
    size_t n = values_of(room, c, m, value);
    json_t *o = json_object();

    json_object_set_new(o, "mean", ae_report_number(ae_mean(room, n)));
    ae_quantile_sort(room, n);
    json_object_set_new(o, "p50", ae_report_number(ae_quantile(room, n, 0.5)));
    json_object_set_new(o, "p95", ae_report_number(ae_quantile(room, n, 0.95)));
    return o;
}

/* ---- checks ---- */

static json_t *share_json(int64_t k, int64_t n)
{
    json_t *o = json_pack("{s:I, s:I}", "passed", (json_int_t)k, "replies", (json_int_t)n);

    json_object_set_new(o, "rate", ae_report_number(n ? (double)k / (double)n : NAN));
    json_object_set_new(o, "interval", ae_report_interval(ae_binomial_wilson(k, n)));
    return o;
}

static json_t *checks_json(const aerie_compare *c, const ae_compare_model *m)
{
    json_t *o = json_object();

    for (size_t check = 0; check < c->data.n_checks; check++) {
        int64_t n = 0, passed = 0;
        for (size_t row = 0; row < c->n_rows; row++) {
            const ae_compare_item *item = &c->data.items[ae_compare_item_of(c, row)];
            for (size_t k = 0; k < item->n_checks && m->replies[row].text; k++) {
                if (item->checks[k] != check) continue;
                n++;
                passed += m->replies[row].passed[k];
            }
        }
        json_object_set_new(o, ae_check_name(c->data.checks[check]), share_json(passed, n));
    }
    return o;
}

static json_t *all_checks_json(const aerie_compare *c, const ae_compare_model *m)
{
    int64_t n = 0, passed = 0;

    for (size_t row = 0; row < c->n_rows; row++) {
        const ae_compare_item *item = &c->data.items[ae_compare_item_of(c, row)];
        size_t k = 0;
        if (!item->n_checks || !m->replies[row].text) continue;
        while (k < item->n_checks && m->replies[row].passed[k]) k++;
        n++;
        passed += k == item->n_checks;
    }
    return share_json(passed, n);
}

/* ---- cost ---- */

/* Of 1,000 replies: tokens at their prices, and the machine's time as it was used. */
static json_t *cost_json(double *room, const aerie_compare *c, const ae_compare_model *m)
{
    const aerie_contender *with = m->with;
    size_t n = values_of(room, c, m, seconds);
    double cost = 1000 *
                  (mean_of(room, c, m, prompt_tokens) * with->price_prompt +
                   mean_of(room, c, m, reply_tokens) * with->price_reply) /
                  1e6;

    if (!with->price_prompt && !with->price_reply && !with->price_hour) return json_null();
    if (with->price_hour > 0 && n > 0)
        cost += 1000 * m->busy_seconds / (double)n / 3600 * with->price_hour;
    return ae_report_number(cost);
}

static void add_counts(json_t *o, const aerie_compare *c, const ae_compare_model *m)
{
    int64_t n = 0, failed = 0, cut = 0, refused = 0;

    for (size_t row = 0; row < c->n_rows; row++) {
        const ae_compare_reply *r = &m->replies[row];
        if (!r->text) continue;
        n++;
        failed += r->failed != NULL;
        cut += r->cut;
        refused += !r->failed && ae_reply_refuses(r->text, strlen(r->text));
    }
    json_object_set_new(o, "replies", json_integer(n));
    json_object_set_new(o, "failed", json_integer(failed));
    json_object_set_new(o, "cut", json_integer(cut));
    json_object_set_new(o, "refused", json_integer(refused));
}

static void add_settings(json_t *o, const aerie_contender *with)
{
    const aerie_sampling *s = with->sampling;

    if (with->path) json_object_set_new(o, "path", json_string(with->path));
    if (with->url) json_object_set_new(o, "server", json_string(with->url));
    if (with->system) json_object_set_new(o, "system", json_string(with->system));
    json_object_set_new(o, "settings",
                        json_pack("{s:f, s:i, s:f, s:f, s:I, s:I}", "temperature",
                                  (double)s->temperature, "top_k", s->top_k, "top_p",
                                  (double)s->top_p, "min_p", (double)s->min_p, "seed",
                                  (json_int_t)s->seed, "max_tokens", (json_int_t)with->max_tokens));
}

json_t *ae_report_model(const aerie_compare *c, const ae_compare_model *m)
{
    double *room = ae_alloc(c->n_rows, sizeof *room);
    json_t *o = json_pack("{s:s, s:s}", "label", m->label, "key", m->key);

    if (!room || !o) {
        ae_free(room);
        json_decref(o);
        return NULL;
    }
    add_settings(o, m->with);
    add_counts(o, c, m);
    json_object_set_new(o, "first_text_seconds", spread_of(room, c, m, first_seconds));
    json_object_set_new(o, "seconds", spread_of(room, c, m, seconds));
    json_object_set_new(o, "tokens_per_second", spread_of(room, c, m, tokens_per_second));
    json_object_set_new(o, "reply_tokens", spread_of(room, c, m, reply_tokens));
    json_object_set_new(o, "reply_characters", spread_of(room, c, m, characters));
    json_object_set_new(o, "prompt_tokens", spread_of(room, c, m, prompt_tokens));
    json_object_set_new(o, "memory_bytes",
                        m->memory_bytes ? json_integer((json_int_t)m->memory_bytes) : json_null());
    json_object_set_new(o, "cost_per_1000", cost_json(room, c, m));
    json_object_set_new(o, "busy_seconds", ae_report_number(m->busy_seconds));
    json_object_set_new(o, "all_checks", all_checks_json(c, m));
    json_object_set_new(o, "checks", checks_json(c, m));
    json_object_set_new(o, "reward", spread_of(room, c, m, reward));
    json_object_set_new(o, "similarity", spread_of(room, c, m, similarity));
    ae_free(room);
    return o;
}

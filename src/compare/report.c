/* report.c -- everything that was found, as one JSON object. */
#include "compare/report.h"
#include "compare/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *ae_report_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *ae_report_interval(ae_interval of)
{
    json_t *list = json_array();

    json_array_append_new(list, ae_report_number(of.low));
    json_array_append_new(list, ae_report_number(of.high));
    return list;
}

/* ---- pairs ---- */

static json_t *judge_json(const ae_comparison *of)
{
    const ae_length_result *l = &of->length;
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "wins_b", (json_int_t)of->n_wins_b, "wins_a",
                  (json_int_t)(of->n_decided - of->n_wins_b), "ties", (json_int_t)of->n_tied,
                  "turned", (json_int_t)of->n_turned, "without", (json_int_t)of->n_without);
    int64_t n = of->n_decided + of->n_tied;

    json_object_set_new(o, "win_rate_b", ae_report_number(of->of_b));
    json_object_set_new(o, "wilson_of_decided",
                        ae_report_interval(ae_binomial_wilson(of->n_wins_b, of->n_decided)));
    json_object_set_new(o, "flip_rate",
                        ae_report_number(n ? (double)of->n_turned / (double)n : NAN));
    if (!of->has_length) return o;
    json_object_set_new(o, "length_controlled_b", ae_report_number(l->controlled));
    json_object_set_new(o, "length_controlled_z", ae_report_number(l->controlled_z));
    json_object_set_new(o, "length_weight", ae_report_number(l->length_weight));
    json_object_set_new(
        o, "length_turns_it",
        json_boolean((l->controlled - 0.5) * (of->of_b - 0.5) < 0 && of->of_b != 0.5));
    return o;
}

static json_t *comparison_json(const ae_comparison *of, ae_measure measure)
{
    int64_t more = ae_verdict_more(of);
    json_t *o = json_pack("{s:I, s:s, s:b, s:I, s:I}", "prompts", (json_int_t)of->n, "test",
                          of->test, "decided", ae_verdict_is_decided(of), "better_a",
                          (json_int_t)of->for_a, "better_b", (json_int_t)of->for_b);

    json_object_set_new(o, "a", ae_report_number(of->of_a));
    json_object_set_new(o, "b", ae_report_number(of->of_b));
    json_object_set_new(o, "difference", ae_report_number(of->difference));
    json_object_set_new(o, "interval", ae_report_interval(of->interval));
    json_object_set_new(o, "p", ae_report_number(of->p));
    json_object_set_new(o, "p_holm", ae_report_number(of->p_holm));
    json_object_set_new(o, "level", ae_report_number(of->level));
    json_object_set_new(o, "more_needed", more > 0 ? json_integer(more) : json_null());
    json_object_set_new(o, "visible",
                        of->n ? ae_report_number(ae_verdict_visible(of)) : json_null());
    if (measure == AE_MEASURE_JUDGE) json_object_set_new(o, "judge", judge_json(of));
    return o;
}

typedef struct {
    size_t a, b;
    ae_comparison by[AE_MEASURES];
} pair;

static aerie_status measure_pairs(pair *pairs, size_t *n, const aerie_compare *c, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    *n = 0;
    for (size_t a = 0; a < c->n_models; a++)
        for (size_t b = a + 1; b < c->n_models; b++) {
            pair *p = &pairs[(*n)++];
            *p = (pair){ .a = a, .b = b };
            for (int m = 0; m < AE_MEASURES && !status; m++)
                if (ae_measure_exists(c, (ae_measure)m))
                    status = ae_measure_pair(&p->by[m], c, (ae_measure)m, a, b, err);
        }
    return status;
}

enum { MOST_PAIRS = AE_COMPARE_MODELS * (AE_COMPARE_MODELS - 1) / 2 };

/* All pairs of models are tested at once by a measure. */
static void correct(pair *pairs, size_t n, ae_measure m)
{
    double p[MOST_PAIRS] = { 0 }, corrected[MOST_PAIRS] = { 0 };
    size_t order[MOST_PAIRS] = { 0 };

    for (size_t i = 0; i < n; i++) p[i] = pairs[i].by[m].p;
    ae_binomial_holm(p, n, corrected, order);
    for (size_t i = 0; i < n; i++) pairs[i].by[m].p_holm = corrected[i];
}

static json_t *pair_json(const aerie_compare *c, const pair *p, ae_measure by)
{
    json_t *o = json_pack("{s:s, s:s}", "a", c->models[p->a].label, "b", c->models[p->b].label);
    ae_bytes text = { 0 };

    for (int m = 0; m < AE_MEASURES; m++)
        if (ae_measure_exists(c, (ae_measure)m))
            json_object_set_new(o, ae_measure_names[m], comparison_json(&p->by[m], (ae_measure)m));
    if (by < AE_MEASURES) {
        ae_verdict_sentence(&text, c, by, &p->by[by], p->a, p->b);
        json_object_set_new(o, "verdict", json_string(text.data ? text.data : ""));
        json_object_set_new(
            o, "better",
            ae_verdict_is_decided(&p->by[by])
                ? json_string(c->models[p->by[by].difference > 0 ? p->b : p->a].label)
                : json_null());
    }
    ae_bytes_free(&text);
    return o;
}

/* ---- ratings of several models ---- */

static size_t battles_of_judge(ae_battle *out, const aerie_compare *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_outcomes; i++) {
        const ae_compare_outcome *o = &c->outcomes[i];
        if (o->outcome == AERIE_PAIR_WITHOUT) continue;
        out[n++] = (ae_battle){ .a = o->a,
                                .b = o->b,
                                .score = o->outcome == AERIE_PAIR_FIRST    ? 1
                                         : o->outcome == AERIE_PAIR_SECOND ? 0
                                                                           : 0.5,
                                .item = (int64_t)ae_compare_item_of(c, (size_t)o->row) };
    }
    return n;
}

static aerie_status add_ratings(json_t *report, const aerie_compare *c, aerie_error *err)
{
    /* A prior of one tie keeps the rating of a model that always lost within the page. */
    const ae_rating_options options = { .prior = 1, .seed = c->with.seed };
    ae_battle *battles = ae_alloc(c->n_outcomes, sizeof *battles);
    double rating[AE_COMPARE_MODELS];
    ae_interval range[AE_COMPARE_MODELS];
    json_t *list = json_array();
    aerie_status status = AERIE_OK;
    size_t n;

    if (!battles || !list) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for ratings");
    n = status ? 0 : battles_of_judge(battles, c);
    if (!status)
        status = ae_rating_bradley_terry(rating, battles, n, (int32_t)c->n_models, &options, err);
    if (!status)
        status = ae_rating_bootstrap(range, battles, n, (int32_t)c->n_models, &options, err);
    for (size_t i = 0; i < c->n_models && !status; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:f, s:o}", "model", c->models[i].label, "rating",
                                        rating[i], "interval", ae_report_interval(range[i])));
    json_object_set_new(report, "ratings", list);
    ae_free(battles);
    return status;
}

/* ---- prompts ---- */

static json_t *reply_json(const ae_compare_item *item, const ae_compare_reply *r)
{
    json_t *o =
        json_pack("{s:s?, s:s?, s:b, s:I, s:f}", "text", r->text, "failed", r->failed, "cut",
                  r->cut, "tokens", (json_int_t)r->reply_tokens, "seconds", r->seconds);
    json_t *passed = json_array();

    for (size_t i = 0; i < item->n_checks; i++)
        json_array_append_new(passed, json_boolean(r->passed[i]));
    json_object_set_new(o, "passed", passed);
    if (!isnan(r->reward)) json_object_set_new(o, "reward", json_real(r->reward));
    if (!isnan(r->similarity)) json_object_set_new(o, "similarity", json_real(r->similarity));
    return o;
}

static json_t *item_json(const aerie_compare *c, size_t at)
{
    const ae_compare_item *item = &c->data.items[at];
    json_t *o = json_pack("{s:s, s:O, s:s?}", "id", item->id, "messages", item->messages,
                          "expected", item->expected);
    json_t *checks = json_array(), *rows = json_array();

    if (item->tags) json_object_set(o, "tags", item->tags);
    for (size_t i = 0; i < item->n_checks; i++)
        json_array_append_new(checks, json_string(ae_check_name(c->data.checks[item->checks[i]])));
    json_object_set_new(o, "checks", checks);
    for (size_t k = 0; k < (size_t)c->with.repeats; k++) {
        json_t *replies = json_array();
        for (size_t i = 0; i < c->n_models; i++)
            json_array_append_new(
                replies, reply_json(item, &c->models[i].replies[at * (size_t)c->with.repeats + k]));
        json_array_append_new(rows, replies);
    }
    json_object_set_new(o, "replies", rows);
    return o;
}

static const char *outcome_name(aerie_pair_outcome outcome)
{
    static const char *const names[] = { "none", "a", "b", "tie", "half tie", "turned" };

    return names[outcome];
}

static json_t *items_json(const aerie_compare *c)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->data.n; i++) json_array_append_new(list, item_json(c, i));
    for (size_t i = 0; i < c->n_outcomes; i++) {
        const ae_compare_outcome *o = &c->outcomes[i];
        json_t *item = json_array_get(list, ae_compare_item_of(c, (size_t)o->row));
        json_t *judged = json_object_get(item, "judged");
        if (!judged) {
            judged = json_array();
            json_object_set_new(item, "judged", judged);
        }
        json_array_append_new(judged, json_pack("{s:I, s:i, s:i, s:s}", "repeat",
                                                (json_int_t)(o->row % c->with.repeats), "a", o->a,
                                                "b", o->b, "outcome", outcome_name(o->outcome)));
    }
    return list;
}

/* ---- all ---- */

static aerie_status decisive(ae_measure *by, const aerie_compare *c, aerie_error *err)
{
    static const ae_measure order[] = { AE_MEASURE_JUDGE, AE_MEASURE_REWARD, AE_MEASURE_CHECKS,
                                        AE_MEASURE_SIMILARITY };
    const char *named = c->with.decide_by;

    *by = AE_MEASURES;
    for (size_t i = 0; i < AE_COUNT(order) && *by == AE_MEASURES; i++)
        if (named ? !strcmp(named, ae_measure_names[order[i]]) : ae_measure_exists(c, order[i]))
            *by = order[i];
    if (named && *by == AE_MEASURES)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "judge, reward, checks or similarity decides, not '%.40s'", named);
    if (named && !ae_measure_exists(c, *by))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "'%s' is to decide, and there is none", named);
    return AERIE_OK;
}

static json_t *head_json(const aerie_compare *c, ae_measure by)
{
    json_t *o =
        json_pack("{s:I, s:I, s:s?, s:s?, s:s?}", "prompts", (json_int_t)c->data.n, "repeats",
                  (json_int_t)c->with.repeats, "judge", c->judge_name, "reward", c->reward_name,
                  "decided_by", by < AE_MEASURES ? ae_measure_names[by] : NULL);
    const aerie_label_summary *j = &c->judged;

    if (c->judge_name && j->n_questions)
        json_object_set_new(o, "judge_questions",
                            json_pack("{s:I, s:I, s:I, s:I, s:b}", "asked",
                                      (json_int_t)j->n_questions, "without", (json_int_t)j->n_none,
                                      "first", (json_int_t)j->n_first, "second",
                                      (json_int_t)j->n_second, "too_many_without",
                                      j->n_none * 20 > j->n_questions));
    return o;
}

static aerie_status make(json_t **out, const aerie_compare *c, aerie_error *err)
{
    pair *pairs = ae_alloc(MOST_PAIRS, sizeof *pairs);
    json_t *list = json_array(), *models = json_array();
    aerie_status status = AERIE_OK;
    ae_measure by;
    size_t n = 0;

    if (!pairs || !list || !models)
        status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a report");
    if (!status) status = decisive(&by, c, err);
    if (!status) status = measure_pairs(pairs, &n, c, err);
    if (status) goto done;
    for (int m = 0; m < AE_MEASURES; m++) correct(pairs, n, (ae_measure)m);
    *out = head_json(c, by);
    for (size_t i = 0; i < n; i++) json_array_append_new(list, pair_json(c, &pairs[i], by));
    for (size_t i = 0; i < c->n_models && !status; i++)
        if (json_array_append_new(models, ae_report_model(c, &c->models[i])))
            status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a report");
    json_object_set(*out, "models", models);
    json_object_set(*out, "pairs", list);
    if (!status && c->n_models > 2 && c->judge_name) status = add_ratings(*out, c, err);
    json_object_set_new(*out, "items", items_json(c));
done:
    json_decref(list);
    json_decref(models);
    ae_free(pairs);
    return status;
}

aerie_status aerie_compare_report(aerie_compare *c, char **json, aerie_error *err)
{
    json_t *report = NULL;
    char *text = NULL;
    aerie_status status = make(&report, c, err);

    *json = NULL;
    if (!status) {
        text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(8));
        *json = text ? ae_strdup(text) : NULL;
        if (!*json) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for a report");
    }
    free(text);
    json_decref(report);
    return status;
}

/* shape_ranked.c -- rows that hold several replies to one prompt, each with a score or a rank
 * (UltraFeedback as it was collected, Nectar), and the pairs that are made of them. */
#include "data/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ae_ranking_insert(ae_ranking *r, json_t *text, double score)
{
    size_t at = r->n++;
    for (; at > 0 && r->score[at - 1] < score; at--) {
        r->score[at] = r->score[at - 1];
        r->text[at] = r->text[at - 1];
        r->place[at] = r->place[at - 1];
    }
    r->score[at] = score;
    r->text[at] = text;
    r->place[at] = r->n - 1;
}

/* The mean of the annotators' ratings, without those that say "N/A"; NaN: there are none. */
static double mean_rating(json_t *completion)
{
    double sum = 0;
    int n = 0;
    const char *name;
    json_t *item;
    json_object_foreach(json_object_get(completion, "annotations"), name, item)
    {
        json_t *rating = json_object_get(item, "Rating");
        const char *text = json_string_value(rating);
        char *end = NULL;
        double value = text ? strtod(text, &end) : json_number_value(rating);
        if (text ? end == text || *end || !isfinite(value) : !json_is_number(rating)) continue;
        sum += value;
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

static double overall_score(json_t *completion)
{
    json_t *score = json_object_get(completion, "overall_score");
    return json_is_number(score) ? json_number_value(score) : NAN;
}

static double by_rank(json_t *answer)
{
    json_t *rank = json_object_get(answer, "rank");
    return json_is_number(rank) ? -json_number_value(rank) : NAN;
}

/* Where a kind of rows keeps its answers. */
typedef struct {
    const char *column, *text; /* the list, and the reply in an item of it */
    double (*score)(json_t *item);
    const char *scored_by; /* for messages */
} layout;

static aerie_status rank_answers(ae_ranking *out, const ae_row_source *src, const layout *l,
                                 aerie_error *err)
{
    const char *column = ae_row_column(src, l->column);
    json_t *list = ae_row_get(src, l->column), *item;
    size_t i;
    out->n = 0;
    if (json_array_size(list) > AE_MAX_ANSWERS)
        return ae_row_fail(src, err, "'%s' has %zu answers; at most %d are read", column,
                           json_array_size(list), AE_MAX_ANSWERS);
    json_array_foreach(list, i, item)
    {
        json_t *text = json_object_get(item, l->text);
        double score = l->score(item);
        if (!json_is_string(text))
            return ae_row_fail(src, err, "item %zu of '%s' has no text in '%s'", i + 1, column,
                               l->text);
        if (isnan(score))
            return ae_row_fail(src, err, "item %zu of '%s' has no number in '%s'", i + 1, column,
                               l->scored_by);
        ae_ranking_insert(out, text, score);
    }
    return AERIE_OK;
}

/* ---- the pairs of a ranking ---- */

typedef struct {
    size_t chosen, rejected;
    bool found, more; /* more: there is a pair after this one */
} choice;

/* A number out of the seed and the prompt: the same wherever the row stands in whatever file. */
static uint64_t draw(const ae_row_source *src, json_t *messages, size_t n)
{
    uint64_t hash = ae_mix64(src->options ? src->options->seed : 0);
    json_t *message;
    size_t i;
    ae_rng rng;
    json_array_foreach(messages, i, message)
    {
        json_t *content = json_object_get(message, "content");
        hash = ae_hash64(json_string_value(content), json_string_length(content), hash);
    }
    ae_rng_seed(&rng, hash);
    return ae_rng_below(&rng, n);
}

/* Answers that are nearer in score than that make no pair. */
static bool is_apart(const ae_ranking *r, size_t better, size_t worse, const ae_row_source *src)
{
    return r->score[better] - r->score[worse] >= (src->options ? src->options->min_margin : 0);
}

/* Zephyr's rule has the best lose to nothing but itself: an answer as good may be the rejected one.
 */
static bool may_lose(const ae_ranking *r, size_t i, ae_ranked_pairs how)
{
    if (how == AE_RANKED_MEAN_RANDOM) return r->score[i] < r->score[0];
    return !json_equal(r->text[i], r->text[0]);
}

/* The best against one of the others. */
static choice best_against_random(const ae_ranking *r, const ae_row_source *src, json_t *messages,
                                  ae_ranked_pairs how)
{
    size_t candidates[AE_MAX_ANSWERS], n = 0;
    for (size_t i = 1; i < r->n; i++)
        if (may_lose(r, i, how) && is_apart(r, 0, i, src)) candidates[n++] = i;
    if (n == 0) return (choice){ 0 };
    return (choice){ .rejected = candidates[draw(src, messages, n)], .found = true };
}

/* Pair `nth` of all in which one answer is better than the other. */
static choice nth_of_all(const ae_ranking *r, const ae_row_source *src)
{
    choice c = { 0 };
    size_t k = 0, nth = src->nth;
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = i + 1; j < r->n; j++) {
            if (!(r->score[i] > r->score[j]) || !is_apart(r, i, j, src)) continue;
            if (k == nth) c = (choice){ .chosen = i, .rejected = j, .found = true };
            if (k++ > nth) c.more = true;
        }
    return c;
}

static choice choose(const ae_ranking *r, const ae_row_source *src, json_t *messages)
{
    ae_ranked_pairs how = src->options ? src->options->ranked : AE_RANKED_BEST_RANDOM;
    if (how == AE_RANKED_ALL) return nth_of_all(r, src);
    if (how == AE_RANKED_BEST_WORST)
        return (choice){ .rejected = r->n - 1,
                         .found = r->n > 1 && r->score[0] > r->score[r->n - 1] &&
                                  is_apart(r, 0, r->n - 1, src) };
    return best_against_random(r, src, messages, how);
}

static aerie_status reply_of(json_t **out, json_t *text, aerie_error *err)
{
    ae_span content = { json_string_value(text), json_string_length(text) };
    *out = json_array();
    if (!*out) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    return ae_messages_add(*out, ae_message_new("assistant", content), false, err);
}

static aerie_status keep_ranking(ae_record *out, const ae_ranking *r, aerie_error *err)
{
    out->ranked = json_array();
    for (size_t i = 0; i < r->n; i++)
        if (!out->ranked || json_array_append(out->ranked, r->text[i]))
            return aerie_fail(err, AERIE_NO_MEMORY, "no room for ranked answers");
    return AERIE_OK;
}

/* The record's pair; a row that has none is left out. Conversations need the best answer alone. */
static aerie_status take_pair(ae_record *out, const ae_row_source *src, const ae_ranking *r,
                              aerie_error *err)
{
    bool alone = src->options && src->options->kind == AE_EXAMPLE_CHAT;
    choice c = alone ? (choice){ .found = r->n > 0 } : choose(r, src, out->messages);
    aerie_status status = AERIE_OK;
    out->left_out = !c.found;
    out->more = c.more;
    if (!c.found) return AERIE_OK;
    out->gap = alone ? NAN : r->score[c.chosen] - r->score[c.rejected];
    status = keep_ranking(out, r, err);
    if (!status) status = reply_of(&out->chosen, r->text[c.chosen], err);
    if (!status && !alone) status = reply_of(&out->rejected, r->text[c.rejected], err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

/* ---- whole rankings ---- */

/* Ranks as in sports: 1 and how many are better. */
static size_t rank_of(const ae_ranking *r, size_t i)
{
    size_t better = 0;
    while (better < r->n && r->score[better] > r->score[i]) better++;
    return better + 1;
}

static aerie_status add_reply(ae_record *out, const ae_ranking *r, size_t i, aerie_error *err)
{
    json_t *reply = NULL;
    aerie_status status = reply_of(&reply, r->text[i], err);
    if (status) {
        json_decref(reply);
        return status;
    }
    if (json_array_append_new(out->replies, reply) ||
        json_array_append_new(out->ranks, json_integer((json_int_t)rank_of(r, i))))
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for ranked answers");
    return AERIE_OK;
}

/* Which of the ranking comes as the nth of `kept`. */
static size_t nth_kept(const ae_ranking *r, const ae_dataset_options *o, size_t nth, size_t kept)
{
    if (!o->unranked) return kept < 2 ? 0 : (nth * (r->n - 1) + (kept - 1) / 2) / (kept - 1);
    size_t i = 0;
    while (r->place[i] != nth) i++;
    return i;
}

static aerie_status take_ranking(ae_record *out, const ae_row_source *src, const ae_ranking *r,
                                 aerie_error *err)
{
    const ae_dataset_options *o = src->options;
    size_t kept = !o->unranked && o->max_answers && o->max_answers < r->n ? o->max_answers : r->n;
    aerie_status status = AERIE_OK;
    out->left_out = !o->unranked && (r->n < 2 || !(r->score[0] > r->score[r->n - 1]));
    if (out->left_out) return AERIE_OK;
    out->kind = AE_EXAMPLE_RANKED;
    out->replies = json_array();
    out->ranks = json_array();
    if (!out->replies || !out->ranks)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room for ranked answers");
    for (size_t i = 0; i < kept && !status; i++)
        status = add_reply(out, r, nth_kept(r, o, i, kept), err);
    return status ? status : ae_messages_add_columns(out, src, out->messages, err);
}

aerie_status ae_ranking_take(ae_record *out, const ae_row_source *src, const ae_ranking *r,
                             aerie_error *err)
{
    const ae_dataset_options *o = src->options;
    bool whole = o && o->kind == AE_EXAMPLE_RANKED && !o->ranked_pairs;
    return whole ? take_ranking(out, src, r, err) : take_pair(out, src, r, err);
}

/* ---- UltraFeedback ---- */

static bool fits_ultrafeedback(const ae_row_source *src)
{
    return json_is_array(ae_row_get(src, "completions")) &&
           json_is_string(ae_row_get(src, "instruction"));
}

static aerie_status read_ultrafeedback(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    static const layout overall = { "completions", "response", overall_score, "overall_score" };
    static const layout mean = { "completions", "response", mean_rating, "annotations" };
    bool of_means = src->options && src->options->ranked == AE_RANKED_MEAN_RANDOM;
    const char *source = json_string_value(ae_row_get(src, "source"));
    ae_span prompt;
    ae_ranking r;
    aerie_status status = ae_row_text(src, "instruction", &prompt, err);
    if (status) return status;
    /* TruthfulQA is a benchmark; the pairs that Zephyr learned from have none of it. */
    out->left_out = !of_means && source && strcmp(source, "truthful_qa") == 0;
    if (out->left_out) return AERIE_OK;
    status = rank_answers(&r, src, of_means ? &mean : &overall, err);
    if (status) return status;
    out->messages = json_array();
    if (!out->messages) return aerie_fail(err, AERIE_NO_MEMORY, "no room for a conversation");
    status = ae_messages_add(out->messages, ae_message_new("user", prompt), false, err);
    return status ? status : ae_ranking_take(out, src, &r, err);
}

/* ---- Nectar ---- */

static bool fits_nectar(const ae_row_source *src)
{
    return json_is_array(ae_row_get(src, "answers")) && json_is_string(ae_row_get(src, "prompt"));
}

/* The turns end with the marker of the reply that is wanted: an empty message, which goes. */
static aerie_status drop_open_turn(json_t *messages, const ae_row_source *src, aerie_error *err)
{
    size_t n = json_array_size(messages);
    json_t *last = json_array_get(messages, n - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    bool open =
        strcmp(role, "assistant") == 0 && json_string_length(json_object_get(last, "content")) == 0;
    if (n < 2 || !open)
        return ae_row_fail(src, err, "'%s' must end with an empty line and 'Assistant:'",
                           ae_row_column(src, "prompt"));
    json_array_remove(messages, n - 1);
    return AERIE_OK;
}

static aerie_status read_nectar(ae_record *out, const ae_row_source *src, aerie_error *err)
{
    static const layout ranks = { "answers", "answer", by_rank, "rank" };
    ae_ranking r;
    ae_span prompt;
    aerie_status status = ae_row_text(src, "prompt", &prompt, err);
    if (!status)
        status =
            ae_messages_from_turns(&out->messages, src, prompt, ae_row_column(src, "prompt"), err);
    if (!status) status = drop_open_turn(out->messages, src, err);
    if (!status) status = rank_answers(&r, src, &ranks, err);
    return status ? status : ae_ranking_take(out, src, &r, err);
}

const ae_shape ae_ranked_shapes[] = {
    { "ultrafeedback", AE_EXAMPLE_PAIR, fits_ultrafeedback, read_ultrafeedback },
    { "nectar", AE_EXAMPLE_PAIR, fits_nectar, read_nectar },
    { "responses", AE_EXAMPLE_PAIR, ae_fits_responses, ae_read_responses },
    { 0 },
};

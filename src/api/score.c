/* score.c -- the public face of reward models: scores of replies, and of every prefix of one. */
#include "aerie/score.h"

#include "api/api.h"
#include "data/data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pairs of responses, and in how many the better one has the higher score, or is longer. */
typedef struct {
    double n, right, longer;
} pair_counts;

/* Of all rows, with the squares that the ratio's standard error is made of. */
typedef struct {
    pair_counts all;
    double nn, rn, rr;
    int64_t n_rows; /* with pairs */
} pair_sums;

typedef struct {
    aerie_model *m;
    const aerie_score_options *options;
    ae_template *chat_template;
    ae_encode_options encode;
    ae_arena rows, sample; /* of a pass; of a row of the file */
    int64_t at_once;       /* tokens of a row that are known to fit */
    aerie_score_fn *each;
    void *user;
    aerie_score_result sums; /* mean: counted, not yet divided */
    pair_sums pairs, matched;
} scorer;

static const aerie_score_options no_options;

static aerie_status open_scorer(scorer *s, aerie_error *err)
{
    const aerie_score_options *o = s->options;
    int64_t context = ae_model_config(s->m->model)->max_position;
    int64_t length = o->max_length > 0 ? o->max_length : context;
    aerie_status status = ae_api_need_tokenizer(s->m, err);

    if (!status && !s->m->net.score)
        status = aerie_fail(err, AERIE_BAD_ARGUMENT,
                            "%s: has no head that scores; give a reward model, or with --adapter "
                            "the adapter that brings the head",
                            ae_model_path(s->m->model));
    if (!status) status = ae_api_template(&s->chat_template, s->m, o->chat_template, err);
    s->encode = (ae_encode_options){ .tokenizer = ae_model_tokenizer(s->m->model),
                                     .chat_template = s->chat_template,
                                     .append_eos = o->append_eos,
                                     .max_length = (int32_t)(length < INT32_MAX ? length : 0),
                                     .max_reply_length = (int32_t)o->max_completion_length };
    return status;
}

static void close_scorer(scorer *s)
{
    ae_template_free(s->chat_template);
    ae_arena_free(&s->rows);
    ae_arena_free(&s->sample);
}

static void count_pair(pair_counts *counts, const aerie_scored *row, size_t better, size_t worse)
{
    counts->n++;
    counts->right += row->scores[better] > row->scores[worse];
    counts->longer += row->n_chars[better] > row->n_chars[worse];
}

static bool of_like_length(size_t a, size_t b)
{
    return 4 * (double)a <= 5 * (double)b && 4 * (double)b <= 5 * (double)a;
}

static void add_row(pair_sums *sums, const pair_counts *row)
{
    sums->all.n += row->n;
    sums->all.right += row->right;
    sums->all.longer += row->longer;
    sums->nn += row->n * row->n;
    sums->rn += row->right * row->n;
    sums->rr += row->right * row->right;
    sums->n_rows += row->n > 0;
}

static void count_pairs(scorer *s, const aerie_scored *row)
{
    pair_counts all = { 0 }, matched = { 0 };

    s->sums.n_rows++;
    s->sums.n_responses += (int64_t)row->n;
    for (size_t j = 0; j < row->n; j++) {
        s->sums.mean += row->scores[j];
        for (size_t l = 0; l < row->n; l++) {
            if (!(row->ranks[j] < row->ranks[l])) continue;
            count_pair(&all, row, j, l);
            if (of_like_length(row->n_chars[j], row->n_chars[l])) count_pair(&matched, row, j, l);
        }
    }
    add_row(&s->pairs, &all);
    add_row(&s->matched, &matched);
}

/* Of right / n, two sums over the same rows: the delta method. */
static double error_of(const pair_sums *p)
{
    double ratio = p->all.right / p->all.n;
    double squares = p->rr - 2 * ratio * p->rn + ratio * ratio * p->nn;
    double rows = (double)p->n_rows;

    if (p->n_rows < 2) return NAN;
    return sqrt(fmax(squares, 0) * rows / (rows - 1)) / p->all.n;
}

/* The tokens of every reply with their scores, in the sample's arena. */
static aerie_status add_tokens(scorer *s, aerie_scored *row, const ae_sample *sample,
                               const float *score, aerie_error *err)
{
    size_t n = (size_t)sample->n;
    aerie_score_token *all = ae_arena_take(&s->sample, n, sizeof *all);
    const aerie_score_token **of = ae_arena_take(&s->sample, row->n, sizeof *of);
    size_t *n_tokens = ae_arena_take(&s->sample, row->n, sizeof *n_tokens), at;
    ae_bytes text = { 0 };

    for (size_t i = 0; all && i < n && !text.failed; i++) {
        ae_bytes_clear(&text);
        ae_tokenizer_token_bytes(s->encode.tokenizer, sample->ids[i], true, &text);
        const char *kept = ae_arena_strndup(&s->sample, text.len ? text.data : "", text.len);
        if (!kept) text.failed = true;
        all[i] = (aerie_score_token){ sample->ids[i], kept, text.len, (double)score[i] };
    }
    bool failed = !all || !of || !n_tokens || text.failed;
    ae_bytes_free(&text);
    if (failed) return aerie_fail(err, AERIE_NO_MEMORY, "no memory to show a row's tokens");
    at = (size_t)sample->n_prompt;
    for (size_t k = 0; k < row->n; at += n_tokens[k++]) {
        of[k] = all + at;
        n_tokens[k] = (size_t)sample->reply_n[k];
    }
    row->tokens = of;
    row->n_tokens = n_tokens;
    return AERIE_OK;
}

static aerie_status give(scorer *s, const aerie_scored *row, aerie_error *err)
{
    count_pairs(s, row);
    if (!s->each || s->each(s->user, row)) return AERIE_OK;
    return aerie_fail(err, AERIE_INTERRUPTED, "interrupted while scoring");
}

enum { MOST_AT_ONCE = 8192 };

/* How many tokens of a row are scored at once: all of them where there is memory for them, else
 * fewer, down to the prompt with its longest response. The numbers don't depend on it. */
static aerie_status find_room(scorer *s, const ae_replies *r, int64_t *at_once, aerie_error *err)
{
    int64_t least = 0, n = ae_min64(ae_replies_tokens(r), MOST_AT_ONCE);

    for (int64_t k = 0; k < r->n_replies; k++) least = ae_max64(least, r->reply_n[k]);
    least += r->n_prompt;
    for (n = ae_max64(n, least);; n = ae_max64(n / 2, least)) {
        const aerie_memory_plan plan = { .n_ctx = n, .use = AERIE_USE_REWARDS };
        aerie_error why = { 0 };
        *at_once = n;
        if (n <= s->at_once) return AERIE_OK;
        if (ae_api_check_use(s->m, NULL, &plan, &why) == AERIE_OK) break;
        if (n > least && why.status == AERIE_NO_MEMORY) continue;
        return aerie_fail(err, why.status, "%s", why.message);
    }
    s->at_once = n;
    return AERIE_OK;
}

/* Characters of a response's messages, in UTF-8. */
static size_t count_chars(const json_t *messages)
{
    size_t i, n = 0;
    json_t *message;

    json_array_foreach(messages, i, message)
    {
        const json_t *content = json_object_get(message, "content");
        const char *text = json_string_value(content);
        for (size_t at = 0; at < json_string_length(content); at++)
            n += ((unsigned char)text[at] & 0xc0) != 0x80;
    }
    return n;
}

static aerie_status score_sample(scorer *s, const ae_sample *sample, const json_t *texts,
                                 int64_t index, aerie_error *err)
{
    size_t n = (size_t)sample->n_replies;
    const ae_replies replies = { sample->ids, sample->n_prompt, sample->reply_n,
                                 sample->n_replies };
    float *every = ae_arena_take(&s->sample, (size_t)sample->n, sizeof *every);
    double *scores = ae_arena_take(&s->sample, n, sizeof *scores),
           *ranks = ae_arena_take(&s->sample, n, sizeof *ranks);
    size_t *n_chars = ae_arena_take(&s->sample, n, sizeof *n_chars);
    aerie_scored row = {
        .index = index, .n = n, .scores = scores, .ranks = ranks, .n_chars = n_chars
    };
    int64_t at_once;
    aerie_status status = find_room(s, &replies, &at_once, err);

    if (status) return status;
    if (!every || !scores || !ranks || !n_chars)
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for %zu scores", n);
    status = ae_reward_scores(every, &replies, at_once, s->m->device, &s->m->net, &s->rows, err);
    if (status) return status;
    row.prompt_score = (double)every[sample->n_prompt - 1];
    for (size_t k = 0; k < n; k++) {
        scores[k] = (double)every[ae_replies_last(&replies, (int64_t)k)];
        ranks[k] = (double)sample->rank[k];
        n_chars[k] = count_chars(json_array_get(texts, k));
    }
    if (s->options->every_token) status = add_tokens(s, &row, sample, every, err);
    return status ? status : give(s, &row, err);
}

static aerie_status score_example(scorer *s, const ae_example *e, int64_t index, aerie_error *err)
{
    ae_sample sample;
    aerie_status status;

    if (json_array_size(e->replies) == 0) return give(s, &(aerie_scored){ .index = index }, err);
    ae_arena_reset_all(&s->sample);
    status = ae_encode(&sample, e, &s->encode, &s->sample, err);
    if (!status) s->sums.n_truncated += sample.truncated;
    if (!status && sample.dropped)
        status = aerie_fail(err, AERIE_BAD_FILE,
                            "%s: row %lld: nothing is left of a response within %d tokens; give a "
                            "larger max_length",
                            e->file ? e->file : "data", (long long)index + 1, s->encode.max_length);
    return status ? status : score_sample(s, &sample, e->replies, index, err);
}

/* A part of the file at a time. */
static aerie_status score_all(scorer *s, ae_dataset *d, aerie_error *err)
{
    enum { AT_ONCE = 64 };
    aerie_status status = AERIE_OK;
    int64_t index = 0, limit = s->options->limit;

    while (!status && !ae_dataset_ended(d)) {
        status = ae_dataset_more(d, AT_ONCE, err);
        for (size_t i = 0; !status && i < ae_dataset_len(d); i++) {
            if (limit > 0 && index >= limit) return AERIE_OK;
            const ae_example e = ae_dataset_at(d, i);
            status = score_example(s, &e, index++, err);
        }
    }
    return status;
}

static void finish(const scorer *s, aerie_score_result *out)
{
    const pair_counts *pairs = &s->pairs.all, *matched = &s->matched.all;

    *out = s->sums;
    out->n_pairs = (int64_t)pairs->n;
    out->accuracy = pairs->n > 0 ? pairs->right / pairs->n : NAN;
    out->accuracy_error = error_of(&s->pairs);
    out->longer_wins = pairs->n > 0 ? pairs->longer / pairs->n : NAN;
    out->n_matched = (int64_t)matched->n;
    out->matched_accuracy = matched->n > 0 ? matched->right / matched->n : NAN;
    out->matched_error = error_of(&s->matched);
    out->matched_longer_wins = matched->n > 0 ? matched->longer / matched->n : NAN;
    out->mean = out->n_responses > 0 ? out->mean / (double)out->n_responses : NAN;
}

static const ae_dataset_options of_replies = { .kind = AE_EXAMPLE_RANKED, .unranked = true };

aerie_status aerie_score(aerie_model *m, const char *path, const aerie_score_options *options,
                         aerie_score_fn *each, void *user, aerie_score_result *out,
                         aerie_error *err)
{
    scorer s = { .m = m, .options = options ? options : &no_options, .each = each, .user = user };
    ae_dataset *d = NULL;
    aerie_status status = open_scorer(&s, err);

    if (!status) status = ae_dataset_start(&d, &path, 1, &of_replies, err);
    if (!status) status = score_all(&s, d, err);
    if (!status && out) finish(&s, out);
    ae_dataset_close(d);
    close_scorer(&s);
    return status;
}

static json_t *row_of(const char *prompt, const char *const *responses, size_t n)
{
    json_t *list = json_array(),
           *row = json_pack("{s:s, s:o}", "prompt", prompt, "responses", list);

    for (size_t i = 0; row && i < n; i++)
        if (json_array_append_new(list, json_string(responses[i]))) {
            json_decref(row);
            return NULL;
        }
    return row;
}

aerie_status aerie_score_replies(aerie_model *m, const char *prompt, const char *const *responses,
                                 size_t n_responses, const aerie_score_options *options,
                                 aerie_score_fn *each, void *user, aerie_error *err)
{
    scorer s = { .m = m, .options = options ? options : &no_options, .each = each, .user = user };
    json_t *row = row_of(prompt, responses, n_responses);
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL;
    ae_dataset *d = NULL;
    aerie_status status;

    json_decref(row);
    if (!text)
        return aerie_fail(err, AERIE_BAD_TEXT, "the prompt or a response is no text in UTF-8");
    status = open_scorer(&s, err);
    if (!status)
        status = ae_dataset_open_text(&d, "prompt.jsonl", ae_span_text(text), &of_replies, err);
    if (!status) {
        const ae_example e = ae_dataset_at(d, 0);
        status = score_example(&s, &e, 0, err);
    }
    ae_dataset_close(d);
    free(text);
    close_scorer(&s);
    return status;
}

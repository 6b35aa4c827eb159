/* arena_style.c -- Arena-Hard's style control: Bradley-Terry with the differences of styles beside
 * the models (Li et al., lmarena/arena-hard-auto, show_result.py with utils/math_utils.py).
 *
 * logit P(a vote is the model's) = its strength + sum of weights times features, which are
 * standardised over all votes. Upstream fits single-precision LBFGS for 50 short steps over 100
 * resamples of votes; here the maximum itself is found, and questions are resampled, whose votes
 * come together. */
#include "board/arena_hard.h"
#include "board/style.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 200, SEED = 1 };

/* So weak a penalty leaves the maximum where it is and makes it finite where a model won all. */
static const double nearly_free = 1e6;

static const char *const names[AE_BOARD_STYLES] = { "length", "headers", "lists", "bold" };

/* ---- answers ---- */

typedef struct {
    ae_board_style style; /* length: tokens, -1: not told */
    double bytes;
    bool is_there;
} written;

typedef struct {
    const ae_arena_hard *b;
    ae_board_names writers;
    written *styles; /* by writer * uids.n + uid */
    size_t cap, n_by_bytes;
} answers;

static const json_t *answer_of(const json_t *row)
{
    const json_t *messages = json_object_get(row, "messages");
    const json_t *content =
        json_object_get(json_array_get(messages, json_array_size(messages) - 1), "content");
    const json_t *choices = json_object_get(row, "choices"); /* of the first release */

    if (choices)
        content = json_object_get(
            json_array_get(json_object_get(json_array_get(choices, 0), "turns"), 0), "content");
    return json_is_object(content) ? json_object_get(content, "answer") : content;
}

/* metadata's "token_len", by upstream's own tokenizer. */
static double tokens_of(const json_t *row)
{
    const json_t *n = json_object_get(json_object_get(row, "metadata"), "token_len");

    return json_is_integer(n) && json_integer_value(n) >= 0 ? json_number_value(n) : -1;
}

static aerie_status take(void *user, const json_t *row, aerie_error *err)
{
    answers *a = user;
    const char *writer = json_string_value(json_object_get(row, "model"));
    const char *uid = json_string_value(json_object_get(row, "uid"));
    const json_t *answer = answer_of(row), *number;
    void *items = a->styles;

    if (!writer) writer = json_string_value(json_object_get(row, "model_id"));
    if (!uid) uid = json_string_value(json_object_get(row, "question_id"));
    if (!writer || !uid || !json_is_string(answer))
        return aerie_fail(err, AERIE_BAD_FILE,
                          "an answer to Arena-Hard needs 'uid', 'model' and 'messages', the last "
                          "with the answer");
    number = json_object_get(a->b->uids.numbers, uid);
    if (!number) return AERIE_OK; /* nobody was judged by it */
    size_t of = ae_board_names_at(&a->writers, writer), n = a->b->uids.n;
    if (of == SIZE_MAX || !ae_board_grow(&items, &a->cap, (of + 1) * n - 1, sizeof *a->styles))
        return ae_board_no_memory(err);
    a->styles = items;
    written *s = &a->styles[of * n + (size_t)json_integer_value(number)];
    ae_span text = { json_string_value(answer), json_string_length(answer) };
    if (!ae_board_style_count(&s->style, text)) return ae_board_no_memory(err);
    s->style.length = tokens_of(row);
    s->bytes = (double)text.len;
    s->is_there = true;
    return AERIE_OK;
}

/* NULL: it is not there. */
static const written *style_of(const answers *a, const char *writer, size_t uid)
{
    const json_t *number = json_object_get(a->writers.numbers, writer);
    const written *s =
        number ? &a->styles[(size_t)json_integer_value(number) * a->b->uids.n + uid] : NULL;

    return s && s->is_there ? s : NULL;
}

/* ---- features ---- */

/* Votes of questions: [n][d], the models' columns first. */
typedef struct {
    double *x, *y, *weight;
    size_t *of; /* [n]: whose */
    size_t n, d, n_models;
    double weights[AE_BOARD_STYLES];
} votes;

/* Both lengths by tokens, or where one has none by bytes: the features are ratios. */
static void features_of(double out[AE_BOARD_STYLES], answers *a, const written *model,
                        const written *baseline)
{
    ae_board_style m = model->style, b = baseline->style;

    if (m.length < 0 || b.length < 0) {
        enum { BYTES_A_TOKEN = 4 };
        m.length = model->bytes / BYTES_A_TOKEN;
        b.length = baseline->bytes / BYTES_A_TOKEN;
        a->n_by_bytes++;
    }
    ae_board_style_features(out, &m, &b);
}

static aerie_status add_votes(votes *v, answers *a, size_t model, aerie_error *err)
{
    const ae_arena_hard_model *m = &a->b->models[model];

    for (size_t i = 0; i < m->n; i++) {
        const ae_arena_hard_question *q = &m->questions[i];
        const written *own = style_of(a, m->name, q->uid);
        const written *other = style_of(a, m->baseline, q->uid);
        if (!own || !other)
            return aerie_fail(err, AERIE_NOT_FOUND,
                              "style control needs what '%s' answered to every question that was "
                              "judged, and the files of answers lack some",
                              own ? m->baseline : m->name);
        double *row = v->x + v->n * v->d;
        row[model] = 1;
        features_of(row + v->n_models, a, own, other);
        v->y[v->n] = q->won / q->votes;
        v->weight[v->n] = q->votes;
        v->of[v->n++] = model;
    }
    return AERIE_OK;
}

/* To mean 0 and deviation 1 over votes, n - 1 below the line; a feature that never differs is 0. */
static void standardise(votes *v)
{
    for (size_t k = v->n_models; k < v->d; k++) {
        double sum = 0, mean = 0, square = 0;
        for (size_t i = 0; i < v->n; i++) {
            sum += v->weight[i];
            mean += v->weight[i] * v->x[i * v->d + k];
        }
        mean /= sum;
        for (size_t i = 0; i < v->n; i++) {
            double off = v->x[i * v->d + k] - mean;
            square += v->weight[i] * off * off;
        }
        double deviation = sum > 1 ? sqrt(square / (sum - 1)) : 0;
        for (size_t i = 0; i < v->n; i++) {
            double *x = &v->x[i * v->d + k];
            *x = deviation > 1e-12 ? (*x - mean) / deviation : 0;
        }
    }
}

/* ---- the fit ---- */

/* `times`: how often each row counts. */
static aerie_status fit(double *w, const votes *v, const double *times, double *weight,
                        aerie_error *err)
{
    for (size_t i = 0; i < v->n; i++) weight[i] = v->weight[i] * (times ? times[i] : 1);
    return ae_logistic_fit(w, v->x, v->y, weight, v->n, v->d, nearly_free, err);
}

/* Every model's questions drawn again among its own. */
static void draw(double *times, const votes *v, uint64_t *seed)
{
    memset(times, 0, v->n * sizeof *times);
    for (size_t begin = 0, end = 0; begin < v->n; begin = end) {
        while (end < v->n && v->of[end] == v->of[begin]) end++;
        for (size_t i = begin; i < end; i++)
            times[begin + ae_paired_draw_below(seed, end - begin)]++;
    }
}

/* scores: [n_models][ROUNDS] */
static aerie_status resample(double *scores, const votes *v, double *room, aerie_error *err)
{
    double *times = room, *weight = room + v->n, *w = room + 2 * v->n;
    uint64_t seed = SEED;
    aerie_status status = AERIE_OK;

    for (size_t r = 0; r < ROUNDS && !status; r++) {
        draw(times, v, &seed);
        status = fit(w, v, times, weight, err);
        for (size_t m = 0; m < v->n_models; m++)
            scores[m * ROUNDS + r] = 100 * ae_logistic_sigmoid(w[m]);
    }
    for (size_t m = 0; m < v->n_models && !status; m++)
        ae_quantile_sort(scores + m * ROUNDS, ROUNDS);
    return status;
}

/* ---- the board ---- */

static json_t *model_of(const json_t *board, const char *name)
{
    json_t *m;
    size_t i;

    json_array_foreach(json_object_get(board, "models"), i, m)
    {
        const char *is = json_string_value(json_object_get(m, "model"));
        if (is && !strcmp(is, name)) return m;
    }
    return NULL;
}

static void tell(json_t *board, const ae_arena_hard *b, const votes *v, const double *w,
                 const double *scores, bool by_bytes)
{
    json_t *weights = json_object();

    for (size_t m = 0; m < v->n_models; m++) {
        json_t *o = model_of(board, b->models[m].name);
        if (!o || !b->models[m].n) continue;
        json_object_set_new(o, "style_controlled", ae_board_real(100 * ae_logistic_sigmoid(w[m])));
        json_object_set_new(
            o, "style_interval90",
            json_pack("[o, o]", ae_board_real(ae_quantile(scores + m * ROUNDS, ROUNDS, 0.05)),
                      ae_board_real(ae_quantile(scores + m * ROUNDS, ROUNDS, 0.95))));
    }
    for (size_t k = 0; k < AE_BOARD_STYLES; k++)
        json_object_set_new(weights, names[k], ae_board_real(w[v->n_models + k]));
    json_object_set_new(
        board, "style",
        json_pack("{s:o, s:s}", "weights", weights, "lengths", by_bytes ? "bytes" : "tokens"));
}

static aerie_status control(json_t *board, answers *a, aerie_error *err)
{
    const ae_arena_hard *b = a->b;
    votes v = { .n_models = b->names.n, .d = b->names.n + AE_BOARD_STYLES };
    size_t n = 0;
    double *scores, *room, *w;
    aerie_status status = AERIE_OK;

    for (size_t m = 0; m < b->names.n; m++) n += b->models[m].n;
    v.x = ae_alloc(n, v.d * sizeof *v.x);
    v.y = ae_alloc(n, 2 * sizeof *v.y);
    v.of = ae_alloc(n, sizeof *v.of);
    w = ae_alloc(v.d, sizeof *w);
    room = ae_alloc(2 * n + v.d, sizeof *room);
    scores = ae_alloc(v.n_models, ROUNDS * sizeof *scores);
    if (!v.x || !v.y || !v.of || !w || !room || !scores) status = ae_board_no_memory(err);
    if (!status) v.weight = v.y + n;
    for (size_t m = 0; m < b->names.n && !status; m++) status = add_votes(&v, a, m, err);
    if (!status && v.n) {
        standardise(&v);
        status = fit(w, &v, NULL, room, err);
        if (!status) status = resample(scores, &v, room, err);
        if (!status) tell(board, b, &v, w, scores, a->n_by_bytes > 0);
    }
    ae_free(v.x);
    ae_free(v.y);
    ae_free(v.of);
    ae_free(w);
    ae_free(room);
    ae_free(scores);
    return status;
}

aerie_status ae_arena_hard_style(json_t *board, const ae_arena_hard *b, const ae_board_files *files,
                                 aerie_error *err)
{
    answers a = { .b = b };
    aerie_status status = ae_board_each(files->texts, files->n_texts, take, &a, err);

    if (!status) status = control(board, &a, err);
    ae_free(a.styles);
    ae_board_names_free(&a.writers);
    return status;
}

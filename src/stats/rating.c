/* rating.c -- Bradley and Terry's model as a regression on who met whom; Elo. */
#include "stats/rating.h"

#include "stats/logistic.h"
#include "stats/mean.h"
#include "stats/paired.h"

#include <math.h>
#include <stdlib.h>

/* So weak a penalty moves no rating that the battles determine by a thousandth of a point. */
#define WEAK 1e9

static double scale_of(const ae_rating_options *o)
{
    return o && o->scale ? o->scale : 400;
}

static double middle_of(const ae_rating_options *o)
{
    return o && o->middle ? o->middle : 1000;
}

static double weight_of(const ae_battle *b)
{
    return b->weight ? b->weight : 1;
}

/* What two players did, a < b: half the square [a, b] of a table holds the wins, the other their
 * number. */
static void tally(double *table, const ae_battle *b, int32_t n_players, double times)
{
    size_t n = (size_t)n_players;
    size_t low = (size_t)(b->a < b->b ? b->a : b->b), high = (size_t)(b->a < b->b ? b->b : b->a);

    table[low * n + high] += times * weight_of(b) * (b->a < b->b ? b->score : 1 - b->score);
    table[high * n + low] += times * weight_of(b);
}

typedef struct {
    size_t n_players;
    double *table, *x, *y, *weight, *w;
} room;

static size_t most_rows(size_t n_players)
{
    return n_players * (n_players + 1) / 2;
}

static aerie_status make_room(room *r, int32_t n_players, aerie_error *err)
{
    size_t n = (size_t)n_players, rows = most_rows(n);

    *r = (room){ .n_players = n };
    if (n_players < 1 || n_players > 1000)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "ratings are of 1 to 1000 players, not of %d",
                          (int)n_players);
    r->table = ae_alloc(n * n + rows * (n + 2) + n, sizeof *r->table);
    if (!r->table) return aerie_fail(err, AERIE_NO_MEMORY, "no room to rate %zu players", n);
    r->x = r->table + n * n;
    r->y = r->x + rows * n;
    r->weight = r->y + rows;
    r->w = r->weight + rows;
    return AERIE_OK;
}

/* One row for every two that met, its label the share of wins; one for every player's prior. */
static size_t make_rows(room *r, double prior)
{
    size_t n = r->n_players, rows = 0;

    for (size_t i = 0; i < most_rows(n) * n; i++) r->x[i] = 0;
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++) {
            double met = r->table[b * n + a];
            if (!(met > 0)) continue;
            r->x[rows * n + a] = 1;
            r->x[rows * n + b] = -1;
            r->y[rows] = r->table[a * n + b] / met;
            r->weight[rows++] = met;
        }
    for (size_t a = 0; a < n && prior > 0; a++) {
        r->x[rows * n + a] = 1;
        r->y[rows] = 0.5;
        r->weight[rows++] = prior;
    }
    return rows;
}

static aerie_status rate(double *out, room *r, const ae_rating_options *options, aerie_error *err)
{
    size_t n = r->n_players, rows = make_rows(r, options ? options->prior : 0);
    aerie_status status = ae_logistic_fit(r->w, r->x, r->y, r->weight, rows, n, WEAK, err);
    double mean = ae_mean(r->w, n);

    for (size_t i = 0; i < n && !status; i++)
        out[i] = scale_of(options) * (r->w[i] - mean) / log(10) + middle_of(options);
    return status;
}

static aerie_status check(const ae_battle *battles, size_t n, int32_t n_players, aerie_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const ae_battle *b = &battles[i];
        if (b->a < 0 || b->b < 0 || b->a >= n_players || b->b >= n_players || b->a == b->b ||
            !(b->score >= 0 && b->score <= 1) || !(b->weight >= 0))
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "battle %zu is not one of two players", i);
    }
    return AERIE_OK;
}

aerie_status ae_rating_bradley_terry(double *out, const ae_battle *battles, size_t n,
                                     int32_t n_players, const ae_rating_options *options,
                                     aerie_error *err)
{
    aerie_status status;
    room r = { 0 };

    status = check(battles, n, n_players, err);
    if (!status) status = make_room(&r, n_players, err);
    if (!status) {
        for (size_t i = 0; i < n; i++) tally(r.table, &battles[i], n_players, 1);
        status = rate(out, &r, options, err);
    }
    ae_free(r.table);
    return status;
}

static int by_number(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

    return (a > b) - (a < b);
}

/* Which of the sorted, different `items` x is. */
static size_t place_of(const int64_t *items, size_t n, int64_t x)
{
    return (size_t)((const int64_t *)bsearch(&x, items, n, sizeof x, by_number) - items);
}

typedef struct {
    const ae_battle *battles;
    size_t n, n_items, rounds;
    int64_t *items;  /* [n], the first n_items sorted and different */
    size_t *place;   /* [n] of a battle's item among them */
    double *times;   /* [n_items] drawn in a resample */
    double *ratings; /* [n_players, rounds] */
    double *one;     /* [n_players] */
} resampling;

static aerie_status prepare(resampling *s, int32_t n_players, aerie_error *err)
{
    size_t n = s->n;

    s->items = ae_alloc(n, sizeof *s->items);
    s->place = ae_alloc(n, sizeof *s->place);
    s->times = ae_alloc(n, sizeof *s->times);
    s->ratings = ae_alloc((size_t)n_players, s->rounds * sizeof *s->ratings);
    s->one = ae_alloc((size_t)n_players, sizeof *s->one);
    if (!s->items || !s->place || !s->times || !s->ratings || !s->one)
        return aerie_fail(err, AERIE_NO_MEMORY, "no room to resample %zu battles", n);
    for (size_t i = 0; i < n; i++) s->items[i] = s->battles[i].item;
    if (n > 1) qsort(s->items, n, sizeof *s->items, by_number);
    for (size_t i = 0; i < n; i++)
        if (!i || s->items[i] != s->items[i - 1]) s->items[s->n_items++] = s->items[i];
    for (size_t i = 0; i < n; i++) s->place[i] = place_of(s->items, s->n_items, s->battles[i].item);
    return AERIE_OK;
}

static void draw_items(resampling *s, room *r, uint64_t *seed)
{
    for (size_t i = 0; i < s->n_items; i++) s->times[i] = 0;
    for (size_t i = 0; i < s->n_items; i++) s->times[ae_paired_draw_below(seed, s->n_items)]++;
    for (size_t i = 0; i < r->n_players * r->n_players; i++) r->table[i] = 0;
    for (size_t i = 0; i < s->n; i++)
        tally(r->table, &s->battles[i], (int32_t)r->n_players, s->times[s->place[i]]);
}

aerie_status ae_rating_bootstrap(ae_interval *out, const ae_battle *battles, size_t n,
                                 int32_t n_players, const ae_rating_options *options,
                                 aerie_error *err)
{
    resampling s = { .battles = battles, .n = n, .rounds = 1000 };
    uint64_t seed = options ? options->seed : 0;
    aerie_status status;
    room r = { 0 };

    if (options && options->rounds > 0) s.rounds = (size_t)options->rounds;
    status = check(battles, n, n_players, err);
    if (!status) status = make_room(&r, n_players, err);
    if (!status) status = prepare(&s, n_players, err);
    for (size_t i = 0; i < s.rounds && !status; i++) {
        draw_items(&s, &r, &seed);
        status = rate(s.one, &r, options, err);
        for (size_t j = 0; j < r.n_players && !status; j++) s.ratings[j * s.rounds + i] = s.one[j];
    }
    for (size_t j = 0; j < r.n_players && !status; j++) {
        double *sorted = s.ratings + j * s.rounds;
        ae_quantile_sort(sorted, s.rounds);
        out[j] = (ae_interval){ ae_quantile(sorted, s.rounds, 0.025),
                                ae_quantile(sorted, s.rounds, 0.975) };
    }
    ae_free(s.items);
    ae_free(s.place);
    ae_free(s.times);
    ae_free(s.ratings);
    ae_free(s.one);
    ae_free(r.table);
    return status;
}

void ae_rating_elo(double *out, const ae_battle *battles, size_t n, int32_t n_players, double k,
                   const ae_rating_options *options)
{
    for (int32_t i = 0; i < n_players; i++) out[i] = middle_of(options);
    for (size_t i = 0; i < n; i++) {
        double *a = &out[battles[i].a], *b = &out[battles[i].b];
        double expected = 1 / (1 + pow(10, (*b - *a) / scale_of(options)));
        double won = k * (battles[i].score - expected);
        *a += won;
        *b -= won;
    }
}

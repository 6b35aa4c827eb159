/* speculate.c -- costs, hit rates, and the account. */
#include "infer/speculate.h"

/* A plan must promise this much more speed: estimates err. */
static const double LEAST_GAIN = 1.02;
/* What losses may take of the time spent, and before any was. */
static const double ALLOWANCE = 0.01;
static const double FIRST_PASSES = 1, MOST_PASSES = 4;

enum { MATCH_GRADES = 7 };

int ae_grade_of_match(int64_t length)
{
    static const int64_t from[MATCH_GRADES] = { 0, 3, 4, 5, 7, 11, 16 };
    int grade = MATCH_GRADES - 1;
    while (length < from[grade]) grade--;
    return grade;
}

int ae_grade_of_probability(double p)
{
    static const double from[AE_GRADES - MATCH_GRADES] = { 0, 0.3, 0.5, 0.7, 0.85, 0.95 };
    int grade = AE_GRADES - MATCH_GRADES - 1;
    while (grade > 0 && p < from[grade]) grade--;
    return MATCH_GRADES + grade;
}

/* ---- hit rates ---- */

void ae_hit_rates_start(ae_hit_rates *r)
{
    /* Before anything is seen: of matches in texts that quote now and then. */
    static const double first[AE_GRADES] = { 0.25, 0.4, 0.5,  0.6, 0.7,  0.8, 0.85,
                                             0.25, 0.4, 0.55, 0.7, 0.85, 0.95 };
    for (int g = 0; g < AE_GRADES; g++) {
        r->tries[g] = 4;
        r->hits[g] = 4 * first[g];
    }
}

void ae_hit_rates_note(ae_hit_rates *r, int grade, bool hit)
{
    r->tries[grade]++;
    r->hits[grade] += hit;
    if (r->tries[grade] < 40) return;
    r->tries[grade] /= 2; /* a text changes its subject */
    r->hits[grade] /= 2;
}

double ae_hit_rate(const ae_hit_rates *r, int grade)
{
    return r->hits[grade] / r->tries[grade];
}

double ae_hit_rate_of_drafts(const ae_hit_rates *r)
{
    double hits = 0, tries = 0;
    for (int g = MATCH_GRADES; g < AE_GRADES; g++) {
        hits += r->hits[g];
        tries += r->tries[g];
    }
    return hits / tries;
}

/* ---- costs ---- */

/* What n tokens cost when only a smaller pass is known: an eighth more for each token. */
static double guessed_cost(double seconds, int64_t known, int64_t n)
{
    return seconds * (1 + (double)(n - known) / (8 * (double)known));
}

/* Between what is known; n tokens never cost more than n / m passes of m. */
double ae_pass_cost(const ae_pass_costs *c, int64_t n)
{
    int64_t below = n < AE_COST_MOST ? n : AE_COST_MOST, above = n;
    while (below > 0 && c->seconds[below] <= 0) below--;
    while (above <= AE_COST_MOST && c->seconds[above] <= 0) above++;
    bool ends = above > AE_COST_MOST;
    if (below == 0) return ends ? 0 : c->seconds[above];
    if (below == n) return c->seconds[n];
    double low = c->seconds[below], most = low * (double)n / (double)below;
    double cost =
        ends ? guessed_cost(low, below, n)
             : low + (c->seconds[above] - low) * (double)(n - below) / (double)(above - below);
    return cost < low ? low : cost < most ? cost : most;
}

/* Noise only ever adds, so a shorter time says more than a longer one. What has not run for long
 * forgets a bad day. */
void ae_pass_costs_note(ae_pass_costs *c, int64_t n, double seconds)
{
    if (n < 1 || n > AE_COST_MOST) return;
    double *at = &c->seconds[n];
    if (*at <= 0)
        *at = seconds;
    else
        *at += (seconds - *at) * (seconds < *at ? 0.25 : 0.05);
    for (int64_t m = n + 1; m <= AE_COST_MOST; m++) {
        double guess = guessed_cost(*at, n, m);
        if (c->seconds[m] > guess) c->seconds[m] += (guess - c->seconds[m]) * 0.002;
    }
}

/* ---- the plan ---- */

static void start(ae_speculation *s, int64_t replies)
{
    if (s->started) return;
    s->balance = FIRST_PASSES * ae_pass_cost(&s->pass, replies);
    s->started = s->balance > 0;
}

/* The reply whose next guess is the most likely to hold, given that those before it did. */
static int64_t most_promising(ae_guess *const *guesses, const double *chances, int64_t n)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++)
        if (guesses[i] && guesses[i]->sent < guesses[i]->n &&
            (best < 0 || chances[i] > chances[best]))
            best = i;
    return best;
}

typedef struct {
    ae_guess *const *guesses;
    const ae_hit_rates *const *rates;
    double chances[AE_COST_MOST]; /* that the next guess of a reply holds */
    int64_t n;
} plan;

/* Sends up to `count` guesses, the likeliest first; stops at the `count` that makes tokens come
 * fastest, which it returns, if `choose`. */
static int64_t send(plan *p, const ae_speculation *s, int64_t count, bool choose)
{
    double plain = ae_pass_cost(&s->pass, p->n), expected = (double)p->n;
    double best = LEAST_GAIN * expected / plain;
    int64_t best_count = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (!p->guesses[i]) continue;
        p->guesses[i]->sent = 0;
        p->chances[i] = ae_hit_rate(p->rates[i], p->guesses[i]->grades[0]);
    }
    for (int64_t k = 1; k <= count; k++) {
        int64_t i = most_promising(p->guesses, p->chances, p->n);
        if (i < 0) break;
        ae_guess *g = p->guesses[i];
        expected += p->chances[i];
        if (++g->sent < g->n) p->chances[i] *= ae_hit_rate(p->rates[i], g->grades[g->sent]);
        if (!choose) continue;
        double cost = ae_pass_cost(&s->pass, p->n + k);
        if (cost - plain > s->balance) break;
        if (expected / cost <= best) continue;
        best = expected / cost;
        best_count = k;
    }
    return best_count;
}

void ae_speculation_plan(ae_speculation *s, ae_guess *const *guesses,
                         const ae_hit_rates *const *rates, int64_t n, int64_t room)
{
    plan p = { .guesses = guesses, .rates = rates, .n = n };
    for (int64_t i = 0; i < n; i++)
        if (guesses[i]) guesses[i]->sent = 0;
    if (n < 1 || n >= AE_COST_MOST) return;
    start(s, n);
    if (!s->started) return;
    if (room > AE_COST_MOST - n) room = AE_COST_MOST - n;
    send(&p, s, send(&p, s, room, true), false);
}

static double draft_cost(const ae_speculation *s, int64_t n)
{
    double known = ae_pass_cost(&s->draft, n);
    return known > 0 ? known : ae_pass_cost(&s->pass, n) / 8;
}

int64_t ae_speculation_depth(const ae_speculation *s, double hit_rate, int64_t replies,
                             int64_t behind)
{
    if (!s->started || replies < 1) return 0;
    double plain = ae_pass_cost(&s->pass, replies), step = draft_cost(s, replies);
    double first = draft_cost(s, behind), best = LEAST_GAIN / plain, expected = 1, chance = 1;
    int64_t depth = 0;
    for (int64_t k = 1; k <= AE_GUESS_MOST && replies * (1 + k) <= AE_COST_MOST; k++) {
        double spent = first + (double)(k - 1) * step + ae_pass_cost(&s->pass, replies * (1 + k));
        chance *= hit_rate;
        expected += chance;
        if (spent - plain > s->balance && k > 1) break;
        if (expected / spent <= best) continue;
        best = expected / spent;
        depth = k;
    }
    /* One guess now and then, to see whether times have changed. */
    double trial = first + ae_pass_cost(&s->pass, 2 * replies) - plain;
    if (trial > s->balance) return 0;
    return depth > 0 ? depth : 2 * trial < s->balance;
}

void ae_speculation_book(ae_speculation *s, int64_t replies, int64_t sent, int64_t held,
                         double draft_seconds)
{
    double plain = ae_pass_cost(&s->pass, replies);
    double cost = ae_pass_cost(&s->pass, replies + sent) + draft_seconds;
    if (!s->started || replies < 1) return;
    s->balance += plain * (double)(replies + held) / (double)replies - cost + ALLOWANCE * cost;
    if (s->balance > MOST_PASSES * plain) s->balance = MOST_PASSES * plain;
}

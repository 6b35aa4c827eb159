/* bench_speculate.c -- what guessing ahead gains and costs: bench_speculate MODEL [ROUNDS [DRAFT]]
 *
 * Replies to prompts that ask for quotations and to prompts that ask for free text, each with
 * guessing off and on in turn, ROUNDS (5) times, in fresh sessions. Prints tokens a second of the
 * best round of each (noise only ever slows), their ratio, the median of the rounds' ratios, and
 * how many guesses held. Fails when a reply is not the same with guessing on. */
#include "aerie/model.h"
#include "aerie/session.h"
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROUNDS = 100, MAX_TOKENS = 200 };

#define HARBOUR                                                                                    \
    "The harbour of Old Wexley was built in 1742 by the engineer Thomas Arden, who had learned "   \
    "his trade on the canals of the Low Countries. Two stone piers, each four hundred feet long, " \
    "hold back the winter swell, and a wooden crane from 1811 still stands at the end of the "     \
    "northern one. In the great storm of 1859 the southern pier lost its lighthouse, and for "     \
    "eleven years ships found their way in by the light of burning tar barrels. The present "      \
    "lighthouse, of red brick, was lit for the first time on the second of March 1870. Fishing "   \
    "declined after the railway came, but the harbour found new life with the copper trade, and "  \
    "later with the ferries to the islands."

static const struct {
    const char *name, *prompt;
    float temperature;
} cases[] = {
    { "quote, greedy", "Repeat the text word for word, then summarise it.\n\n" HARBOUR, 0 },
    { "quote, sampled", "Summarise the text and quote its most important sentences.\n\n" HARBOUR,
      0.8f },
    { "free, greedy", "Write a story about a fox who learns to sail.", 0 },
    { "free, sampled", "Write a story about a fox who learns to sail.", 0.8f },
    { "free, sampled", "Why do people like music? Give your own opinion.", 0.8f },
};

typedef struct {
    double off, on; /* seconds a token */
    int64_t tokens, drafted, accepted;
} round_result;

static bool keep_text(void *user, const char *text, size_t len)
{
    ae_bytes_add(user, text, len);
    return true;
}

static aerie_status reply(aerie_model *m, size_t i, uint64_t seed,
                          const aerie_session_options *options, ae_bytes *text,
                          aerie_reply_stats *stats, aerie_error *err)
{
    aerie_session *s = NULL;
    aerie_sampling sampling = aerie_sampling_default();
    aerie_message message = { "user", cases[i].prompt };
    sampling.temperature = cases[i].temperature;
    sampling.seed = seed;
    aerie_status status = aerie_session_open(&s, m, options, err);
    if (!status)
        status =
            aerie_session_chat(s, &message, 1, &sampling, MAX_TOKENS, keep_text, text, stats, err);
    aerie_session_close(s);
    return status;
}

static aerie_status run_round(aerie_model *m, aerie_model *draft, size_t i, uint64_t seed,
                              round_result *out, aerie_error *err)
{
    ae_bytes off = { 0 }, on = { 0 };
    aerie_reply_stats s_off, s_on;
    aerie_session_options plain = { .speculate = AERIE_SPECULATE_OFF };
    aerie_session_options ahead = { .draft = draft };
    aerie_status status = reply(m, i, seed, &plain, &off, &s_off, err);
    if (!status) status = reply(m, i, seed, &ahead, &on, &s_on, err);
    if (!status && !ae_span_equal(ae_span_of(&off), ae_span_of(&on)))
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: guessing ahead has changed the reply",
                            cases[i].name);
    if (!status)
        *out = (round_result){ .off = s_off.reply_seconds / (double)s_off.reply_tokens,
                               .on = s_on.reply_seconds / (double)s_on.reply_tokens,
                               .tokens = s_on.reply_tokens,
                               .drafted = s_on.drafted_tokens,
                               .accepted = s_on.accepted_tokens };
    ae_bytes_free(&off);
    ae_bytes_free(&on);
    return status;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_case(size_t i, const round_result *r, int rounds)
{
    double off = r[0].off, on = r[0].on, ratios[MOST_ROUNDS];
    for (int k = 0; k < rounds; k++) {
        if (r[k].off < off) off = r[k].off;
        if (r[k].on < on) on = r[k].on;
        ratios[k] = r[k].off / r[k].on;
    }
    qsort(ratios, (size_t)rounds, sizeof *ratios, by_size);
    const round_result *last = &r[rounds - 1];
    printf("%-15s %4lld tokens  off %8.2f  on %8.2f tokens/s  x%.3f  median x%.3f  %lld of %lld "
           "guesses right\n",
           cases[i].name, (long long)last->tokens, 1 / off, 1 / on, off / on, ratios[rounds / 2],
           (long long)last->accepted, (long long)last->drafted);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    aerie_error err = { 0 };
    aerie_model *m = NULL, *draft = NULL;
    static round_result results[MOST_ROUNDS];
    int rounds = argc > 2 ? atoi(argv[2]) : 5;
    if (argc < 2 || rounds < 1 || rounds > MOST_ROUNDS) {
        fprintf(stderr, "usage: bench_speculate MODEL [ROUNDS [DRAFT]]\n");
        return 2;
    }
    aerie_status status = aerie_model_open(&m, argv[1], NULL, &err);
    if (!status && argc > 3) status = aerie_model_open(&draft, argv[3], NULL, &err);
    for (size_t i = 0; i < AE_COUNT(cases) && !status; i++) {
        printf("seed %zu  ", 42 + i);
        for (int k = 0; k < rounds && !status; k++)
            status = run_round(m, draft, i, 42 + i, &results[k], &err);
        if (!status) print_case(i, results, rounds);
    }
    aerie_model_close(draft);
    aerie_model_close(m);
    if (status) fprintf(stderr, "bench_speculate: %s\n", err.message);
    return status != AERIE_OK;
}

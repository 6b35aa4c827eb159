/* test_nursery.c -- the small world: seeds decide it, its splits don't meet, and the checker gives
 * what its comments promise. */
#include "nursery.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEED = 20240607, N_TASKS = 1500 };

static char *documents(uint64_t seed)
{
    nu_chance c = nu_chance_seed(seed, "text");
    nu_text all = { 0 };

    for (int i = 0; i < 300; i++) nu_corpus_document(&all, &c);
    return all.data;
}

static void a_seed_decides_the_text(void **state)
{
    char *one = documents(SEED), *again = documents(SEED), *other = documents(SEED + 1);

    (void)state;
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    free(one);
    free(again);
    free(other);
}

/* Calls f for tasks of every scored kind and both splits. */
static void each_task(void (*f)(const nu_task *t, nu_split split))
{
    nu_chance c = nu_chance_seed(SEED, "test");

    print_message("seed %d\n", SEED);
    for (size_t k = 0; k < nu_n_kinds; k++)
        for (int i = 0; nu_kinds[k].score && i < N_TASKS; i++) {
            nu_split split = i % 2 ? NU_TRAIN : NU_HELDOUT;
            nu_task t;
            nu_task_make(&t, &nu_kinds[k], &c, split);
            f(&t, split);
            nu_task_free(&t);
        }
}

static void check_scores(const nu_task *t, nu_split split)
{
    double good = nu_task_score(t->kind, t->check, t->good.data);
    double flawed = nu_task_score(t->kind, t->check, t->flawed.data);

    (void)split;
    if (fabs(good - 1) > 1e-9 || flawed > 0.95 || flawed < 0)
        fail_msg("%s: good %.2f '%s', flawed %.2f '%s' to: %s", t->kind, good, t->good.data, flawed,
                 t->flawed.data, t->user.data);
}

static void good_replies_score_one_and_flawed_less(void **state)
{
    (void)state;
    each_task(check_scores);
}

static void check_text(const char *text, nu_split other)
{
    char first[64], last[64];

    for (int used; *text; text += used ? used : 1) {
        used = 0;
        if (sscanf(text, "%63[A-Za-z]%n %63[A-Za-z]", first, &used, last) != 2) continue;
        if (nu_words_is_name(first, last, other))
            fail_msg("'%s %s' is a name of the other split", first, last);
    }
}

/* No name of one split in the other's prompts or replies. */
static void check_names(const nu_task *t, nu_split split)
{
    nu_split other = split == NU_TRAIN ? NU_HELDOUT : NU_TRAIN;

    check_text(nu_text_str(&t->system), other);
    check_text(t->user.data, other);
    check_text(t->good.data, other);
}

/* What an instruction joins: the topic with the word, the first key with the last. */
static void check_pairs(const nu_task *t, nu_split split)
{
    const char *topic = nu_task_string(t->check, "topic"), *word = nu_task_string(t->check, "word");

    if (*topic && *word) assert_true(nu_words_allowed(split, topic, word));
    if (strcmp(t->kind, "json") == 0) {
        const char *key, *first = NULL, *last = NULL;
        json_t *value;
        json_object_foreach(json_object_get(t->check, "values"), key, value)
        {
            if (!first) first = key;
            last = key;
        }
        assert_true(nu_words_allowed(split, first, last));
    }
}

static void check_split(const nu_task *t, nu_split split)
{
    check_names(t, split);
    check_pairs(t, split);
}

static void splits_do_not_meet(void **state)
{
    (void)state;
    each_task(check_split);
    for (size_t i = 0; i < nu_n_topics; i++)
        for (int k = 0; k < NU_TOPIC_FACTS; k++) {
            const char *a = nu_topics[i].word, *b = nu_topics[i].keys[k];
            assert_true(nu_words_allowed(NU_TRAIN, a, b) != nu_words_allowed(NU_HELDOUT, a, b));
        }
}

typedef struct {
    const char *kind, *check, *reply;
    double score;
} example;

static const example examples[] = {
    { "context", "{\"answer\":\"park\",\"wrong\":[\"cave\",\"Tom\"]}", "Ada is in the park.", 1 },
    { "context", "{\"answer\":\"park\",\"wrong\":[\"cave\",\"Tom\"]}", "The park or the cave.",
      0.3 },
    { "context", "{\"answer\":\"park\",\"wrong\":[\"cave\"]}", "The text does not say.", 0 },
    { "context", "{\"answer\":\"park\",\"wrong\":[\"cave\"]}", "Ada is in the parks.", 0 },
    { "context", "{\"answer\":\"\",\"wrong\":[\"cave\"]}", "The text does not say.", 1 },
    { "context", "{\"answer\":\"\",\"wrong\":[\"cave\"]}", "In the cave. The text does not say.",
      0 },
    { "bullets", "{\"count\":2,\"category\":\"fruits\"}", "- fig\n- plum", 1 },
    { "bullets", "{\"count\":2,\"category\":\"fruits\"}", "- Fig\n- fig", 0.75 },
    { "bullets", "{\"count\":2,\"category\":\"fruits\"}", "- fig\n- plum\n- pear", 1.0 / 3 + 0.5 },
    { "bullets", "{\"count\":2,\"category\":\"fruits\"}", "fig and plum", 0 },
    { "bullets", "{\"count\":2,\"category\":\"fruits\"}", "Here:\n- fig\n- dog", 1.0 / 3 + 0.25 },
    { "bullets", "{\"count\":2,\"items\":[\"map\",\"pen\"]}", "- pen\n- map", 1 },
    { "json", "{\"values\":{\"name\":\"Ada\",\"job\":\"baker\"}}",
      "{\"job\": \"baker\", \"name\": \"Ada\"}", 1 },
    { "json", "{\"values\":{\"name\":\"Ada\",\"job\":\"baker\"}}", "{\"name\":\"Ada\"}", 0.7 },
    { "json", "{\"values\":{\"name\":\"Ada\",\"job\":\"baker\"}}",
      "{\"name\":\"Ada\",\"job\":\"cook\"}", 0.85 },
    { "json", "{\"values\":{\"name\":\"Ada\"}}", "Here: {\"name\":\"Ada\"}", 0 },
    { "json", "{\"values\":{\"name\":\"Ada\"}}", "[\"Ada\"]", 0 },
    { "use", "{\"topic\":\"dog\",\"word\":\"river\"}", "The dog is in the river.", 1 },
    { "use", "{\"topic\":\"dog\",\"word\":\"river\"}", "The dog is in the barn.", 0.4 },
    { "use", "{\"topic\":\"dog\",\"word\":\"river\"}", "river", 0.6 },
    { "avoid", "{\"topic\":\"cow\",\"word\":\"milk\"}", "A cow eats grass.", 1 },
    { "avoid", "{\"topic\":\"cow\",\"word\":\"milk\"}", "A cow gives Milk.", 0.4 },
    { "avoid", "{\"topic\":\"cow\",\"word\":\"milk\"}", "It is big.", 0 },
    { "end", "{\"topic\":\"cow\",\"phrase\":\"Bye, all.\"}", "A cow is big. Bye, all.", 1 },
    { "end", "{\"topic\":\"cow\",\"phrase\":\"Bye, all.\"}", "Bye, all. A cow is big.", 0.3 },
    { "end", "{\"topic\":\"cow\",\"phrase\":\"Bye, all.\"}", "Bye, all.", 0.6 },
    { "system", "{\"rule\":\"begin\",\"text\":\"Well.\",\"content\":\"cow\"}",
      "Well. A cow is big.", 1 },
    { "system", "{\"rule\":\"begin\",\"text\":\"Well.\",\"content\":\"cow\"}", "A cow is big.",
      0.4 },
    { "system", "{\"rule\":\"one word\",\"text\":\"park\",\"content\":\"park\"}", "park", 1 },
    { "system", "{\"rule\":\"never\",\"text\":\"big\",\"content\":\"cow\"}", "A cow is big.", 0.4 },
    { "system", "{\"rule\":\"name\",\"text\":\"Ada\",\"content\":\"cow\"}", "Hello Ada.", 0.2 },
};

static void hand_made_replies_score_as_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const example *e = &examples[i];
        json_t *check = json_loads(e->check, 0, NULL);
        double score = nu_task_score(e->kind, check, e->reply);
        if (fabs(score - e->score) > 1e-9)
            fail_msg("%s: '%s' scores %.3f, not %.3f", e->kind, e->reply, score, e->score);
        assert_true(nu_task_score(e->kind, check, " \n") == 0);
        json_decref(check);
    }
}

/* A model against itself gains exactly nothing; against a better one, more than nothing. */
static void bootstrap_is_paired(void **state)
{
    double a[200], b[200];
    const double *scores[3] = { a, a, b };
    const size_t starts[3] = { 0, 0, 1 };
    nu_interval means[3], gains[3];
    nu_chance c = nu_chance_seed(SEED, "bootstrap test");

    (void)state;
    for (int i = 0; i < 200; i++) {
        a[i] = (double)nu_chance_below(&c, 100) / 100;
        b[i] = a[i] + 0.125;
    }
    nu_bootstrap(means, gains, scores, starts, 3, 200, 1000, SEED);
    assert_true(gains[1].low == 0 && gains[1].high == 0);
    assert_true(fabs(gains[2].low - 0.125) < 1e-9 && fabs(gains[2].high - 0.125) < 1e-9);
    assert_true(means[0].low < means[0].high && means[0].high - means[0].low < 0.12);
}

static void equal_scores_share_a_rank(void **state)
{
    static const double scores[] = { 0.5, 1, 0.5, 1, 0, 0.5 };
    static const size_t wanted[] = { 3, 1, 3, 1, 6, 3 };
    size_t ranks[6];

    (void)state;
    assert_int_equal(nu_rank(ranks, scores, 6), 1 + 3);
    for (int i = 0; i < 6; i++) assert_int_equal(ranks[i], wanted[i]);
    assert_int_equal(nu_rank(ranks, scores, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_decides_the_text),
        cmocka_unit_test(good_replies_score_one_and_flawed_less),
        cmocka_unit_test(splits_do_not_meet),
        cmocka_unit_test(hand_made_replies_score_as_told),
        cmocka_unit_test(bootstrap_is_paired),
        cmocka_unit_test(equal_scores_share_a_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_reward_scores.c -- scores without a tape: those of transformers, however the replies are
 * spread over rows and threads. */
#include "infer/reward.h"

#include "scratch.h"

#include <jansson.h>
#include <math.h>

#define REWARD "test/golden/reward"

enum { MOST = 128 };

typedef struct {
    int32_t ids[MOST], reply_n[8];
    ae_replies replies;
} document;

static int64_t add(document *d, int64_t at, const json_t *ids)
{
    const json_t *id;
    size_t i;

    json_array_foreach(ids, i, id) d->ids[at++] = (int32_t)json_integer_value(id);
    return at;
}

static void read_document(document *d, const json_t *facts, size_t which)
{
    const json_t *o = json_array_get(json_object_get(facts, "documents"), which), *reply;
    int64_t at = add(d, 0, json_object_get(o, "prompt")), n = 0;
    size_t k;

    d->replies = (ae_replies){ d->ids, at, d->reply_n, 0 };
    json_array_foreach(json_object_get(o, "replies"), k, reply)
    {
        int64_t end = add(d, at, reply);
        d->reply_n[n++] = (int32_t)(end - at);
        at = end;
    }
    d->replies.n_replies = n;
}

static void scores_of(float out[MOST], const document *d, const ae_model *m, int64_t max_tokens,
                      int threads)
{
    ae_device *device;
    ae_arena arena = { 0 };
    aerie_error err = { 0 };

    assert_int_equal(ae_device_open(&device, AE_CPU_AUTO, threads, NULL), AERIE_OK);
    if (ae_reward_scores(out, &d->replies, max_tokens, device, ae_model_net(m), &arena, &err))
        fail_msg("%s", err.message);
    ae_arena_free(&arena);
    device->close(device);
}

static void test_scores(void **state)
{
    json_t *facts = json_load_file(REWARD "/golden.json", 0, NULL);
    ae_model *m = NULL;
    (void)state;

    assert_non_null(facts);
    assert_int_equal(ae_model_open(&m, REWARD, NULL), AERIE_OK);
    for (size_t i = 0; i < 2; i++) {
        const json_t *want = json_array_get(json_object_get(facts, "scores"), i);
        float whole[MOST], split[MOST];
        document d;
        read_document(&d, facts, i);
        int64_t n = ae_replies_tokens(&d.replies);
        scores_of(whole, &d, m, 0, 1);
        for (int64_t k = 0; k < d.replies.n_replies; k++) {
            const json_t *list = json_array_get(want, (size_t)k);
            double last = json_number_value(json_array_get(list, json_array_size(list) - 1));
            assert_true(fabs((double)whole[ae_replies_last(&d.replies, k)] - last) < 2e-6);
        }
        for (int64_t most = 1; most <= n; most += 3) {
            scores_of(split, &d, m, most, 3);
            assert_memory_equal(split, whole, (size_t)n * sizeof *whole);
        }
    }
    ae_model_close(m);
    json_decref(facts);
}

/* Memory that runs out is a status, and nothing is left behind. */
static void test_out_of_memory(void **state)
{
    json_t *facts = json_load_file(REWARD "/golden.json", 0, NULL);
    ae_model *m = NULL;
    ae_device *device;
    float out[MOST], want[MOST];
    bool failed = true;
    int told = 0;
    document d;
    (void)state;

    assert_int_equal(ae_model_open(&m, REWARD, NULL), AERIE_OK);
    assert_int_equal(ae_device_open(&device, AE_CPU_AUTO, 2, NULL), AERIE_OK);
    read_document(&d, facts, 0);
    int64_t n_tokens = ae_replies_tokens(&d.replies);
    scores_of(want, &d, m, 0, 1);
    size_t before = ae_alloc_bytes();
    for (long n = 1; failed; n++) {
        ae_arena arena = { 0 };
        aerie_error err = { 0 };
        ae_alloc_fail_at(n);
        aerie_status status =
            ae_reward_scores(out, &d.replies, 12, device, ae_model_net(m), &arena, &err);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        ae_arena_free(&arena);
        assert_true(failed || !status);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        told += status != AERIE_OK;
        if (!status) assert_memory_equal(out, want, (size_t)n_tokens * sizeof *out);
        assert_int_equal(ae_alloc_bytes(), before);
    }
    assert_true(told > 0);
    device->close(device);
    ae_model_close(m);
    json_decref(facts);
}

/* A reply without a token is scored where the prompt ends. */
static void test_empty_reply(void **state)
{
    static const int32_t ids[5] = { 3, 1, 4, 1, 5 }, reply_n[3] = { 0, 2, 0 };
    const ae_replies r = { ids, 3, reply_n, 3 };
    (void)state;

    assert_int_equal(ae_replies_tokens(&r), 5);
    assert_int_equal(ae_replies_last(&r, 0), 2);
    assert_int_equal(ae_replies_last(&r, 1), 4);
    assert_int_equal(ae_replies_last(&r, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_empty_reply),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

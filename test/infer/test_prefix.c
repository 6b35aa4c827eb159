/* The prefix cache: replies are what they are without it, less is computed, and no more is kept
 * than was allowed. Seeds: 1 (weights), 5 (prompts). */
#include "infer/infer.h"
#include "infer/prefix.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PROMPTS = 40, MAX_PROMPT = 400, MAX_NEW = 24, MAX_REPLIES = 3, LOTS = 100000 };

typedef struct {
    ae_device *device;
    ae_model *whole, *windowed;
    int32_t prompts[N_PROMPTS][MAX_PROMPT];
    int64_t lengths[N_PROMPTS];
} world;

typedef struct {
    int32_t ids[N_PROMPTS][MAX_REPLIES][MAX_NEW];
    int n[N_PROMPTS][MAX_REPLIES];
} replies;

static aerie_status random_model(ae_model **out, const char *window, aerie_error *err)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "config.json"), text[512];
    snprintf(text, sizeof text,
             "{\"architectures\":[\"MistralForCausalLM\"],\"model_type\":\"mistral\","
             "\"hidden_size\":32,\"intermediate_size\":48,\"num_hidden_layers\":2,"
             "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":97,"
             "\"max_position_embeddings\":512,\"rope_theta\":10000.0,\"rms_norm_eps\":1e-05,"
             "\"sliding_window\":%s,\"hidden_act\":\"silu\",\"tie_word_embeddings\":true}",
             window);
    aerie_status status = ae_file_write(path, text, strlen(text), err);
    if (!status) status = ae_model_random(out, folder, 1, err);
    ae_free(path);
    scratch_remove(folder);
    return status;
}

/* Three preambles, one long; some prompts begin another prompt, and some are the same. */
static void make_prompts(world *w)
{
    static const int64_t preambles[] = { 70, 130, 300 };
    ae_rng rng;
    ae_rng_seed(&rng, 5);
    for (int i = 0; i < N_PROMPTS; i++) {
        int64_t n = i < 3 ? preambles[i] : w->lengths[i % 3];
        for (int64_t j = 0; j < n; j++)
            w->prompts[i][j] = i < 3 ? (int32_t)ae_rng_below(&rng, 97) : w->prompts[i % 3][j];
        int64_t end = n + (i < 3 || i % 10 == 9 ? 0 : (int64_t)ae_rng_below(&rng, 80));
        for (; n < end; n++) w->prompts[i][n] = (int32_t)ae_rng_below(&rng, 97);
        w->lengths[i] = n;
    }
}

static int set_up(void **state)
{
    static world w;
    aerie_error err = { 0 };
    if (ae_device_open(&w.device, AE_CPU_AUTO, 2, &err) || random_model(&w.whole, "null", &err) ||
        random_model(&w.windowed, "20", &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    make_prompts(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    ae_model_close(w->whole);
    ae_model_close(w->windowed);
    w->device->close(w->device);
    return 0;
}

static bool keep(void *user, int64_t request, int64_t reply, int32_t id)
{
    replies *r = user;
    r->ids[request][reply][r->n[request][reply]++] = id;
    return true;
}

static ae_request request_of(const world *w, int i, int64_t n_replies)
{
    return (ae_request){ .prompt = w->prompts[i],
                         .n_prompt = w->lengths[i],
                         .n_replies = n_replies,
                         .max_tokens = 3 + i % (MAX_NEW - 3),
                         .seed = (uint64_t)i,
                         .sampling = { .temperature = i % 3 ? 0.5f : 0.0f, .top_k = 50 } };
}

static ae_engine *open_engine(const world *w, const ae_model *m, ae_engine_options o)
{
    aerie_error err = { 0 };
    ae_engine *e = NULL;
    o.device = w->device;
    o.net = ae_model_net(m);
    assert_int_equal(ae_engine_open(&e, &o, &err), AERIE_OK);
    return e;
}

static ae_engine_stats run_all(ae_engine *e, const world *w, int64_t n_replies, replies *out)
{
    aerie_error err = { 0 };
    ae_engine_stats stats = { 0 };
    static ae_request requests[N_PROMPTS];
    ae_engine_events events = { .user = out, .token = keep };
    memset(out, 0, sizeof *out);
    for (int i = 0; i < N_PROMPTS; i++) requests[i] = request_of(w, i, n_replies);
    aerie_status status = ae_engine_run(e, requests, N_PROMPTS, &events, &stats, &err);
    if (status) fail_msg("%s", err.message);
    return stats;
}

static int64_t tokens_of_all(const world *w)
{
    int64_t n = 0;
    for (int i = 0; i < N_PROMPTS; i++) n += w->lengths[i];
    return n;
}

static void replies_are_what_they_are_without_it(void **state)
{
    const world *w = *state;
    static replies plain, other;
    static const int64_t shapes[][2] = { { 512, 3 }, { 64, 16 }, { 33, 32 } };
    static const int64_t bounds[] = { 150, 900, LOTS };
    static const ae_dtype types[] = { AE_F32, AE_F16 };
    for (int m = 0; m < 2; m++)
        for (size_t t = 0; t < AE_COUNT(types); t++)
            for (int64_t n = 1; n <= MAX_REPLIES; n += 2) {
                const ae_model *model = m ? w->windowed : w->whole;
                ae_engine *e = open_engine(w, model, (ae_engine_options){ .kv_type = types[t] });
                assert_int_equal(run_all(e, w, n, &plain).reused, 0);
                ae_engine_close(e);
                for (size_t i = 0; i < AE_COUNT(shapes); i++) {
                    e = open_engine(w, model,
                                    (ae_engine_options){ .kv_type = types[t],
                                                         .max_batch = shapes[i][0],
                                                         .max_sequences = shapes[i][1],
                                                         .speculate_always = i == 1,
                                                         .prefix_cache_positions = bounds[i] });
                    for (int again = 0; again < 2; again++) {
                        ae_engine_stats stats = run_all(e, w, n, &other);
                        assert_memory_equal(&plain, &other, sizeof plain);
                        assert_int_equal(stats.reused + stats.prompt_tokens, tokens_of_all(w));
                        if (!m && bounds[i] == LOTS) assert_true(stats.reused > 5000);
                    }
                    ae_engine_close(e);
                }
            }
}

/* However many requests come at once, a preamble is computed once. */
static void a_preamble_is_computed_once(void **state)
{
    const world *w = *state;
    static replies r;
    int64_t new_tokens = 0;
    ae_engine *e = open_engine(w, w->whole, (ae_engine_options){ .prefix_cache_positions = LOTS });
    ae_engine_stats stats = run_all(e, w, 1, &r);
    for (int i = 0; i < N_PROMPTS; i++)
        new_tokens += i < 3 ? w->lengths[i] : ae_max64(w->lengths[i] - w->lengths[i % 3], 1);
    assert_in_range(stats.prompt_tokens, 1, new_tokens);
    stats = run_all(e, w, 1, &r);
    assert_int_equal(stats.prompt_tokens, N_PROMPTS); /* the last token of each */
    ae_engine_close(e);
}

/* What a window let go of cannot be lent: the beginning of a long text, but not its end. */
static void a_window_lends_what_it_holds(void **state)
{
    const world *w = *state;
    aerie_error err = { 0 };
    ae_engine *e =
        open_engine(w, w->windowed, (ae_engine_options){ .prefix_cache_positions = LOTS });
    int32_t text[MAX_PROMPT];
    memcpy(text, w->prompts[2], 300 * sizeof *text);
    static const struct {
        int64_t n, reused;
    } steps[] = { { 300, 0 }, { 150, 0 }, { 150, 149 }, { 300, 299 } };
    for (size_t i = 0; i < AE_COUNT(steps); i++) {
        ae_engine_stats stats = { 0 };
        ae_request r = { .prompt = text, .n_prompt = steps[i].n, .max_tokens = 1 };
        assert_int_equal(ae_engine_run(e, &r, 1, NULL, &stats, &err), AERIE_OK);
        assert_int_equal(stats.reused, steps[i].reused);
    }
    ae_engine_close(e);
}

static ae_kv *filled_kv(int64_t n)
{
    aerie_error err = { 0 };
    ae_kv *kv = NULL;
    ae_kv_options o = { .shape = { AE_F32, 1, 16 }, .n_layers = 1, .capacity = n };
    int32_t pos[MAX_PROMPT], ids[MAX_PROMPT] = { 0 };
    for (int64_t i = 0; i < n; i++) pos[i] = (int32_t)i;
    assert_int_equal(ae_kv_new(&kv, &o, NULL, 0, &err), AERIE_OK);
    ae_segment segment = { .first = 0, .n = n, .parent = -1, .cache = 0 };
    ae_batch b = {
        .n_tokens = n, .ids = ids, .pos = pos, .segments = &segment, .n_segments = 1, .caches = &kv
    };
    assert_int_equal(ae_batch_reserve(&b, &err), AERIE_OK);
    ae_batch_commit(&b);
    return kv;
}

static const ae_kv *found(ae_prefixes *p, const int32_t *ids, int64_t n, int64_t *len)
{
    const ae_prefix like = { .ids = ids, .n = n };
    ae_prefix_found f = ae_prefixes_find(p, &like);
    *len = f.len;
    return f.kv;
}

static void keep_text(ae_prefixes *p, const int32_t *ids, int64_t n, ae_kv *kv)
{
    const ae_prefix text = { .ids = ids, .n = n };
    ae_prefixes_keep(p, &text, kv, NULL);
}

static void what_was_used_longest_ago_goes_first(void **state)
{
    (void)state;
    aerie_error err = { 0 };
    ae_prefixes *p = NULL;
    int64_t len;
    int32_t texts[5][30];
    for (int t = 0; t < 5; t++)
        for (int i = 0; i < 30; i++) texts[t][i] = i < 10 ? i : 100 * t + i;
    assert_int_equal(ae_prefixes_open(&p, 90, &err), AERIE_OK);
    assert_null(found(p, texts[0], 30, &len));
    for (int t = 0; t < 3; t++) keep_text(p, texts[t], 30, filled_kv(30));
    assert_int_equal(ae_prefixes_held(p), 90);
    assert_non_null(found(p, texts[0], 30, &len));
    assert_int_equal(len, 30);
    keep_text(p, texts[3], 30, filled_kv(30)); /* text 1 goes */
    assert_int_equal(ae_prefixes_held(p), 90);
    assert_non_null(found(p, texts[1], 30, &len));
    assert_int_equal(len, 10);
    assert_non_null(found(p, texts[2], 30, &len));
    assert_int_equal(len, 30);

    keep_text(p, texts[2], 20, filled_kv(20)); /* a longer one covers it */
    assert_int_equal(ae_prefixes_held(p), 90);
    keep_text(p, texts[4], 20, filled_kv(20));
    assert_int_equal(ae_prefixes_held(p), 80);
    keep_text(p, texts[4], 30, filled_kv(30)); /* takes its place */
    assert_int_equal(ae_prefixes_held(p), 90);
    keep_text(p, texts[4], 91, filled_kv(91)); /* more than fits */
    assert_int_equal(ae_prefixes_held(p), 90);
    ae_prefixes_close(p);
}

static ae_chance *chances_of(const int32_t *ids, int64_t n, int tops)
{
    ae_chance *list = ae_alloc((size_t)((n - 1) * tops), sizeof *list);
    for (int64_t i = 0; i < (n - 1) * tops; i++)
        list[i] = (ae_chance){ i % tops ? -1 : ids[1 + i / tops], -1 };
    return list;
}

/* Texts of two kinds share nothing, a dear one counts for more, and one that tells less of its
 * tokens than is wanted is passed over. */
static void texts_are_of_their_kind(void **state)
{
    (void)state;
    aerie_error err = { 0 };
    ae_prefixes *p = NULL;
    int32_t ids[30], other[30];
    for (int i = 0; i < 30; i++) ids[i] = i, other[i] = i < 20 ? i : 2 * i;
    assert_int_equal(ae_prefixes_open(&p, 90, &err), AERIE_OK);
    ae_prefix t = { .ids = ids, .n = 30 }, like = { .ids = other, .n = 30 };
    ae_prefixes_keep(p, &t, filled_kv(30), NULL);
    assert_int_equal(ae_prefixes_find(p, &like).len, 20);
    like.kind = 1;
    assert_null(ae_prefixes_find(p, &like).kv);
    like.kind = 0, like.tops = 1;
    assert_null(ae_prefixes_find(p, &like).kv);
    t.tops = 2;
    ae_prefixes_keep(p, &t, filled_kv(30), chances_of(ids, 30, 2)); /* in the place of the other */
    assert_int_equal(ae_prefixes_held(p), 30);
    ae_prefix_found f = ae_prefixes_find(p, &like);
    /* The token after the beginning is the same as well. */
    assert_int_equal(f.len, 19);
    assert_int_equal(f.tops, 2);
    assert_int_equal(f.chances[18 * 2].id, 19);
    like.ids = ids;
    assert_int_equal(ae_prefixes_find(p, &like).len, 29);
    like.tops = 3;
    assert_null(ae_prefixes_find(p, &like).kv);
    t = (ae_prefix){ .ids = other, .n = 30, .kind = 1, .cost = 2 };
    ae_prefixes_keep(p, &t, filled_kv(30), NULL);
    assert_int_equal(ae_prefixes_held(p), 90);
    t.kind = 2;
    ae_prefixes_keep(p, &t, filled_kv(30), NULL); /* both others go */
    assert_int_equal(ae_prefixes_held(p), 60);
    ae_prefixes_close(p);
}

/* A thousand texts that branch from one another: each is found again, as long as any other text
 * goes, and what they share is counted once. Seed 9. */
static void many_branches_are_found(void **state)
{
    enum { TEXTS = 1000, STEM = 128 };
    (void)state;
    static int32_t texts[TEXTS][MAX_PROMPT];
    static int64_t lengths[TEXTS];
    aerie_error err = { 0 };
    ae_prefixes *p = NULL;
    ae_kv *stem = filled_kv(STEM);
    ae_kv_options o = { .shape = { AE_F32, 1, 16 }, .n_layers = 1, .capacity = STEM };
    ae_rng rng;
    int64_t len, total = 0;
    ae_rng_seed(&rng, 9);
    assert_int_equal(ae_prefixes_open(&p, LOTS, &err), AERIE_OK);
    for (int t = 0; t < TEXTS; t++) {
        ae_kv *kv;
        int64_t n = lengths[t] = 1 + (int64_t)ae_rng_below(&rng, STEM);
        for (int64_t i = 0; i < n; i++)
            texts[t][i] = i < n / 2 ? 1 : (int32_t)ae_rng_below(&rng, 3);
        assert_int_equal(ae_kv_new(&kv, &o, stem, n, &err), AERIE_OK);
        keep_text(p, texts[t], n, kv);
        total += n;
    }
    /* All of them share the stem's pages; neighbours know of each other alone. */
    assert_in_range(ae_prefixes_held(p), STEM / 2, total / 2);
    for (int t = 0; t < TEXTS; t++) {
        int64_t longest = 0, cut = lengths[t] - (int64_t)ae_rng_below(&rng, (uint64_t)lengths[t]);
        for (int u = 0; u < TEXTS; u++)
            longest = ae_max64(longest, ae_prefixes_common(texts[u], lengths[u], texts[t], cut));
        found(p, texts[t], cut, &len);
        assert_int_equal(len, longest);
        texts[t][cut / 2] ^= 1; /* and what is not there is found as far as something is */
        int64_t held = 0;
        found(p, texts[t], cut, &held);
        texts[t][cut / 2] ^= 1;
        assert_true(held >= cut / 2);
    }
    ae_prefixes_close(p);
    ae_kv_free(stem);
}

/* The n-th allocation fails, n = 1, 2, ... A reply that came all the same is the right one. */
static void running_out_of_memory_changes_no_reply(void **state)
{
    const world *w = *state;
    replies *right = calloc(1, sizeof *right), *got = calloc(1, sizeof *got);
    for (long n = 0;; n++) {
        aerie_error err = { 0 };
        ae_engine *e = NULL;
        ae_engine_events events = { .user = got, .token = keep };
        ae_engine_options o = { .device = w->device,
                                .net = ae_model_net(w->whole),
                                .prefix_cache_positions = n ? LOTS : 0 };
        ae_request requests[] = { request_of(w, 0, 1), request_of(w, 3, 2), request_of(w, 6, 1) };
        memset(got, 0, sizeof *got);
        ae_alloc_fail_at(n);
        aerie_status status = ae_engine_open(&e, &o, &err);
        if (!status) status = ae_engine_run(e, requests, 3, &events, NULL, &err);
        bool failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        ae_engine_close(e);
        if (n == 0) memcpy(right, got, sizeof *right);
        if (status) assert_int_equal(status, AERIE_NO_MEMORY);
        if (!status) assert_memory_equal(got, right, sizeof *right);
        if (n > 0 && !failed) {
            assert_int_equal(status, AERIE_OK);
            assert_true(n > 20);
            break;
        }
    }
    free(right);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_what_they_are_without_it),
        cmocka_unit_test(a_preamble_is_computed_once),
        cmocka_unit_test(a_window_lends_what_it_holds),
        cmocka_unit_test(what_was_used_longest_ago_goes_first),
        cmocka_unit_test(texts_are_of_their_kind),
        cmocka_unit_test(many_branches_are_found),
        cmocka_unit_test(running_out_of_memory_changes_no_reply),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

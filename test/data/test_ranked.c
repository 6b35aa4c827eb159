/* test_ranked.c -- several replies to one prompt: which ranks they have, how they branch, what is
 * cut. */
#include "data/encode.h"
#include "data/files.h"
#include "data/tiny_vocab.h"

static const char answers[] =
    "{\"prompt\":\"Hi x\",\"responses\":[{\"text\":\"good\",\"score\":0.25},{\"text\":\"xy\","
    "\"score\":0.75},{\"text\":\"y\",\"score\":0.25},{\"text\":\"no, never\",\"score\":0}]}";

static data_file open_ranked(const char *text, ae_dataset_options options)
{
    options.kind = AE_EXAMPLE_RANKED;
    data_file f = data_open_as("r.jsonl", text, &options);
    if (f.status) fail_msg("%s", f.err.message);
    return f;
}

static void assert_replies(const data_file *f, size_t i, const char *replies, const char *ranks)
{
    ae_example e = ae_dataset_at(f->dataset, i);
    json_t *texts = json_array(), *reply;
    size_t k;

    assert_int_equal(e.kind, AE_EXAMPLE_RANKED);
    json_array_foreach(e.replies, k, reply)
        json_array_append(texts, json_object_get(json_array_get(reply, 0), "content"));
    assert_messages(texts, replies);
    assert_messages(e.ranks, ranks);
    json_decref(texts);
}

/* Best first, tied ones in the row's order and with one rank; asked for fewer, the best and the
 * worst stay; unranked, the row's order. */
static void ranks(void **state)
{
    data_file f = open_ranked(answers, (ae_dataset_options){ 0 });
    (void)state;
    assert_string_equal(ae_dataset_shape(f.dataset), "responses");
    assert_replies(&f, 0, "[\"xy\",\"good\",\"y\",\"no, never\"]", "[1,2,2,4]");
    data_close(&f);
    f = open_ranked(answers, (ae_dataset_options){ .max_answers = 3 });
    assert_replies(&f, 0, "[\"xy\",\"y\",\"no, never\"]", "[1,2,4]");
    data_close(&f);
    f = open_ranked(answers, (ae_dataset_options){ .max_answers = 2 });
    assert_replies(&f, 0, "[\"xy\",\"no, never\"]", "[1,4]");
    data_close(&f);
    f = open_ranked(answers, (ae_dataset_options){ .unranked = true, .max_answers = 2 });
    assert_replies(&f, 0, "[\"good\",\"xy\",\"y\",\"no, never\"]", "[2,1,2,4]");
    data_close(&f);
    f = open_ranked(answers,
                    (ae_dataset_options){ .ranked_pairs = true, .ranked = AE_RANKED_BEST_WORST });
    assert_replies(&f, 0, "[\"xy\",\"no, never\"]", "[1,2]");
    data_close(&f);
}

/* Every shape of pairs and of scored answers is a ranking. */
static void shapes(void **state)
{
    data_file f =
        open_ranked("{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\",\"margin\":1.5}\n"
                    "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}\n",
                    (ae_dataset_options){ 0 });
    (void)state;
    assert_replies(&f, 0, "[\"b\",\"c\"]", "[1,2]");
    assert_true(ae_dataset_at(f.dataset, 0).margin == 1.5);
    assert_true(ae_dataset_at(f.dataset, 1).margin == 0);
    data_close(&f);
    f = open_ranked(
        "{\"prompt\":\"\\n\\nHuman: a\\n\\nAssistant: \",\"answers\":[{\"answer\":\"b\","
        "\"rank\":2},{\"answer\":\"c\",\"rank\":1}]}",
        (ae_dataset_options){ 0 });
    assert_replies(&f, 0, "[\"c\",\"b\"]", "[1,2]");
    data_close(&f);
    f = open_ranked("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"responses\":[\"b\","
                    "\"c\",\"d\"],\"ranks\":[2,1,2]}\n{\"messages\":[{\"role\":\"user\","
                    "\"content\":\"a\"}],\"responses\":[\"b\",\"c\"],\"scores\":[2,2]}\n"
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"responses\":[]}",
                    (ae_dataset_options){ 0 });
    assert_int_equal(ae_dataset_len(f.dataset), 1);
    assert_int_equal(ae_dataset_left_out(f.dataset), 2); /* nothing better than another */
    assert_replies(&f, 0, "[\"c\",\"b\",\"d\"]", "[1,2,2]");
    data_close(&f);
    f = open_ranked("{\"prompt\":\"a\",\"responses\":[\"b\",\"c\"]}\n{\"prompt\":\"a\","
                    "\"responses\":[]}",
                    (ae_dataset_options){ .unranked = true });
    assert_int_equal(ae_dataset_len(f.dataset), 2);
    assert_replies(&f, 0, "[\"b\",\"c\"]", "[1,1]");
    data_close(&f);
}

static void sentences(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        { "{\"prompt\":\"a\",\"responses\":[\"b\",\"c\"]}", "no number in 'score' or 'rank'" },
        { "{\"prompt\":\"a\",\"responses\":[\"b\",{\"score\":1}]}", "item 1 of 'responses'" },
        { "{\"prompt\":\"a\",\"responses\":[{\"score\":1},7]}", "is no text" },
        { "{\"prompt\":7,\"responses\":[\"b\"],\"ranks\":[1]}", "'prompt'" },
        { "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\",\"margin\":\"much\"}",
          "'margin' is no number" },
        { "{\"prompt\":\"a\",\"response\":[\"b\"]}", "{responses: response}" },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++) {
        const ae_dataset_options options = { .kind = AE_EXAMPLE_RANKED };
        data_file f = data_open_as("r.jsonl", cases[i].text, &options);
        assert_int_not_equal(f.status, AERIE_OK);
        if (!strstr(f.err.message, cases[i].sentence)) fail_msg("%s", f.err.message);
        data_close(&f);
    }
}

typedef struct {
    ae_tokenizer *tokenizer;
    ae_template *chat_template;
    data_file file;
    ae_arena arena;
    ae_encode_options options;
    ae_sample sample;
} encoding;

static void start(encoding *e, const char *text)
{
    *e = (encoding){ .tokenizer = tiny_vocab(true) };
    assert_int_equal(ae_template_parse(&e->chat_template,
                                       ae_span_text("{% for m in messages %}{{ m.content }}"
                                                    "{% endfor %}"),
                                       NULL),
                     AERIE_OK);
    e->file = open_ranked(text, (ae_dataset_options){ .unranked = true });
    e->options =
        (ae_encode_options){ .tokenizer = e->tokenizer, .chat_template = e->chat_template };
}

static void encode(encoding *e, size_t i)
{
    ae_example example = ae_dataset_at(e->file.dataset, i);
    aerie_error err = { 0 };
    if (ae_encode(&e->sample, &example, &e->options, &e->arena, &err)) fail_msg("%s", err.message);
}

static void end(encoding *e)
{
    ae_arena_free(&e->arena);
    data_close(&e->file);
    ae_template_free(e->chat_template);
    ae_tokenizer_close(e->tokenizer);
}

/* Prompt and each reply are together what the whole conversation is as one text, although the
 * prompt's last letter joins the first of one reply. */
static void replies_branch(void **state)
{
    static const char *const whole[] = { "Hi xgood", "Hi xxy", "Hi xy", "Hi xno, never" };
    encoding e;
    int32_t at;
    (void)state;
    start(&e, answers);
    encode(&e, 0);
    const ae_sample *s = &e.sample;
    assert_int_equal(s->n_replies, 4);
    at = s->n_prompt;
    for (int k = 0; k < 4; k++) {
        ae_ids ids = { 0 };
        assert_int_equal(ae_tokenizer_encode(e.tokenizer, ae_span_text(whole[k]),
                                             AE_ENCODE_SPECIAL | AE_ENCODE_BOS, &ids, NULL, NULL),
                         AERIE_OK);
        assert_int_equal(ids.len, s->n_prompt + s->reply_n[k]);
        assert_memory_equal(ids.data, s->ids, (size_t)s->n_prompt * sizeof *s->ids);
        assert_memory_equal(ids.data + s->n_prompt, s->ids + at,
                            (size_t)s->reply_n[k] * sizeof *s->ids);
        for (int32_t i = 0; i < s->reply_n[k]; i++)
            assert_true(s->weight[at + i] == (i == s->reply_n[k] - 1));
        at += s->reply_n[k];
        ae_ids_free(&ids);
    }
    assert_int_equal(at, s->n);
    end(&e);
}

static void cutting(void **state)
{
    encoding e;
    (void)state;
    start(&e, "{\"prompt\":\"abcd\",\"responses\":[\"efghi\",\"\",\"jk\"]}\n"
              "{\"prompt\":\"abcd\",\"responses\":[]}");
    encode(&e, 0);
    int32_t prompt = e.sample.n_prompt;
    assert_int_equal(e.sample.reply_n[0], 5);
    assert_int_equal(e.sample.reply_n[1], 0); /* scored where the prompt ends */
    assert_false(e.sample.truncated);
    e.options.max_reply_length = 3;
    encode(&e, 0);
    assert_int_equal(e.sample.n_prompt, prompt);
    assert_int_equal(e.sample.reply_n[0], 3);
    assert_int_equal(e.sample.reply_n[2], 2);
    assert_true(e.sample.truncated);
    e.options.max_length = prompt; /* both lose: the prompt its beginning, to a half */
    encode(&e, 0);
    assert_int_equal(e.sample.n_prompt, prompt / 2);
    assert_int_equal(e.sample.reply_n[0], 3);
    assert_int_equal(e.sample.ids[e.sample.n_prompt - 1], 'd' - '!' + 266);
    e.options.keep = AE_CUT_END; /* nothing is left of the replies */
    encode(&e, 0);
    assert_true(e.sample.dropped);
    encode(&e, 1);
    assert_true(e.sample.dropped);
    end(&e);
}

/* A set keeps the replies' lengths and ranks, whatever allocation fails on the way. */
static void out_of_memory(void **state)
{
    encoding e;
    ae_samples set;
    (void)state;
    start(&e, answers);
    size_t bytes = ae_alloc_bytes();
    for (size_t n = 1;; n++) {
        aerie_error err = { 0 };
        ae_alloc_fail_at((long)n);
        aerie_status status = ae_samples_encode(&set, e.file.dataset, &e.options, NULL, &err);
        ae_alloc_fail_at(0);
        if (!status) break;
        assert_int_equal(status, AERIE_NO_MEMORY);
        assert_int_equal(ae_alloc_bytes(), bytes);
    }
    assert_int_equal(set.n, 1);
    assert_int_equal(set.items[0].n_replies, 4);
    assert_true(set.items[0].rank[0] == 2 && set.items[0].rank[3] == 4);
    ae_samples_free(&set);
    end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks),     cmocka_unit_test(shapes),
        cmocka_unit_test(sentences), cmocka_unit_test(replies_branch),
        cmocka_unit_test(cutting),   cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

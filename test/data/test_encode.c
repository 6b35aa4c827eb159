/* test_encode.c -- which tokens of an example are learned, and how pairs and blocks are cut. */
#include "data/encode.h"
#include "data/files.h"
#include "data/tiny_vocab.h"

typedef struct {
    ae_tokenizer *tokenizer;
    ae_template *chat_template;
    data_file file;
    ae_arena arena;
    ae_encode_options options;
    ae_sample sample;
    aerie_error err;
} encoding;

static void encode_start(encoding *e, const char *format, const char *text, ae_example_kind kind)
{
    *e = (encoding){ .tokenizer = tiny_vocab(true) };
    const char *source = ae_template_known(format) ? ae_template_known(format) : format;
    assert_int_equal(ae_template_parse(&e->chat_template, ae_span_text(source), NULL), AERIE_OK);
    e->file = data_open("e.jsonl", text, kind);
    e->options =
        (ae_encode_options){ .tokenizer = e->tokenizer, .chat_template = e->chat_template };
}

static aerie_status encode_run(encoding *e)
{
    ae_example example = ae_dataset_at(e->file.dataset, 0);
    return ae_encode(&e->sample, &example, &e->options, &e->arena, &e->err);
}

static void encode_end(encoding *e)
{
    ae_arena_free(&e->arena);
    data_close(&e->file);
    ae_template_free(e->chat_template);
    ae_tokenizer_close(e->tokenizer);
}

/* The text of tokens [from, to) with a weight of at least `least`. */
static char *text_of(encoding *e, int32_t from, int32_t to, float least)
{
    ae_bytes out = { 0 };
    for (int32_t i = from; i < to; i++)
        if (e->sample.weight[i] >= least)
            ae_tokenizer_token_bytes(e->tokenizer, e->sample.ids[i], true, &out);
    ae_bytes_add_char(&out, '\0');
    return out.data;
}

static void assert_text(encoding *e, int32_t from, int32_t to, float least, const char *expected)
{
    char *text = text_of(e, from, to, least);
    assert_string_equal(text, expected);
    ae_free(text);
}

static const char talk[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":"
    "\"Yo\"},"
    "{\"role\":\"user\",\"content\":\"Bye\"},{\"role\":\"assistant\",\"content\":\"Ciao\"}]}";

/* All that a chat loses or gains by its options is seen in the text of its learned tokens. */
static void replies_alone_are_learned(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", talk, AE_EXAMPLE_CHAT);
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_int_equal(e.sample.ids[0], TINY_BOS);
    assert_text(&e, 0, e.sample.n, 0,
                "<s> <|user|>\nHi</s>\n<|assistant|>\nYo</s>\n<|user|>\nBye</s>\n<|assistant|>\n"
                "Ciao</s>\n");
    assert_text(&e, 0, e.sample.n, 1, "Yo</s>\nCiao</s>\n");
    e.options.train_header = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_text(&e, 0, e.sample.n, 1, "<|assistant|>\nYo</s>\n<|assistant|>\nCiao</s>\n");
    encode_end(&e);
}

static void everything_can_be_learned(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", talk, AE_EXAMPLE_CHAT);
    e.options.train_on = AE_TRAIN_ON_ALL;
    e.options.empty_system = true;
    e.options.append_eos = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_true(e.sample.weight[0] == 0);
    assert_text(&e, 0, e.sample.n, 1,
                " <|system|>\n</s>\n<|user|>\nHi</s>\n<|assistant|>\nYo</s>\n<|user|>\nBye</s>\n"
                "<|assistant|>\nCiao</s>\n</s>");
    encode_end(&e);
}

/* A template that writes BOS itself gets no second one. */
static void one_bos_is_enough(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "vicuna", talk, AE_EXAMPLE_CHAT);
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_int_equal(e.sample.ids[0], TINY_BOS);
    assert_int_not_equal(e.sample.ids[1], TINY_BOS);
    assert_text(&e, 0, e.sample.n, 1, " Yo</s> Ciao</s>");
    encode_end(&e);
}

static void messages_may_have_weights(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr",
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
                 "\"content\":\"b\",\"weight\":0},{\"role\":\"user\",\"content\":\"c\"},{\"role\":"
                 "\"assistant\",\"content\":\"d\",\"weight\":0.5}]}",
                 AE_EXAMPLE_CHAT);
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_text(&e, 0, e.sample.n, 0.5f, "d</s>\n");
    assert_text(&e, 0, e.sample.n, 1, "");
    encode_end(&e);
}

/* ---- classes (C-RLFT) ---- */

static const char classed[] =
    "{\"items\":[{\"role\":\"user\",\"content\":\"Hi </s>\",\"weight\":0},{\"role\":"
    "\"assistant\",\"content\":\"Yo\",\"weight\":1}],\"condition\":\"bad\",\"system\":"
    "\"Be kind\"}";
static const ae_class classes[] = { { "good", "Good", 1 }, { "bad", "Bad", 0.1f } };
static const ae_conditions by_pieces = { .classes = classes,
                                         .n_classes = 2,
                                         .end_of_turn = "</s>" };

static int count_of(const ae_sample *s, int32_t id)
{
    int n = 0;
    for (int32_t i = 0; i < s->n; i++) n += s->ids[i] == id;
    return n;
}

/* Every piece is tokenized by itself: a space before each text, as SentencePiece begins one. What
 * a user writes is never a special token. */
static void classes_are_openchats_pieces(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", classed, AE_EXAMPLE_CHAT);
    e.options.conditions = &by_pieces;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_text(&e, 0, e.sample.n, 0,
                "<s> Be kind</s> Bad User: Hi </s></s> Bad Assistant: Yo</s>");
    assert_text(&e, 0, e.sample.n, 0.05f, " Yo</s>");
    assert_int_equal(count_of(&e.sample, TINY_EOS), 3); /* of four written */
    assert_true(e.sample.weight[e.sample.n - 1] == 0.1f);
    encode_end(&e);
}

static void weights_are_rounded_and_shared(void **state)
{
    ae_conditions c = by_pieces;
    encoding e;
    int32_t n = 0;
    double sum = 0;
    (void)state;
    encode_start(&e, "zephyr", classed, AE_EXAMPLE_CHAT);
    e.options.conditions = &c;
    c.bfloat16 = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_true(e.sample.weight[e.sample.n - 1] == 0.10009765625f);
    c.bfloat16 = false;
    c.by_message = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    for (int32_t i = 0; i < e.sample.n; i++) {
        sum += (double)e.sample.weight[i];
        n += e.sample.weight[i] != 0;
    }
    assert_true(n == 4 && sum > 0.0999999 && sum < 0.1000001); /* " ", "Y", "o" and the end */
    encode_end(&e);
}

/* With a template of one's own the class is what the system says first. */
static void classes_can_begin_the_system_message(void **state)
{
    ae_conditions c = by_pieces;
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", classed, AE_EXAMPLE_CHAT);
    e.options.conditions = &c;
    c.in_system = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_text(&e, 0, e.sample.n, 0.05f, "Yo</s>\n");
    char *text = text_of(&e, 0, e.sample.n, 0);
    assert_non_null(strstr(text, "<|system|>\nBad\nBe kind</s>"));
    ae_free(text);
    encode_end(&e);
}

static void classes_can_be_wrong(void **state)
{
    ae_conditions c = by_pieces;
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", classed, AE_EXAMPLE_CHAT);
    e.options.conditions = &c;
    c.n_classes = 1;
    assert_int_equal(encode_run(&e), AERIE_BAD_FILE);
    assert_non_null(strstr(e.err.message, "e.jsonl:1: the condition 'bad' is none of"));
    c.n_classes = 2;
    c.end_of_turn = "<|end|>";
    e.err = (aerie_error){ 0 };
    assert_int_equal(encode_run(&e), AERIE_BAD_ARGUMENT);
    assert_non_null(strstr(e.err.message, "tokens in this vocabulary"));
    encode_end(&e);
    encode_start(&e, "zephyr", talk, AE_EXAMPLE_CHAT);
    e.options.conditions = &by_pieces;
    assert_int_equal(encode_run(&e), AERIE_BAD_FILE);
    assert_non_null(strstr(e.err.message, "{condition: theirs}"));
    encode_end(&e);
}

static void a_template_that_rewrites_its_past_is_refused(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}",
                 talk, AE_EXAMPLE_CHAT);
    assert_int_equal(encode_run(&e), AERIE_UNSUPPORTED);
    assert_non_null(strstr(e.err.message, "e.jsonl:1: the chat template writes"));
    e.options.train_on = AE_TRAIN_ON_ALL;
    assert_int_equal(encode_run(&e), AERIE_OK);
    encode_end(&e);
}

static void truncation_cuts_the_end_and_drops_what_is_empty(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", talk, AE_EXAMPLE_CHAT);
    assert_int_equal(encode_run(&e), AERIE_OK);
    int32_t first = 0;
    while (e.sample.weight[first] == 0) first++;
    e.options.max_length = first + 1;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_true(e.sample.truncated && !e.sample.dropped);
    assert_text(&e, 0, e.sample.n, 1, "Y");
    e.options.max_length = first;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_true(e.sample.dropped);
    assert_int_equal(e.sample.n, 0);
    encode_end(&e);
}

static void a_document_ends_with_eos(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", "{\"text\":\"good day\"}", AE_EXAMPLE_TEXT);
    e.options.append_eos = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_int_equal(e.sample.ids[e.sample.n - 1], TINY_EOS);
    assert_text(&e, 0, e.sample.n, 1, " good day</s>");
    encode_end(&e);
}

static const char two[] = "{\"prompt\":\"Why?\",\"chosen\":\"Because\",\"rejected\":\"Be off\"}";

static void assert_parts(encoding *e, const char *prompt, const char *chosen, const char *rejected)
{
    const ae_sample *s = &e->sample;
    assert_int_equal(s->n, s->n_prompt + s->n_chosen + s->n_rejected);
    assert_text(e, 0, s->n_prompt, 0, prompt);
    assert_text(e, s->n_prompt, s->n_prompt + s->n_chosen, 1, chosen);
    assert_text(e, s->n_prompt + s->n_chosen, s->n, 1, rejected);
    assert_text(e, 0, s->n_prompt, 1, "");
}

static void pairs_branch_where_the_reply_begins(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", two, AE_EXAMPLE_PAIR);
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_parts(&e, "<s> <|user|>\nWhy?</s>\n<|assistant|>\n", "Because</s>\n", "Be off</s>\n");
    e.options.train_header = e.options.append_eos = e.options.empty_system = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_parts(&e, "<s> <|system|>\n</s>\n<|user|>\nWhy?</s>\n",
                 "<|assistant|>\nBecause</s>\n</s>", "<|assistant|>\nBe off</s>\n</s>");
    encode_end(&e);
}

static void a_single_reply_has_its_prompt(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", "{\"prompt\":\"Why?\",\"completion\":\"Because\",\"label\":false}",
                 AE_EXAMPLE_UNPAIRED);
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_parts(&e, "<s> <|user|>\nWhy?</s>\n<|assistant|>\n", "Because</s>\n", "");
    assert_true(e.sample.undesirable);
    e.options.max_length = e.sample.n_prompt + 1;
    e.options.keep = AE_CUT_END;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_true(e.sample.truncated && e.sample.n_chosen == 1);
    e.options.max_length = e.sample.n_prompt;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_true(e.sample.dropped);
    encode_end(&e);
}

static ae_sample numbered(int32_t *ids, float *weight, int32_t n_prompt, int32_t n_chosen,
                          int32_t n_rejected, int32_t from)
{
    ae_sample s = { .kind = AE_EXAMPLE_PAIR,
                    .ids = ids,
                    .weight = weight,
                    .n = n_prompt + n_chosen + n_rejected,
                    .n_prompt = n_prompt,
                    .n_chosen = n_chosen,
                    .n_rejected = n_rejected };
    for (int32_t i = 0; i < s.n; i++) {
        ids[i] = from + i;
        weight[i] = i >= n_prompt;
    }
    return s;
}

/* Two pairs are four replies; each has one of the other prompt beside it, never its own prompt's.
 */
static void pairs_become_single_replies(void **state)
{
    int32_t ids[2][6];
    float weight[2][6];
    ae_sample pairs[2] = { numbered(ids[0], weight[0], 2, 2, 1, 10),
                           numbered(ids[1], weight[1], 1, 1, 4, 20) };
    ae_samples set = { .items = pairs, .n = 2 };
    (void)state;
    assert_int_equal(ae_samples_unpair(&set, true, 5, NULL), AERIE_OK);
    static const int32_t wanted[4][7] = { { 10, 11, 12, 13, 22, 23, 24 },
                                          { 10, 11, 14, 22, 23, 24 },
                                          { 20, 21, 14 },
                                          { 20, 22, 23, 24, 25, 14 } };
    static const int32_t sizes[4][3] = { { 2, 2, 3 }, { 2, 1, 3 }, { 1, 1, 1 }, { 1, 4, 1 } };
    assert_int_equal(set.n, 4);
    for (int i = 0; i < 4; i++) {
        const ae_sample *s = &set.items[i];
        assert_int_equal(s->kind, AE_EXAMPLE_UNPAIRED);
        assert_int_equal(s->undesirable, i % 2);
        assert_int_equal(s->n_prompt, sizes[i][0]);
        assert_int_equal(s->n_chosen, sizes[i][1]);
        assert_int_equal(s->n_rejected, sizes[i][2]);
        assert_memory_equal(s->ids, wanted[i], (size_t)s->n * sizeof *s->ids);
    }
    ae_arena_free(&set.arena);
}

/* Prompt and reply together are always the tokens of the whole text: where "x" and "y" grow
 * together in one reply and not in the other, the boundary moves back. */
static void the_boundary_moves_back_when_tokens_join(void **state)
{
    encoding e;
    (void)state;
    encode_start(&e, "zephyr", "{\"prompt\":\"ax\",\"chosen\":\"yes\",\"rejected\":\"no\"}",
                 AE_EXAMPLE_PAIR);
    e.options.plain = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_parts(&e, "<s> a", "xyes", "xno");
    encode_end(&e);
    /* Both replies join it: the token begins in the prompt and stays there. */
    encode_start(&e, "zephyr", "{\"prompt\":\"ax\",\"chosen\":\"yes\",\"rejected\":\"yno\"}",
                 AE_EXAMPLE_PAIR);
    e.options.plain = true;
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_parts(&e, "<s> axy", "es", "no");
    encode_end(&e);
}

static ae_sample made_pair(int32_t *ids, float *weight, int32_t prompt, int32_t chosen,
                           int32_t rejected)
{
    ae_sample s = { .kind = AE_EXAMPLE_PAIR,
                    .ids = ids,
                    .weight = weight,
                    .n_prompt = prompt,
                    .n_chosen = chosen,
                    .n_rejected = rejected,
                    .n = prompt + chosen + rejected };
    for (int32_t i = 0; i < s.n; i++) {
        ids[i] = i;
        weight[i] = i >= prompt;
    }
    return s;
}

/* Replies are cut to max_length less max_prompt_length even where the prompt is shorter, as TRL 0.7
 * to 0.11 did; a pair that loses a reply is dropped. */
static void pairs_are_cut_as_zephyrs_were(void **state)
{
    int32_t ids[64];
    float weight[64];
    ae_sample s = made_pair(ids, weight, 3, 9, 2);
    (void)state;
    ae_sample_truncate_pair(&s, 10, 5, AE_KEEP_END);
    assert_true(s.truncated && !s.dropped);
    assert_int_equal(s.n_prompt, 3);
    assert_int_equal(s.n_chosen, 5);
    assert_int_equal(s.n_rejected, 2);
    static const int32_t left[] = { 0, 1, 2, 3, 4, 5, 6, 7, 12, 13 };
    assert_memory_equal(ids, left, sizeof left);
    for (int32_t i = 0; i < s.n; i++) assert_true(weight[i] == (i >= 3));
    s = made_pair(ids, weight, 12, 2, 2);
    ae_sample_truncate_pair(&s, 10, 0, AE_CUT_END);
    assert_true(s.dropped);
    assert_int_equal(s.n, 0);
    s = made_pair(ids, weight, 3, 4, 5);
    ae_sample_truncate_pair(&s, 0, 0, AE_KEEP_END);
    assert_false(s.truncated);
    assert_int_equal(s.n, 12);
}

static void samples_know_what_they_hold(void **state)
{
    encoding e;
    ae_samples samples;
    ae_pool *pool;
    (void)state;
    encode_start(&e, "zephyr",
                 "{\"prompt\":\"a\",\"completion\":\"bc\"}\n{\"prompt\":\"a long one indeed\","
                 "\"completion\":\"d\"}\n{\"prompt\":\"e\",\"completion\":\"f\"}\n",
                 AE_EXAMPLE_CHAT);
    e.options.max_length = 40;
    assert_int_equal(ae_pool_open(&pool, 3, NULL), AERIE_OK);
    assert_int_equal(ae_samples_encode(&samples, e.file.dataset, &e.options, pool, &e.err),
                     AERIE_OK);
    assert_int_equal(samples.n, 2);
    assert_int_equal(samples.n_dropped, 1);
    assert_int_equal(samples.n_trained, 4 + 3); /* b c EOS \n, f EOS \n */
    ae_samples_free(&samples);
    e.options.max_length = 5;
    assert_int_equal(ae_samples_encode(&samples, e.file.dataset, &e.options, NULL, &e.err),
                     AERIE_BAD_FILE);
    assert_non_null(strstr(e.err.message, "nothing is left"));
    ae_pool_close(pool);
    encode_end(&e);
}

static void samples_print_every_token(void **state)
{
    encoding e;
    ae_bytes out = { 0 };
    (void)state;
    encode_start(&e, "zephyr", two, AE_EXAMPLE_PAIR);
    assert_int_equal(encode_run(&e), AERIE_OK);
    assert_int_equal(ae_sample_print(&out, &e.sample, e.tokenizer, true, NULL), AERIE_OK);
    json_t *root = json_loadb(out.data, out.len, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "tokens")), e.sample.n);
    json_t *last = json_array_get(json_object_get(root, "tokens"), (size_t)e.sample.n - 1);
    assert_string_equal(json_string_value(json_object_get(last, "part")), "rejected");
    assert_string_equal(json_string_value(json_object_get(last, "text")), "\n");
    json_decref(root);
    ae_bytes_clear(&out);
    assert_int_equal(ae_sample_print(&out, &e.sample, e.tokenizer, false, NULL), AERIE_OK);
    assert_non_null(strstr(out.data, "chosen"));
    ae_bytes_free(&out);
    encode_end(&e);
}

static void check_lack_of_memory(const char *text, ae_example_kind kind,
                                 const ae_conditions *conditions)
{
    encoding e;
    bool failed = true;
    encode_start(&e, "zephyr", text, kind);
    e.options.conditions = conditions;
    size_t held = ae_alloc_bytes();
    for (long n = 1; failed; n++) {
        ae_samples samples;
        ae_alloc_fail_at(n);
        aerie_status status = ae_samples_encode(&samples, e.file.dataset, &e.options, NULL, NULL);
        if (!status && kind == AE_EXAMPLE_UNPAIRED)
            status = ae_samples_unpair(&samples, true, 0, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        assert_true(status == AERIE_OK || (failed && status == AERIE_NO_MEMORY));
        ae_samples_free(&samples);
        assert_int_equal(ae_alloc_bytes(), held);
        assert_true(n < 10000);
    }
    encode_end(&e);
}

static void survives_lack_of_memory(void **state)
{
    ae_conditions in_system = by_pieces;
    (void)state;
    in_system.in_system = true;
    check_lack_of_memory(two, AE_EXAMPLE_PAIR, NULL);
    check_lack_of_memory("{\"prompt\":\"Why?\",\"completion\":\"Because\",\"label\":false}",
                         AE_EXAMPLE_UNPAIRED, NULL);
    check_lack_of_memory(classed, AE_EXAMPLE_CHAT, &by_pieces);
    check_lack_of_memory(classed, AE_EXAMPLE_CHAT, &in_system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_alone_are_learned),
        cmocka_unit_test(everything_can_be_learned),
        cmocka_unit_test(one_bos_is_enough),
        cmocka_unit_test(messages_may_have_weights),
        cmocka_unit_test(classes_are_openchats_pieces),
        cmocka_unit_test(weights_are_rounded_and_shared),
        cmocka_unit_test(classes_can_begin_the_system_message),
        cmocka_unit_test(classes_can_be_wrong),
        cmocka_unit_test(a_template_that_rewrites_its_past_is_refused),
        cmocka_unit_test(truncation_cuts_the_end_and_drops_what_is_empty),
        cmocka_unit_test(a_document_ends_with_eos),
        cmocka_unit_test(pairs_branch_where_the_reply_begins),
        cmocka_unit_test(a_single_reply_has_its_prompt),
        cmocka_unit_test(pairs_become_single_replies),
        cmocka_unit_test(the_boundary_moves_back_when_tokens_join),
        cmocka_unit_test(pairs_are_cut_as_zephyrs_were),
        cmocka_unit_test(samples_know_what_they_hold),
        cmocka_unit_test(samples_print_every_token),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

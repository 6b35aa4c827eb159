/* test_records.c -- files of every shape into conversations, and what is said about bad ones. */
#include "data/files.h"

#define USER(text)   "{\"role\":\"user\",\"content\":\"" text "\"}"
#define REPLY(text)  "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define SYSTEM(text) "{\"role\":\"system\",\"content\":\"" text "\"}"

static void chat_is(const char *name, const char *text, const char *shape, const char *messages)
{
    data_file f = data_open(name, text, AE_EXAMPLE_CHAT);
    assert_string_equal(ae_dataset_shape(f.dataset), shape);
    ae_example e = ae_dataset_at(f.dataset, 0);
    assert_int_equal(e.kind, AE_EXAMPLE_CHAT);
    assert_messages(e.messages, messages);
    data_close(&f);
}

static void conversations_of_every_spelling(void **state)
{
    (void)state;
    chat_is("a.jsonl", "{\"messages\":[" USER("q") "," REPLY("a") "]}\n", "messages",
            "[" USER("q") "," REPLY("a") "]");
    chat_is("a.json", "[{\"messages\":[" USER("q") "," REPLY("a") "]}]", "messages",
            "[" USER("q") "," REPLY("a") "]");
    chat_is("a.jsonl", "{\"prompt\":\"q\",\"completion\":\"a\"}", "prompt and completion",
            "[" USER("q") "," REPLY("a") "]");
    chat_is("a.jsonl",
            "{\"prompt\":[" SYSTEM("s") "," USER("q") "],\"completion\":[" REPLY("a") "]}",
            "prompt and completion", "[" SYSTEM("s") "," USER("q") "," REPLY("a") "]");
    chat_is("a.jsonl", "{\"prompt\":\"q\",\"response\":\"a\",\"system\":\"s\"}",
            "prompt and completion", "[" SYSTEM("s") "," USER("q") "," REPLY("a") "]");
    chat_is("a.jsonl", "{\"instruction\":\"Add\",\"input\":\"1 2\",\"output\":\"3\"}", "alpaca",
            "[" USER("Add\\n1 2") "," REPLY("3") "]");
    chat_is("a.jsonl",
            "{\"instruction\":\"c\",\"input\":\"\",\"output\":\"d\",\"system\":\"s\","
            "\"history\":[[\"a\",\"b\"]]}",
            "alpaca",
            "[" SYSTEM("s") "," USER("a") "," REPLY("b") "," USER("c") "," REPLY("d") "]");
    chat_is("a.jsonl",
            "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":"
            "\"a\"}]}",
            "sharegpt", "[" USER("q") "," REPLY("a") "]");
}

static void pair_is(const char *text, const char *shape, const char *prompt, const char *chosen,
                    const char *rejected)
{
    data_file f = data_open("p.jsonl", text, AE_EXAMPLE_PAIR);
    assert_string_equal(ae_dataset_shape(f.dataset), shape);
    ae_example e = ae_dataset_at(f.dataset, 0);
    assert_int_equal(e.kind, AE_EXAMPLE_PAIR);
    assert_messages(e.messages, prompt);
    assert_messages(e.chosen, chosen);
    assert_messages(e.rejected, rejected);
    data_close(&f);
}

/* TRL's unpaired shape; labels may be numbers; pairs stay pairs until they are tokens. */
static void single_replies_are_wanted_or_not(void **state)
{
    static const char text[] =
        "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":true}\n"
        "{\"prompt\":[" USER("q") "],\"completion\":[" REPLY("b") "],\"label\":0}\n";
    data_file f = data_open("kto.jsonl", text, AE_EXAMPLE_UNPAIRED);
    ae_example e = ae_dataset_at(f.dataset, 0);
    (void)state;
    assert_string_equal(ae_dataset_shape(f.dataset), "prompt, completion and label");
    assert_int_equal(e.kind, AE_EXAMPLE_UNPAIRED);
    assert_false(e.undesirable);
    assert_messages(e.messages, "[" USER("q") "]");
    assert_messages(e.chosen, "[" REPLY("a") "]");
    e = ae_dataset_at(f.dataset, 1);
    assert_true(e.undesirable);
    assert_messages(e.messages, "[" USER("q") "]");
    assert_messages(e.chosen, "[" REPLY("b") "]");
    data_close(&f);
    f = data_open("p.jsonl", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}",
                  AE_EXAMPLE_UNPAIRED);
    assert_int_equal(ae_dataset_at(f.dataset, 0).kind, AE_EXAMPLE_PAIR);
    data_close(&f);
}

static void openchats_conversations_have_a_class(void **state)
{
    data_file f = data_open("oc.json",
                            "[{\"items\":[{\"role\":\"user\",\"content\":\"q\",\"weight\":0.0},"
                            "{\"role\":\"assistant\",\"content\":\"a\",\"weight\":0.1}],"
                            "\"condition\":\"GPT3\",\"system\":\"\"}]",
                            AE_EXAMPLE_CHAT);
    ae_example e = ae_dataset_at(f.dataset, 0);
    (void)state;
    assert_string_equal(ae_dataset_shape(f.dataset), "openchat");
    assert_int_equal(json_array_size(e.messages), 2);
    assert_string_equal(e.condition, "GPT3");
    data_close(&f);
}

static void pairs_of_every_spelling(void **state)
{
    static const char usual[] = "prompt, chosen and rejected";
    (void)state;
    pair_is("{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}", usual, "[" USER("q") "]",
            "[" REPLY("a") "]", "[" REPLY("b") "]");
    pair_is(
        "{\"prompt\":[" USER("q") "],\"chosen\":[" REPLY("a") "],\"rejected\":[" REPLY("b") "]}",
        usual, "[" USER("q") "]", "[" REPLY("a") "]", "[" REPLY("b") "]");
    pair_is("{\"prompt\":\"other\",\"chosen\":[" USER("q") "," REPLY("a") "],\"rejected\":[" USER(
                "q") "," REPLY("b") "],\"score_chosen\":8.5}",
            usual, "[" USER("q") "]", "[" REPLY("a") "]", "[" REPLY("b") "]");
    pair_is("{\"prompt\":\"q\",\"chosen\":[" REPLY("a") "],\"rejected\":[" REPLY("b") "]}", usual,
            "[" USER("q") "]", "[" REPLY("a") "]", "[" REPLY("b") "]");
    pair_is(
        "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\","
        "\"value\":\"a\"},\"rejected\":{\"from\":\"gpt\",\"value\":\"b\"}}",
        "sharegpt pairs", "[" USER("q") "]", "[" REPLY("a") "]", "[" REPLY("b") "]");
    pair_is("{\"chosen\":\"\\n\\nHuman: q\\n\\nAssistant: the a\",\"rejected\":\"\\n\\nHuman: "
            "q\\n\\nAssistant: the b\"}",
            "hh-rlhf", "[" USER("q") "]", "[" REPLY("the a") "]", "[" REPLY("the b") "]");
}

#define ANSWER(text, rank) "{\"answer\":\"" text "\",\"rank\":" rank "}"
#define SCORED(text, score, rating)                                                                \
    "{\"response\":\"" text "\",\"overall_score\":" score                                          \
    ",\"annotations\":{\"a\":{\"Rating\":\"" rating "\"},\"b\":{\"Rating\":\"N/A\"}}}"

static const char nectar[] = "{\"prompt\":\"\\n\\nHuman: q\\n\\nAssistant: \",\"answers\":[" ANSWER(
    "second", "2.0") "," ANSWER("first", "1.0") "," ANSWER("third", "3.0") "," ANSWER("equal",
                                                                                      "3.0") "]}";
static const char ultra[] = "{\"instruction\":\"q\",\"source\":\"flan\",\"completions\":[" SCORED(
    "low", "2", "5") "," SCORED("top", "9", "4") "," SCORED("twin", "9", "3") "]}";

static data_file open_ranked(const char *text, ae_ranked_pairs how, uint64_t seed,
                             ae_example_kind kind)
{
    ae_dataset_options options = { .kind = kind, .ranked = how, .seed = seed };
    data_file f = data_open_as("r.jsonl", text, &options);
    if (f.status) fail_msg("%s", f.err.message);
    return f;
}

static const char *reply_text(json_t *reply)
{
    return json_string_value(json_object_get(json_array_get(reply, 0), "content"));
}

/* Over many seeds exactly `losers` lose against `best`. */
static void losers_are(const char *text, ae_ranked_pairs how, const char *best, const char *losers)
{
    size_t seen = 0, total = 0;
    char found[64] = "";
    for (const char *at = losers; *at; at++) total += *at == ';';
    for (uint64_t seed = 0; seed < 40; seed++) {
        data_file f = open_ranked(text, how, seed, AE_EXAMPLE_PAIR);
        ae_example e = ae_dataset_at(f.dataset, 0);
        char name[32];
        assert_int_equal(ae_dataset_len(f.dataset), 1);
        assert_string_equal(reply_text(e.chosen), best);
        snprintf(name, sizeof name, "%s;", reply_text(e.rejected));
        if (!strstr(losers, name)) fail_msg("'%s' lost, of '%s'", name, losers);
        if (!strstr(found, name)) {
            strcat(found, name);
            seen++;
        }
        data_close(&f);
    }
    assert_int_equal(seen, total);
}

static void a_ranking_becomes_a_pair(void **state)
{
    (void)state;
    losers_are(nectar, AE_RANKED_BEST_RANDOM, "first", "second;third;equal;");
    losers_are(nectar, AE_RANKED_BEST_WORST, "first", "equal;");
    losers_are(ultra, AE_RANKED_BEST_RANDOM, "top", "low;twin;");
    losers_are(ultra, AE_RANKED_MEAN_RANDOM, "low", "top;twin;");
    losers_are(ultra, AE_RANKED_BEST_WORST, "top", "low;");
}

/* 21 pairs of seven; here one of the six is a tie. */
static void a_ranking_becomes_every_pair(void **state)
{
    static const char *const wanted[][2] = { { "first", "second" },
                                             { "first", "third" },
                                             { "first", "equal" },
                                             { "second", "third" },
                                             { "second", "equal" } };
    data_file f = open_ranked(nectar, AE_RANKED_ALL, 0, AE_EXAMPLE_PAIR);
    (void)state;
    assert_int_equal(ae_dataset_len(f.dataset), AE_COUNT(wanted));
    for (size_t i = 0; i < AE_COUNT(wanted); i++) {
        ae_example e = ae_dataset_at(f.dataset, i);
        assert_string_equal(reply_text(e.chosen), wanted[i][0]);
        assert_string_equal(reply_text(e.rejected), wanted[i][1]);
        assert_messages(e.messages, "[" USER("q") "]");
        assert_messages(e.ranked, "[\"first\",\"second\",\"third\",\"equal\"]");
    }
    data_close(&f);
}

/* How many pairs a text gives whose answers are `least` apart, and how many rows give none. */
static void apart(const char *text, ae_ranked_pairs how, double least, size_t n, size_t left_out)
{
    ae_dataset_options o = {
        .kind = AE_EXAMPLE_PAIR, .ranked = how, .seed = 42, .min_margin = least
    };
    data_file f = data_open_as("p.jsonl", text, &o);
    if (f.status) fail_msg("%s", f.err.message);
    assert_int_equal(ae_dataset_len(f.dataset), n);
    assert_int_equal(ae_dataset_left_out(f.dataset), left_out);
    for (size_t i = 0; i < n; i++) {
        double gap = ae_dataset_at(f.dataset, i).gap;
        assert_true(least == 0 || gap >= least);
    }
    data_close(&f);
}

static void pairs_that_are_too_near_are_left_out(void **state)
{
    static const char scored[] = "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_"
                                 "chosen\":8,\"score_rejected\":8}\n"
                                 "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_"
                                 "chosen\":8,\"score_rejected\":6}\n";
    (void)state;
    apart(nectar, AE_RANKED_ALL, 0, 5, 0);
    apart(nectar, AE_RANKED_ALL, 2, 2, 0);
    apart(nectar, AE_RANKED_BEST_WORST, 2, 1, 0);
    apart(nectar, AE_RANKED_BEST_WORST, 2.5, 0, 1);
    apart(ultra, AE_RANKED_BEST_RANDOM, 1, 1, 0);
    apart(ultra, AE_RANKED_BEST_RANDOM, 100, 0, 1);
    apart(scored, AE_RANKED_BEST_RANDOM, 0, 2, 0);
    apart(scored, AE_RANKED_BEST_RANDOM, 0.5, 1, 1);
}

/* Rankings of two take the difference of their scores for a margin where they are asked to. */
static void scores_become_margins(void **state)
{
    static const char text[] = "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_"
                               "chosen\":8,\"score_rejected\":6}\n"
                               "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"score_"
                               "chosen\":8,\"score_rejected\":6,"
                               "\"margin\":0.5}\n";
    ae_dataset_options o = { .kind = AE_EXAMPLE_RANKED };
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        o.score_margins = asked;
        data_file f = data_open_as("p.jsonl", text, &o);
        assert_true(ae_dataset_at(f.dataset, 0).margin == (asked ? 2 : 0));
        assert_true(ae_dataset_at(f.dataset, 1).margin == 0.5);
        data_close(&f);
    }
}

/* The draw is the prompt's: other rows before it change nothing. */
static void a_ranked_pair_is_drawn_by_its_prompt(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        data_file alone = open_ranked(ultra, AE_RANKED_BEST_RANDOM, seed, AE_EXAMPLE_PAIR);
        ae_bytes twice = { 0 };
        ae_bytes_printf(&twice,
                        "{\"instruction\":\"x\",\"completions\":[" SCORED("a", "1", "1") "," SCORED(
                            "b", "2", "2") "]}\n%s\n",
                        ultra);
        data_file second = open_ranked(twice.data, AE_RANKED_BEST_RANDOM, seed, AE_EXAMPLE_PAIR);
        assert_string_equal(reply_text(ae_dataset_at(alone.dataset, 0).rejected),
                            reply_text(ae_dataset_at(second.dataset, 1).rejected));
        data_close(&alone);
        data_close(&second);
        ae_bytes_free(&twice);
    }
}

/* Rows without a pair are left out and counted; as conversations they keep their best answer. */
static void rows_without_a_pair_are_left_out(void **state)
{
    static const char text[] =
        "{\"instruction\":\"q\",\"completions\":[" SCORED("a", "1", "1") "," SCORED(
            "a", "1", "1") "]}\n"
                           "{\"instruction\":\"q\",\"source\":\"truthful_qa\","
                           "\"completions\":[" SCORED("a", "1", "1") "," SCORED(
                               "b", "2", "1") "]}\n"
                                              "{\"instruction\":\"q\",\"completions\":[" SCORED(
                                                  "a", "1", "1") "," SCORED("b", "2", "1") "]}\n";
    data_file f = open_ranked(text, AE_RANKED_BEST_RANDOM, 1, AE_EXAMPLE_PAIR);
    (void)state;
    assert_int_equal(ae_dataset_len(f.dataset), 1);
    assert_int_equal(ae_dataset_left_out(f.dataset), 2);
    assert_int_equal(ae_dataset_at(f.dataset, 0).line, 3);
    data_close(&f);
    f = open_ranked(text, AE_RANKED_ALL, 1, AE_EXAMPLE_CHAT);
    assert_int_equal(ae_dataset_len(f.dataset), 2);
    assert_messages(ae_dataset_at(f.dataset, 1).messages, "[" USER("q") "," REPLY("b") "]");
    data_close(&f);
}

/* Two replies that are the same keep one message each, and the prompt is what is before. */
static void equal_replies_keep_their_last_message(void **state)
{
    (void)state;
    pair_is(
        "{\"chosen\":[" USER("q") "," REPLY("a") "],\"rejected\":[" USER("q") "," REPLY("a") "]}",
        "prompt, chosen and rejected", "[" USER("q") "]", "[" REPLY("a") "]", "[" REPLY("a") "]");
}

static void a_pair_can_be_read_as_its_chosen_conversation(void **state)
{
    (void)state;
    chat_is("a.jsonl", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}",
            "prompt, chosen and rejected", "[" USER("q") "," REPLY("a") "]");
}

static void texts_and_documents(void **state)
{
    data_file f = data_open("t.jsonl", "{\"text\":\"one\"}\n\n{\"text\":\"two\"}\n", 0);
    (void)state;
    assert_int_equal(ae_dataset_len(f.dataset), 2);
    assert_int_equal(ae_dataset_at(f.dataset, 1).line, 3);
    assert_true(ae_span_is(ae_dataset_at(f.dataset, 1).text, "two"));
    data_close(&f);
    f = data_open("t.txt", "[not JSON]\n\nat all", AE_EXAMPLE_TEXT);
    assert_int_equal(ae_dataset_len(f.dataset), 1);
    assert_true(ae_span_is(ae_dataset_at(f.dataset, 0).text, "[not JSON]\n\nat all"));
    data_close(&f);
}

static void columns_can_be_mapped(void **state)
{
    static const ae_column columns[] = { { "chosen", "good" },
                                         { "rejected", "bad" },
                                         { "prompt", "q" } };
    ae_dataset_options options = { .columns = columns, .n_columns = 3, .kind = AE_EXAMPLE_PAIR };
    data_file f = data_open_as("m.jsonl", "{\"q\":\"q\",\"good\":\"a\",\"bad\":\"b\"}", &options);
    (void)state;
    assert_int_equal(f.status, AERIE_OK);
    assert_messages(ae_dataset_at(f.dataset, 0).chosen, "[" REPLY("a") "]");
    data_close(&f);
}

static void refuses(const char *name, const char *text, const ae_dataset_options *options,
                    const char *words)
{
    data_file f = data_open_as(name, text, options);
    if (!f.status || !strstr(f.err.message, words))
        fail_msg("wanted '%s', got '%s'", words, f.status ? f.err.message : "no error");
    data_close(&f);
}

static void bad_rows_are_named(void **state)
{
    static const ae_column missing[] = { { "chosen", "godo" } }, unknown[] = { { "chosn", "x" } };
    ae_dataset_options pair = { .kind = AE_EXAMPLE_PAIR }, chat = { .kind = AE_EXAMPLE_CHAT };
    ae_dataset_options text = { .kind = AE_EXAMPLE_TEXT };
    ae_dataset_options unpaired = { .kind = AE_EXAMPLE_UNPAIRED };
    (void)state;
    refuses("x.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b", &text, "x.jsonl:2: no JSON");
    refuses("x.jsonl", "{\"text\":\"a\"}\n{\"txt\":\"b\"}", &text,
            "x.jsonl:2: no column 'text'; it has txt; did you mean 'txt'?");
    refuses("x.json", "[{\"text\":\"a\"},{\"text\":5}]", &text, "x.json: row 2: the column 'text'");
    refuses("x.json", "[{\"text\":\"a\"}", &text, "no JSON");
    refuses("x.json", "[5]", &text, "x.json: row 1: a record must be an object");
    refuses("x.jsonl", "", &text, "holds no records");
    refuses("x.jsonl", "{\"good\":\"a\",\"bad\":\"b\"}", &pair,
            "its columns are good, bad; needed are");
    refuses("x.jsonl", "{\"text\":\"a\"}", &chat, "its columns are text; needed are 'messages'");
    refuses("x.jsonl", "{\"mesages\":[]}", &chat, "columns: {messages: mesages}");
    refuses("x.jsonl", "{\"prompt\":\"q\",\"completion\":\"a\",\"label\":\"good\"}", &unpaired,
            "must be true (wanted) or false");
    refuses("x.jsonl", "{\"prompt\":\"q\",\"completion\":\"a\"}", &unpaired,
            "needed are 'prompt', 'completion' and 'label', or pairs");
    refuses("x.txt", "text", &chat, "a text file has no conversations");
    refuses("x.jsonl", "{\"prompt\":\"\\n\\nHuman: q\",\"answers\":[" ANSWER("a", "1") "]}", &pair,
            "must end with an empty line and 'Assistant:'");
    refuses("x.jsonl", "{\"instruction\":\"q\",\"completions\":[{\"response\":\"a\"}]}", &pair,
            "item 1 of 'completions' has no number in 'overall_score'");
    pair.min_margin = 1;
    refuses("x.jsonl", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}", &pair,
            "x.jsonl:1: 'min_margin' wants numbers in 'score_chosen'");
    pair.min_margin = 0;
    refuses("x.jsonl", "{\"messages\":[]}", &chat, "x.jsonl:1: the column 'messages'");
    refuses("x.jsonl", "{\"messages\":[{\"content\":\"a\"}]}", &chat, "has no 'role'");
    refuses("x.jsonl", "{\"messages\":[{\"role\":\"dog\",\"content\":\"a\"}]}", &chat, "'dog'");
    refuses("x.jsonl", "{\"messages\":[{\"role\":\"user\"}]}", &chat, "has no text");
    refuses("x.jsonl", "{\"chosen\":[" REPLY("a") "],\"rejected\":[" REPLY("b") "]}", &pair,
            "no 'prompt' to answer");
    refuses("x.jsonl", "{\"chosen\":\"\\n\\nHuman: a\",\"rejected\":\"\\n\\nHuman: b\"}", &pair,
            "do not share a question");
    pair.columns = missing;
    pair.n_columns = 1;
    refuses("x.jsonl", "{\"good\":\"a\",\"bad\":\"b\"}", &pair,
            "no column 'godo' (the recipe's name for 'chosen'); it has good, bad");
    pair.columns = unknown;
    refuses("x.jsonl", "{\"good\":\"a\",\"bad\":\"b\"}", &pair, "did you mean 'chosen'?");
}

static void a_missing_file_is_named(void **state)
{
    const char *paths[] = { "/no/such/file.jsonl" };
    ae_dataset *d;
    aerie_error err = { 0 };
    (void)state;
    assert_int_not_equal(ae_dataset_open(&d, paths, 1, NULL, &err), AERIE_OK);
    assert_non_null(strstr(err.message, "/no/such/file.jsonl"));
    assert_null(d);
}

static void rows_can_be_limited(void **state)
{
    ae_dataset_options options = { .max_rows = 2 };
    data_file f = data_open_as("t.jsonl", "{\"text\":\"1\"}\n{\"text\":\"2\"}\nbroken", &options);
    (void)state;
    assert_int_equal(f.status, AERIE_OK);
    assert_int_equal(ae_dataset_len(f.dataset), 2);
    data_close(&f);
}

/* The n-th allocation fails: a status each time, and nothing is left behind. */
static void survives_lack_of_memory(void **state)
{
    char *folder = scratch_make(), *path = ae_path_join(folder, "m.jsonl");
    const char *text = "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n",
               *paths[] = { path };
    size_t held;
    bool failed = true;
    (void)state;
    assert_int_equal(ae_file_write(path, text, strlen(text), NULL), AERIE_OK);
    held = ae_alloc_bytes();
    for (long n = 1; failed; n++) {
        ae_dataset *d;
        ae_alloc_fail_at(n);
        aerie_status status = ae_dataset_open(&d, paths, 1, NULL, NULL);
        failed = ae_alloc_has_failed();
        ae_alloc_fail_at(0);
        /* An arena that gets no large block asks for a smaller one. */
        if (status && !failed) fail_msg("allocation %ld", n);
        ae_dataset_close(d);
        assert_int_equal(ae_alloc_bytes(), held);
    }
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conversations_of_every_spelling),
        cmocka_unit_test(single_replies_are_wanted_or_not),
        cmocka_unit_test(openchats_conversations_have_a_class),
        cmocka_unit_test(pairs_of_every_spelling),
        cmocka_unit_test(a_ranking_becomes_a_pair),
        cmocka_unit_test(a_ranking_becomes_every_pair),
        cmocka_unit_test(pairs_that_are_too_near_are_left_out),
        cmocka_unit_test(scores_become_margins),
        cmocka_unit_test(a_ranked_pair_is_drawn_by_its_prompt),
        cmocka_unit_test(rows_without_a_pair_are_left_out),
        cmocka_unit_test(equal_replies_keep_their_last_message),
        cmocka_unit_test(a_pair_can_be_read_as_its_chosen_conversation),
        cmocka_unit_test(texts_and_documents),
        cmocka_unit_test(columns_can_be_mapped),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(rows_can_be_limited),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

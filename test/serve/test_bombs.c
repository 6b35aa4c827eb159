/* test_bombs.c -- small requests that ask for something enormous: each is refused, or done within
 * bounds, and the server goes on. */
#include "scratch.h"
#include "wire.h"

#include <sys/resource.h>

#define TALK  "\"model\":\"nursery\",\"messages\":[{\"role\":\"user\",\"content\":\"Go.\"}]"
#define SHORT "\"max_tokens\":4,"

typedef void write_fn(ae_bytes *out);

static void repeat(ae_bytes *out, const char *text, int64_t n)
{
    for (int64_t i = 0; i < n; i++) ae_bytes_add_text(out, text);
}

/* ---- nesting */

static void nested_lists(ae_bytes *out)
{
    repeat(out, "[", 100000);
    repeat(out, "]", 100000);
}

static void nested_objects(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" TALK ",\"options\":");
    repeat(out, "{\"a\":", 100000);
    ae_bytes_add_text(out, "1");
    repeat(out, "}", 100001);
}

static void nested_and_unclosed(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" TALK ",\"tools\":");
    repeat(out, "[{\"a\":", 50000);
}

/* ---- schemas */

static void begin_schema(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"response_format\":{\"type\":\"json_schema\","
                           "\"json_schema\":{\"name\":\"s\",\"schema\":");
}

static void end_schema(ae_bytes *out)
{
    ae_bytes_add_text(out, "}}}");
}

/* Each is two of the next: written out it would have 2^60 parts. */
static void doubling_refs(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 60; i++)
        ae_bytes_printf(out,
                        "\"d%d\":{\"type\":\"array\",\"prefixItems\":[{\"$ref\":\"#/$defs/d%d\"},"
                        "{\"$ref\":\"#/$defs/d%d\"}],\"minItems\":2,\"items\":false},",
                        i, i + 1, i + 1);
    ae_bytes_add_text(out, "\"d60\":{\"type\":\"null\"}}}");
    end_schema(out);
}

static void doubling_all_of(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (int i = 0; i < 60; i++)
        ae_bytes_printf(
            out, "\"d%d\":{\"allOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]},", i,
            i + 1, i + 1);
    ae_bytes_add_text(out, "\"d60\":{\"type\":\"object\"}}}");
    end_schema(out);
}

static void circle_of_refs(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
                           "\"b\":{\"$ref\":\"#/$defs/a\"}}}");
    end_schema(out);
}

static void nested_schema(ae_bytes *out)
{
    begin_schema(out);
    repeat(out, "{\"type\":\"array\",\"items\":", 60);
    ae_bytes_add_text(out, "{}");
    repeat(out, "}", 60);
    end_schema(out);
}

static void many_items(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":"
                           "1000000000,\"maxItems\":2000000000}");
    end_schema(out);
}

static void items_of_items(ae_bytes *out)
{
    begin_schema(out);
    for (int i = 0; i < 8; i++)
        ae_bytes_add_text(out,
                          "{\"type\":\"array\",\"minItems\":1000,\"maxItems\":1000,\"items\":");
    ae_bytes_add_text(out, "{\"type\":\"null\"}");
    repeat(out, "}", 8);
    end_schema(out);
}

static void long_string(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"string\",\"minLength\":2000000000}");
    end_schema(out);
}

static void huge_repetition(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"string\",\"pattern\":\"^a{1,1000000000}$\"}");
    end_schema(out);
}

static void repetitions_of_repetitions(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"string\",\"pattern\":\"^((((a{99}){99}){99}){99}){99}$\"}");
    end_schema(out);
}

static void long_pattern(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"string\",\"pattern\":\"^");
    repeat(out, "(a|b)*c?", 10 << 17);
    ae_bytes_add_text(out, "$\"}");
    end_schema(out);
}

static void nested_pattern(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"string\",\"pattern\":\"^");
    repeat(out, "(", 50000);
    repeat(out, "a)*", 50000);
    ae_bytes_add_text(out, "$\"}");
    end_schema(out);
}

/* Every 'a' may be of either star: the ways to read a text double with its letters. */
static void ambiguous_pattern(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"string\",\"pattern\":\"^(a*a*)*(a*a*)*(a|a|a)*b$\"}");
    end_schema(out);
}

static void many_names(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"enum\":[0");
    for (int i = 1; i < 200000; i++) ae_bytes_printf(out, ",\"name %d\"", i);
    ae_bytes_add_text(out, "]}");
    end_schema(out);
}

static void many_properties(ae_bytes *out)
{
    begin_schema(out);
    ae_bytes_add_text(out, "{\"type\":\"object\",\"properties\":{\"p\":{}");
    for (int i = 1; i < 50000; i++)
        ae_bytes_printf(out, ",\"p%d\":{\"type\":\"object\",\"properties\":{\"q\":{}}}", i);
    ae_bytes_add_text(out, "}}");
    end_schema(out);
}

/* ---- grammars */

static void add_grammar(ae_bytes *out, const char *text)
{
    ae_bytes_printf(out, "{" SHORT TALK ",\"grammar\":\"%s\"}", text);
}

static void left_recursion(ae_bytes *out)
{
    add_grammar(out, "root ::= root \\\"a\\\" | \\\"b\\\"");
}

static void hidden_left_recursion(ae_bytes *out)
{
    add_grammar(out, "root ::= e a\\ne ::= \\\"x\\\"?\\na ::= e root \\\"y\\\" | \\\"z\\\"");
}

static void rule_without_end(ae_bytes *out)
{
    add_grammar(out, "root ::= \\\"a\\\" root");
}

static void star_of_nothing(ae_bytes *out)
{
    add_grammar(out, "root ::= ((\\\"\\\"* | \\\"a\\\"?)*)* \\\"b\\\"");
}

static void grammar_repetition(ae_bytes *out)
{
    add_grammar(out, "root ::= (((\\\"a\\\"{1000}){1000}){1000}){1000}");
}

static void ambiguous_grammar(ae_bytes *out)
{
    add_grammar(out, "root ::= s\\ns ::= \\\"a\\\" s | \\\"a\\\" s s | \\\"a\\\" s s s | [a-z ]");
}

static void nested_grammar(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"grammar\":\"root ::= ");
    repeat(out, "(", 100000);
    ae_bytes_add_text(out, "\\\"a\\\"");
    repeat(out, ")", 100000);
    ae_bytes_add_text(out, "\"}");
}

static void many_rules(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"grammar\":\"root ::= r0");
    for (int i = 0; i < 100000; i++) ae_bytes_printf(out, "\\nr%d ::= r%d r%d", i, i + 1, i + 1);
    ae_bytes_add_text(out, "\\nr100000 ::= \\\"a\\\"\"}");
}

/* ---- lists and numbers */

static void many_stops(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"stop\":[\"x\"");
    for (int i = 0; i < 100000; i++) ae_bytes_printf(out, ",\"stop %d\"", i);
    ae_bytes_add_text(out, "]}");
}

static void long_stop(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"stop\":\"");
    repeat(out, "aaaaaaaa", 1 << 18);
    ae_bytes_add_text(out, "\"}");
}

static void many_biases(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"logit_bias\":{\"0\":1");
    for (int i = 1; i < 500000; i++) ae_bytes_printf(out, ",\"%d\":1", i);
    ae_bytes_add_text(out, "}}");
}

static void many_tools(ae_bytes *out)
{
    ae_bytes_add_text(out, "{" SHORT TALK ",\"tool_choice\":\"required\",\"tools\":[");
    for (int i = 0; i < 20000; i++)
        ae_bytes_printf(out,
                        "%s{\"type\":\"function\",\"function\":{\"name\":\"f%d\",\"parameters\":{"
                        "\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}}}}}",
                        i ? "," : "", i);
    ae_bytes_add_text(out, "]}");
}

static void many_messages(ae_bytes *out)
{
    ae_bytes_add_text(out, "{\"model\":\"nursery\"," SHORT "\"messages\":[");
    for (int i = 0; i < 100000; i++)
        ae_bytes_printf(out, "%s{\"role\":\"%s\",\"content\":\"Go on.\"}", i ? "," : "",
                        i % 2 ? "assistant" : "user");
    ae_bytes_add_text(out, "]}");
}

static void long_message(ae_bytes *out)
{
    ae_bytes_add_text(out, "{\"model\":\"nursery\"," SHORT "\"messages\":[{\"role\":\"user\","
                           "\"content\":\"");
    repeat(out, "There was a fox. ", 1 << 20);
    ae_bytes_add_text(out, "\"}]}");
}

#define NUMBER(name, text)                                                                         \
    static void name(ae_bytes *out)                                                                \
    {                                                                                              \
        ae_bytes_add_text(out, "{" TALK "," text "}");                                             \
    }
NUMBER(billion_replies, "\"max_tokens\":1,\"n\":1000000000")
NUMBER(negative_replies, "\"max_tokens\":1,\"n\":-1")
NUMBER(endless_tokens, "\"max_tokens\":9223372036854775807")
NUMBER(more_tokens_than_numbers, "\"max_tokens\":99999999999999999999")
NUMBER(negative_tokens, "\"max_tokens\":-9223372036854775808")
NUMBER(nan_temperature, "\"temperature\":NaN")
NUMBER(infinite_temperature, "\"temperature\":1e999")
NUMBER(huge_temperature, "\"max_tokens\":1,\"temperature\":1e308")
NUMBER(huge_bias, "\"max_tokens\":1,\"logit_bias\":{\"5\":1e300}")
NUMBER(bias_of_no_token, "\"max_tokens\":1,\"logit_bias\":{\"99999999999\":1}")
NUMBER(huge_top, "\"max_tokens\":1,\"logprobs\":true,\"top_logprobs\":1000000000")
NUMBER(huge_penalty, "\"max_tokens\":1,\"repeat_penalty\":1e300,\"presence_penalty\":-1e300")
NUMBER(huge_seed, "\"max_tokens\":1,\"seed\":-99999999999999999999")

enum { ANY = 0 }; /* status: refused or done, as long as it is one of them */

static const struct {
    const char *name;
    write_fn *write;
    int status;
} bombs[] = {
#define BOMB(name, status)                                                                         \
    {                                                                                              \
#name, name, status                                                                        \
    }
    BOMB(nested_lists, 400),
    BOMB(nested_objects, 400),
    BOMB(nested_and_unclosed, 400),
    BOMB(doubling_refs, ANY),
    BOMB(doubling_all_of, ANY),
    BOMB(circle_of_refs, 400),
    BOMB(nested_schema, ANY),
    BOMB(many_items, 400),
    BOMB(items_of_items, ANY),
    BOMB(long_string, 400),
    BOMB(huge_repetition, 400),
    BOMB(repetitions_of_repetitions, ANY),
    BOMB(long_pattern, 400),
    BOMB(nested_pattern, 400),
    BOMB(ambiguous_pattern, ANY),
    BOMB(many_names, ANY),
    BOMB(many_properties, ANY),
    BOMB(left_recursion, 400),
    BOMB(hidden_left_recursion, 400),
    BOMB(rule_without_end, ANY),
    BOMB(star_of_nothing, ANY),
    BOMB(grammar_repetition, ANY),
    BOMB(ambiguous_grammar, ANY),
    BOMB(nested_grammar, 400),
    BOMB(many_rules, 400),
    BOMB(many_stops, 400),
    BOMB(long_stop, 400),
    BOMB(many_biases, 400),
    BOMB(many_tools, ANY),
    BOMB(many_messages, ANY),
    BOMB(long_message, ANY),
    BOMB(billion_replies, 400),
    BOMB(negative_replies, 400),
    BOMB(endless_tokens, ANY),
    BOMB(more_tokens_than_numbers, 400),
    BOMB(negative_tokens, 400),
    BOMB(nan_temperature, 400),
    BOMB(infinite_temperature, 400),
    BOMB(huge_temperature, 400),
    BOMB(huge_bias, ANY),
    BOMB(bias_of_no_token, 400),
    BOMB(huge_top, 400),
    BOMB(huge_penalty, 400),
    BOMB(huge_seed, 400),
};

/* The line of the table in docs/faults.md. */
static void tell(const char *name, size_t bytes, int status, double seconds, const char *reply)
{
    const char *body = strstr(reply, "\r\n\r\n"), *says = strstr(reply, "\"message\":\"");
    const char *from = says ? says + 11 : body ? body + 4 : "";
    size_t len = strcspn(from, says ? "\"" : "\r\n");
    print_message("| %-26s | %8zu | %d | %.3f | %zu | %.*s |\n", name, bytes, status, seconds,
                  ae_peak_rss_bytes() >> 20, len < 120 ? (int)len : 120, from);
}

static bool try(size_t i)
{
    ae_bytes body = { 0 };
    char *reply;
    bombs[i].write(&body);
    double start = ae_clock_seconds();
    int status = wire_ask("POST", "/v1/chat/completions", ae_span_of(&body), &reply);
    tell(bombs[i].name, body.len, status, ae_clock_seconds() - start, reply);
    bool fine = bombs[i].status ? status == bombs[i].status : status == 200 || status == 400;
    if (!fine) print_message("%s should be %d\n", bombs[i].name, bombs[i].status);
    ae_free(reply);
    ae_bytes_free(&body);
    return fine;
}

static void bombs_do_no_harm(void **state)
{
    int wrong = 0;
    (void)state;
    print_message("request, bytes, status, seconds, peak MB of client and server, what it says\n");
    for (size_t i = 0; i < AE_COUNT(bombs); i++) wrong += !try(i);
    assert_int_equal(wrong, 0);
    wire_await_rest();
    assert_int_equal(
        wire_ask("POST", "/v1/chat/completions", ae_span_text("{" SHORT TALK "}"), NULL), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(bombs_do_no_harm) };
    return cmocka_run_group_tests(tests, live_server_start, live_server_stop);
}

/* test_serve.c -- a whole server with the nursery's model, asked over loopback as clients of Ollama
 * and OpenAI ask it. */
#include "ask.h"
#include "live_server.h"
#include "scratch.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHAT                                                                                       \
    "'model':'nursery','messages':[{'role':'user','content':'Tell me of a fox.'}],"                \
    "'options':{'seed':7,'num_predict':20}"

#define CHAT_LONG "'model':'nursery','messages':[{'role':'user','content':'Go.'}]"

static void ollama_chats_are_answered(void **state)
{
    (void)state;
    json_t *whole = ask_json("/api/chat", "{" CHAT ",'stream':false}", 200);
    assert_string_equal(text_at(whole, "message.role"), "assistant");
    assert_true(json_is_true(at(whole, "done")));
    assert_true(json_integer_value(at(whole, "prompt_eval_count")) > 0);
    assert_true(json_integer_value(at(whole, "eval_duration")) > 0);

    /* The same, in pieces. */
    char *stream = ask("POST", "/api/chat", "{" CHAT "}", 200);
    ae_bytes text = { 0 };
    bool done = false;
    ae_bytes_add_text(&text, "");
    for (char *line = strtok(stream, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *one = json_loads(line, 0, NULL);
        assert_non_null(one);
        assert_false(done);
        ae_bytes_add_text(&text, text_at(one, "message.content"));
        done = json_is_true(at(one, "done"));
        json_decref(one);
    }
    assert_true(done);
    assert_string_equal(text.data, text_at(whole, "message.content"));
    ae_bytes_free(&text);
    ae_free(stream);
    json_decref(whole);
}

static void ollama_generates(void **state)
{
    (void)state;
    json_t *r = ask_json("/api/generate",
                         "{'model':'nursery','prompt':'A fox','stream':false,'raw':true,"
                         "'options':{'temperature':0,'num_predict':5}}",
                         200);
    assert_true(*text_at(r, "response"));
    assert_string_equal(text_at(r, "done_reason"), "length");
    json_decref(r);
    r = ask_json("/api/generate", "{'model':'nursery'}", 200);
    assert_string_equal(text_at(r, "done_reason"), "load");
    json_decref(r);
}

static void openai_chats_are_answered(void **state)
{
    (void)state;
    json_t *r = ask_json("/v1/chat/completions",
                         "{'model':'nursery','messages':[{'role':'user','content':[{'type':'text',"
                         "'text':'Tell me of a fox.'}]}],'seed':3,'max_tokens':12,'n':2,"
                         "'logprobs':true,'top_logprobs':2}",
                         200);
    assert_string_equal(text_at(r, "object"), "chat.completion");
    assert_int_equal(json_array_size(at(r, "choices")), 2);
    assert_string_equal(text_at(r, "choices.1.message.role"), "assistant");
    assert_int_equal(json_array_size(at(r, "choices.0.logprobs.content.0.top_logprobs")), 2);
    assert_true(json_real_value(at(r, "choices.0.logprobs.content.0.logprob")) <= 0);
    assert_true(json_integer_value(at(r, "usage.completion_tokens")) > 0);
    json_decref(r);

    char *stream =
        ask("POST", "/v1/chat/completions",
            "{'model':'nursery','messages':[{'role':'user','content':'Tell me of a "
            "fox.'}],'max_tokens':6,'stream':true,'stream_options':{'include_usage':true}}",
            200);
    assert_true(!strncmp(stream, "data: {", 7));
    assert_non_null(strstr(stream, "\"delta\":{\"role\":\"assistant\""));
    assert_non_null(strstr(stream, "\"choices\":[],\"usage\":{"));
    assert_non_null(strstr(stream, "\n\ndata: [DONE]\n\n"));
    ae_free(stream);
}

static void replies_are_held_to_schemas(void **state)
{
    (void)state;
    json_t *r =
        ask_json("/v1/chat/completions",
                 "{'model':'nursery','messages':[{'role':'user','content':'Who?'}],'temperature':2,"
                 "'response_format':{'type':'json_schema','json_schema':{'name':'x','schema':"
                 "{'type':'object','properties':{'kind':{'enum':['fox','bird']},'age':"
                 "{'type':'integer','minimum':1,'maximum':9}},'required':['kind','age']}}}}",
                 200);
    json_t *value = json_loads(text_at(r, "choices.0.message.content"), 0, NULL);
    assert_true(json_is_integer(at(value, "age")) && json_is_string(at(value, "kind")));
    json_decref(value);
    json_decref(r);
    expect_text(
        "/v1/chat/completions",
        "{'model':'nursery','messages':[{'role':'user','content':'Who?'}],'response_format':"
        "{'type':'json_schema','json_schema':{'schema':{'not':{}}}}}",
        400, "cannot be enforced");
    expect_text("/api/chat", "{" CHAT ",'format':'yaml'}", 400, "invalid format");
}

#define TOOLS                                                                                      \
    "'tools':[{'type':'function','function':{'name':'weather','parameters':{'type':'object',"      \
    "'properties':{'city':{'$ref':'#/$defs/city'},'days':{'type':'integer','minimum':1,"           \
    "'maximum':7}},'required':['city','days'],'$defs':{'city':{'enum':['Oslo','Rome']}}}}},"       \
    "{'type':'function','function':{'name':'clock'}}],"

/* The nursery's model knows nothing of tools: the grammar alone makes it call them. */
static void tools_must_be_called(void **state)
{
    (void)state;
    json_t *r = ask_json("/v1/chat/completions",
                         "{" TOOLS "'model':'nursery','messages':[{'role':'user','content':'Go.'}],"
                         "'temperature':2,'tool_choice':{'type':'function','function':{'name':"
                         "'weather'}}}",
                         200);
    assert_string_equal(text_at(r, "choices.0.finish_reason"), "tool_calls");
    assert_true(json_is_null(at(r, "choices.0.message.content")));
    assert_string_equal(text_at(r, "choices.0.message.tool_calls.0.type"), "function");
    assert_string_equal(text_at(r, "choices.0.message.tool_calls.0.function.name"), "weather");
    json_t *arguments =
        json_loads(text_at(r, "choices.0.message.tool_calls.0.function.arguments"), 0, NULL);
    assert_true(json_is_string(at(arguments, "city")));
    assert_in_range(json_integer_value(at(arguments, "days")), 1, 7);
    json_decref(arguments);
    json_decref(r);

    char *stream = ask("POST", "/v1/chat/completions",
                       "{" TOOLS "'model':'nursery','messages':[{'role':'user','content':'Go.'}],"
                       "'tool_choice':'required','stream':true}",
                       200);
    assert_non_null(strstr(stream, "\"delta\":{\"tool_calls\":[{\"id\":\"call_"));
    assert_non_null(strstr(stream, "\"finish_reason\":\"tool_calls\""));
    ae_free(stream);

    r = ask_json("/api/chat", "{" TOOLS CHAT_LONG ",'stream':false,'tool_choice':'required'}", 200);
    assert_string_equal(text_at(r, "message.content"), "");
    assert_int_equal(strlen(text_at(r, "message.tool_calls.0.id")), 13);
    assert_true(json_is_object(at(r, "message.tool_calls.0.function.arguments")));
    json_decref(r);
    expect_text("/api/chat", "{" TOOLS CHAT_LONG ",'tool_choice':'required'}", 200,
                "\"content\":\"\",\"tool_calls\":[{\"id\":\"call_");
    expect_text("/api/chat", "{" TOOLS CHAT ",'tool_choice':'none','stream':false}", 200,
                "\"done\":true");
}

static void responses_are_streams_of_events(void **state)
{
    static const char *const order[] = {
        "response.created",           "response.in_progress",
        "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done",
        "response.content_part.done", "response.output_item.done",
        "response.incomplete"
    };
    (void)state;
    json_t *r =
        ask_json("/v1/responses",
                 "{'model':'nursery','input':'Tell me of a fox.','instructions':'Be brief.',"
                 "'max_output_tokens':5,'seed':3}",
                 200);
    assert_string_equal(text_at(r, "object"), "response");
    assert_string_equal(text_at(r, "status"), "incomplete");
    assert_string_equal(text_at(r, "incomplete_details.reason"), "max_output_tokens");
    assert_string_equal(text_at(r, "output.0.content.0.type"), "output_text");
    assert_int_equal(json_integer_value(at(r, "usage.output_tokens")), 5);

    char *stream = ask("POST", "/v1/responses",
                       "{'model':'nursery','input':[{'role':'user','content':[{'type':'input_text',"
                       "'text':'Tell me of a fox.'}]}],'instructions':'Be brief.',"
                       "'max_output_tokens':5,'seed':3,'stream':true}",
                       200);
    const char *line = stream, *last = stream;
    ae_bytes text = { 0 };
    json_int_t n = 0;
    for (size_t i = 0; (line = strstr(line, "event: ")); line++) {
        size_t len = strcspn(line + 7, "\n");
        while (i < AE_COUNT(order) && strncmp(order[i], line + 7, len) != 0) i++;
        assert_true(i < AE_COUNT(order));
        json_t *event = json_loads(last = strstr(line, "data: ") + 6, JSON_DISABLE_EOF_CHECK, NULL);
        assert_int_equal(json_integer_value(at(event, "sequence_number")), n++);
        if (at(event, "delta")) ae_bytes_add_text(&text, text_at(event, "delta"));
        json_decref(event);
    }
    assert_string_equal(text.data, text_at(r, "output.0.content.0.text"));
    assert_non_null(strstr(last, "\"status\":\"incomplete\""));
    ae_bytes_free(&text);
    ae_free(stream);
    json_decref(r);
}

/* Sixty questions and answers, more than the context holds. */
static void long_input(const char *more, int status, const char *says)
{
    ae_bytes body = { 0 };
    ae_bytes_add_text(&body, "{'model':'nursery','max_output_tokens':1,'input':[");
    for (int i = 0; i < 60; i++)
        ae_bytes_printf(&body, "{'role':'%s','content':'a b c d e f g h i'},",
                        i % 2 ? "assistant" : "user");
    ae_bytes_printf(&body, "{'role':'user','content':'Go.'}]%s}", more);
    expect_text("/v1/responses", body.data, status, says);
    ae_bytes_free(&body);
}

static void responses_call_tools(void **state)
{
    (void)state;
    json_t *r =
        ask_json("/v1/responses",
                 "{'model':'nursery','tools':[{'type':'function','name':'clock','parameters':"
                 "{'type':'object','properties':{'zone':{'enum':['east','west']}},"
                 "'required':['zone']}}],'tool_choice':'required','input':[{'role':'user',"
                 "'content':'Go.'},{'type':'function_call','call_id':'c','name':'clock',"
                 "'arguments':'{}'},{'type':'function_call_output','call_id':'c',"
                 "'output':'No.'}]}",
                 200);
    assert_string_equal(text_at(r, "output.0.type"), "function_call");
    assert_string_equal(text_at(r, "output.0.name"), "clock");
    assert_non_null(strstr(text_at(r, "output.0.arguments"), "{\"zone\":"));
    json_decref(r);
    expect_text("/v1/responses", "{'model':'nursery','input':'x','previous_response_id':'y'}", 400,
                "whole conversation");
    expect_text("/v1/responses", "{'model':'nursery'}", 400, "input must be");
    long_input("", 400, "\"error\"");
    long_input(",'truncation':'auto'", 200, "\"dropped_messages\":");
    expect_text("/v1/responses", "{'model':'nursery','input':[{'type':'item_reference','id':'x'}]}",
                400, "item_reference");
    expect_text("/v1/responses",
                "{'model':'nursery','input':'x','temperature':2,'text':{'format':{'type':"
                "'json_schema','name':'n','schema':{'enum':['yes']}}}}",
                200, "\"text\":\"\\\"yes\\\"\"");
}

static void messages_are_answered(void **state)
{
    (void)state;
    json_t *r =
        ask_json("/v1/messages",
                 "{'model':'nursery','max_tokens':5,'seed':3,'system':[{'type':'text','text':"
                 "'Be brief.'}],'messages':[{'role':'user','content':[{'type':'text','text':"
                 "'Tell me of a fox.'}]}]}",
                 200);
    assert_string_equal(text_at(r, "type"), "message");
    assert_string_equal(text_at(r, "stop_reason"), "max_tokens");
    assert_string_equal(text_at(r, "content.0.type"), "text");
    json_int_t prompt = json_integer_value(at(r, "usage.input_tokens")) +
                        json_integer_value(at(r, "usage.cache_read_input_tokens"));
    assert_int_equal(json_integer_value(at(r, "usage.output_tokens")), 5);

    json_t *n = ask_json("/v1/messages/count_tokens",
                         "{'model':'nursery','system':'Be brief.','messages':[{'role':'user',"
                         "'content':'Tell me of a fox.'}]}",
                         200);
    assert_int_equal(json_integer_value(at(n, "input_tokens")), prompt);
    json_decref(n);

    char *stream = ask("POST", "/v1/messages",
                       "{'model':'nursery','max_tokens':5,'seed':3,'system':'Be brief.','stream':"
                       "true,'messages':[{'role':'user','content':'Tell me of a fox.'}]}",
                       200);
    static const char *const order[] = { "message_start",       "ping",
                                         "content_block_start", "content_block_delta",
                                         "content_block_stop",  "message_delta",
                                         "message_stop" };
    const char *line = stream;
    ae_bytes text = { 0 };
    for (size_t i = 0; (line = strstr(line, "event: ")); line++) {
        size_t len = strcspn(line + 7, "\n");
        while (i < AE_COUNT(order) && strncmp(order[i], line + 7, len) != 0) i++;
        assert_true(i < AE_COUNT(order));
        json_t *event = json_loads(strstr(line, "data: ") + 6, JSON_DISABLE_EOF_CHECK, NULL);
        if (at(event, "delta.text")) ae_bytes_add_text(&text, text_at(event, "delta.text"));
        json_decref(event);
    }
    assert_string_equal(text.data, text_at(r, "content.0.text"));
    assert_non_null(strstr(stream, "event: message_stop\n"));
    ae_bytes_free(&text);
    ae_free(stream);
    json_decref(r);
}

#define CLOCK                                                                                      \
    "{'model':'nursery','max_tokens':200,'tools':[{'name':'clock','input_schema':{'type':"         \
    "'object','properties':{'zone':{'enum':['east','west']}},'required':['zone']}}],"              \
    "'tool_choice':{'type':'any'},'messages':[{'role':'user','content':'Go.'},"                    \
    "{'role':'assistant','content':[{'type':'tool_use','id':'t','name':'clock','input':{}}]},"     \
    "{'role':'user','content':[{'type':'tool_result','tool_use_id':'t','content':'No.'}]}]"

static void messages_call_tools(void **state)
{
    (void)state;
    json_t *r = ask_json("/v1/messages", CLOCK "}", 200);
    assert_string_equal(text_at(r, "stop_reason"), "tool_use");
    assert_string_equal(text_at(r, "content.0.type"), "tool_use");
    assert_true(*text_at(r, "content.0.input.zone"));
    json_decref(r);
    expect_text("/v1/messages", CLOCK ",'stream':true}", 200,
                "\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"zone\\\":");
    expect_text("/v1/messages", "{'model':'nursery','messages':[{'role':'user','content':'x'}]}",
                400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\"");
    expect_text("/v1/messages",
                "{'model':'nursery','max_tokens':1,'messages':[{'role':'tool','content':'x'}]}",
                400, "must be user or assistant");
    expect_text("/v1/messages",
                "{'model':'nursery','max_tokens':1,'messages':[{'role':'user','content':[{'type':"
                "'image'}]}]}",
                400, "no text");
    expect_text("/v1/messages", "{'model':'no','max_tokens':1,'messages':[]}", 404,
                "not_found_error");
}

static void completions_echo_log_probabilities(void **state)
{
    (void)state;
    json_t *r = ask_json("/v1/completions",
                         "{'model':'nursery','prompt':['A fox ran','A bird'],'max_tokens':0,"
                         "'echo':true,'logprobs':1}",
                         200);
    assert_int_equal(json_array_size(at(r, "choices")), 2);
    assert_non_null(strstr(text_at(r, "choices.0.text"), "fox ran"));
    size_t n = json_array_size(at(r, "choices.0.logprobs.tokens"));
    assert_int_equal(json_array_size(at(r, "choices.0.logprobs.token_logprobs")), n);
    assert_true(json_is_null(at(r, "choices.0.logprobs.token_logprobs.0")));
    assert_true(json_real_value(at(r, "choices.0.logprobs.token_logprobs.1")) < 0);
    json_decref(r);
    /* One token more, which is there though it is the nursery's EOS (2), which ends a reply. */
    r = ask_json("/v1/completions",
                 "{'model':'nursery','prompt':'A fox ran','max_tokens':1,'echo':true,'logprobs':1,"
                 "'logit_bias':{'2':100}}",
                 200);
    assert_int_equal(json_array_size(at(r, "choices.0.logprobs.token_logprobs")), n + 1);
    assert_string_equal(text_at(r, "choices.0.finish_reason"), "length");
    json_decref(r);
}

static void texts_become_tokens_and_back(void **state)
{
    (void)state;
    json_t *r = ask_json("/tokenize", "{'model':'nursery','content':'A fox'}", 200);
    json_t *begun =
        ask_json("/tokenize", "{'model':'nursery','content':'A fox','add_special':true}", 200);
    char *tokens = json_dumps(at(r, "tokens"), JSON_COMPACT);
    assert_int_equal(json_array_size(at(begun, "tokens")), json_array_size(at(r, "tokens")) + 1);
    json_decref(begun);
    json_decref(r);

    ae_bytes body = { 0 };
    ae_bytes_printf(&body, "{'model':'nursery','tokens':%s}", tokens);
    expect_text("/detokenize", body.data, 200, "{\"content\":\"A fox\"}");
    expect_text("/detokenize", "{'model':'nursery','tokens':[1,2]}", 200,
                "{\"content\":\"<s></s>\"}");
    ae_bytes_clear(&body);
    /* A list of texts and tokens; pieces are the text again. */
    ae_bytes_printf(&body, "{'model':'nursery','with_pieces':true,'content':[%.*s,' ran.']}",
                    (int)strlen(tokens) - 2, tokens + 1);
    r = ask_json("/tokenize", body.data, 200);
    ae_bytes_clear(&body);
    for (size_t i = 0; i < json_array_size(at(r, "tokens")); i++) {
        const json_t *one = json_array_get(at(r, "tokens"), i);
        assert_true(json_is_integer(at(one, "id")));
        ae_bytes_add_text(&body, text_at(one, "piece"));
    }
    assert_string_equal(body.data, "A fox ran.");
    ae_bytes_free(&body);
    json_decref(r);
    free(tokens);
    expect_text("/tokenize", "{'model':'nursery','content':3}", 400, "content must be");
    expect_text("/tokenize", "{'model':'nursery','content':[-1]}", 400, "a token is");
    expect_text("/detokenize", "{'model':'nursery','tokens':[999999]}", 400, "a token is");
    expect_text("/detokenize", "{'model':'nursery'}", 400, "tokens must be");
}

/* The prompt is the one that a chat has. */
static void conversations_become_prompts(void **state)
{
    (void)state;
    json_t *r = ask_json("/apply-template",
                         "{'model':'nursery','messages':[{'role':'user','content':[{'type':'text',"
                         "'text':'Who?'}]}]}",
                         200);
    json_t *body = json_pack("{s:s, s:s, s:b}", "model", "nursery", "content", text_at(r, "prompt"),
                             "add_special", 1);
    char *text = json_dumps(body, 0);
    assert_non_null(strstr(text_at(r, "prompt"), "Who?"));
    json_t *tokens = ask_json("/tokenize", text, 200);
    json_t *chat = ask_json("/v1/chat/completions",
                            "{'model':'nursery','max_tokens':1,'messages':[{'role':'user',"
                            "'content':'Who?'}]}",
                            200);
    assert_int_equal(json_integer_value(at(chat, "usage.prompt_tokens")),
                     json_array_size(at(tokens, "tokens")));
    json_decref(chat);
    json_decref(tokens);
    json_decref(body);
    json_decref(r);
    free(text);
    expect_text("/apply-template", "{'model':'nursery'}", 400, "messages must be");
}

/* A conversation by /api/generate: each prompt after the tokens that came back. */
static void generation_goes_on_from_a_context(void **state)
{
    (void)state;
    const char *first = "{'model':'nursery','prompt':'Tell me of a fox.','stream':false,"
                        "'options':{'seed':7,'num_predict':9}}";
    json_t *one = ask_json("/api/generate", first, 200);
    json_int_t n_prompt = json_integer_value(at(one, "prompt_eval_count"));
    size_t n = json_array_size(at(one, "context"));
    /* The prompt's tokens and the reply's, but for one that may have ended it. */
    json_int_t n_reply = json_integer_value(at(one, "eval_count"));
    assert_in_range(n, n_prompt + n_reply - 1, n_prompt + n_reply);

    char *context = json_dumps(at(one, "context"), JSON_COMPACT);
    ae_bytes body = { 0 };
    ae_bytes_printf(&body,
                    "{'model':'nursery','prompt':'And a bear?','context':%s,'stream':false,"
                    "'options':{'seed':7,'num_predict':4}}",
                    context);
    json_t *two = ask_json("/api/generate", body.data, 200);
    json_int_t n_second = json_integer_value(at(two, "prompt_eval_count"));
    assert_true(n_second > (json_int_t)n);
    assert_true(json_array_size(at(two, "context")) >= (size_t)n_second);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(json_integer_value(json_array_get(at(two, "context"), i)),
                         json_integer_value(json_array_get(at(one, "context"), i)));
    expect_text("/api/generate", "{'model':'nursery','prompt':'x','context':['y']}", 400,
                "context must be a list of tokens");
    json_t *raw = ask_json("/api/generate",
                           "{'model':'nursery','prompt':'A','raw':true,"
                           "'stream':false,'options':{'num_predict':1}}",
                           200);
    assert_null(at(raw, "context"));
    json_decref(raw);
    json_decref(one);
    json_decref(two);
    free(context);
    ae_bytes_free(&body);
}

static void prompts_are_shown(void **state)
{
    (void)state;
    json_t *r = ask_json("/api/chat", "{" CHAT ",'_debug_render_only':true}", 200);
    assert_non_null(strstr(text_at(r, "_debug_info.rendered_template"), "Tell me of a fox."));
    assert_null(at(r, "eval_count"));
    json_decref(r);
}

/* Ollama's clients expect it; the reply says which. */
static void long_inputs_are_cut_where_they_may(void **state)
{
    ae_bytes body = { 0 };
    (void)state;
    ae_bytes_add_text(&body, "'model':'nursery','input':['A fox','");
    for (int i = 0; i < 3000; i++) ae_bytes_add_text(&body, "a fox ");
    ae_bytes_add_text(&body, "']");
    ae_bytes whole = { 0 }, not = { 0 };
    ae_bytes_printf(&whole, "{%s}", body.data);
    ae_bytes_printf(&not, "{%s,'truncate':false}", body.data);
    json_t *r = ask_json("/api/embed", whole.data, 200);
    assert_int_equal(json_array_size(at(r, "embeddings")), 2);
    assert_int_equal(json_array_size(at(r, "truncated")), 1);
    assert_int_equal(json_integer_value(at(r, "truncated.0")), 1);
    json_decref(r);
    expect_text("/api/embed", not .data, 400, "exceeds the context length");
    expect_text("/v1/embeddings", whole.data, 400, "exceeds the context length");
    expect_text("/v1/embeddings", whole.data, 400, "\"code\":\"context_length_exceeded\"");
    ae_bytes_free(&body);
    ae_bytes_free(&whole);
    ae_bytes_free(&not );
}

static void texts_become_vectors(void **state)
{
    (void)state;
    json_t *r = ask_json("/api/embed", "{'model':'nursery','input':['A fox','A bird']}", 200);
    assert_int_equal(json_array_size(at(r, "embeddings")), 2);
    size_t n = json_array_size(at(r, "embeddings.0"));
    json_decref(r);
    r = ask_json("/v1/embeddings", "{'model':'nursery','input':'A fox','encoding_format':'base64'}",
                 200);
    assert_int_equal(strlen(text_at(r, "data.0.embedding")), (4 * n + 2) / 3 * 4);
    json_decref(r);
}

static void models_are_listed(void **state)
{
    (void)state;
    expect_text("/api/tags", NULL, 200, "\"nursery");
    expect_text("/v1/models", NULL, 200, "\"id\":\"nursery");
    expect_text("/api/ps", NULL, 200, "\"expires_at\"");
    expect_text("/api/show", "{'model':'nursery'}", 200, "\"model_info\"");
    expect_text("/metrics", NULL, 200, "aerie_reply_tokens_total{model=\"nursery");
    expect_text("/api/version", NULL, 200, "\"version\"");
}

static void wrong_requests_are_sentences(void **state)
{
    static const struct {
        const char *path, *body, *says;
        int status;
    } cases[] = {
        { "/api/chat", "{'model':'no','messages':[{'role':'user','content':'x'}]}",
          "{\"error\":\"model 'no' not found\"}", 404 },
        { "/api/chat", "{'messages':[]}", "model is required", 400 },
        { "/api/chat", "[]", "must be a JSON object", 400 },
        { "/api/chat", "{'model':", "this is not JSON", 400 },
        { "/api/chat", "{" CHAT ",'keep_alive':'5'}", "invalid keep_alive", 400 },
        { "/api/chat", "{" CHAT_LONG ",'stream':'false'}", "stream must be true or false", 400 },
        { "/api/create", "{'model':'x','from':'nursery','stream':0}", "stream must be", 400 },
        { "/v1/chat/completions", "{" CHAT_LONG ",'stream':1}", "stream must be true or false",
          400 },
        { "/v1/embeddings", "{'model':'nursery'}", "input is required", 400 },
        { "/v1/embeddings", "{'model':'nursery','input':[]}", "input is required", 400 },
        { "/v1/embeddings", "{'model':'nursery','input':'x','encoding_format':'hex'}",
          "encoding_format must be float or base64", 400 },
        { "/api/chat",
          "{'model':'nursery','messages':[{'role':'user','content':'x'}],'options':"
          "{'num_ctx':'big'}}",
          "option \\\"num_ctx\\\" must be of type integer", 400 },
        { "/api/chat", "{" CHAT ",'top_logprobs':21}", "top_logprobs must be between 0 and 20",
          400 },
        { "/api/generate", "{'model':'nursery','prompt':'x','raw':true,'system':'y'}",
          "raw mode does not support", 400 },
        { "/api/embed", "{'model':'nursery','input':[{}]}", "invalid input type", 400 },
        { "/v1/chat/completions", "{'model':'no','messages':[]}", "not_found_error", 404 },
        { "/v1/chat/completions", "{'model':'nursery','messages':[]}", "invalid_request_error",
          400 },
        { "/v1/chat/completions",
          "{'model':'nursery','messages':[{'role':'user','content':'x'}],'temperature':-1}",
          "temperature must be", 400 },
        { "/v1/chat/completions", "{" CHAT_LONG ",'tools':[{'type':'web'}]}", "tool 0 is not",
          400 },
        { "/v1/chat/completions", "{" CHAT_LONG ",'tool_choice':'required'}", "there are no tools",
          400 },
        { "/v1/chat/completions", "{" TOOLS CHAT_LONG ",'tool_choice':'sometimes'}",
          "tool_choice must be", 400 },
        { "/api/chat",
          "{" CHAT_LONG ",'tool_choice':'required','tools':[{'function':{'name':'f','parameters':"
          "{'properties':{'a':{'not':{}}}}}}]}",
          "cannot be enforced", 400 },
        { "/v1/completions", "{'model':'nursery','prompt':{}}", "prompt must be", 400 },
        { "/v1/score", "{'model':'nursery'}", "give messages with responses", 400 },
        { "/v1/score", "{'model':'nursery','messages':[{}]}", "message 0 has no role", 400 },
        { "/v1/score", "{" CHAT_LONG ",'responses':[[]]}", "response 0 must be", 400 },
        { "/v1/score", "{'model':'nursery','text_1':['a','b'],'text_2':['c']}",
          "2 texts with 1 others", 400 },
        { "/v1/score", "{'model':'nursery','text_1':'a','text_2':'b'}", "no head that scores",
          400 },
        { "/v1/rerank", "{'model':'nursery','query':'a','documents':[3]}", "must be texts", 400 },
        { "/rerank", "{'model':'nursery','query':'a','documents':['b'],'top_n':-1}",
          "top_n must be", 400 },
        { "/v1/nothing", "{}", "404 page not found", 404 },
    };
    ae_bytes deep = { 0 };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        expect_text(cases[i].path, cases[i].body, cases[i].status, cases[i].says);
    for (int i = 0; i < 2000; i++) ae_bytes_add_char(&deep, '[');
    expect_text("/api/chat", deep.data, 400, "nested deeper");
    ae_bytes_free(&deep);
}

static double cancelled(void)
{
    char *text = ask("GET", "/metrics", NULL, 200);
    const char *line = strstr(text, "\naerie_requests_cancelled_total{");
    double n = line ? atof(strchr(line, '}') + 1) : 0;
    ae_free(text);
    return n;
}

static void a_client_that_leaves_is_cancelled(void **state)
{
    static const char body[] = "{\"model\":\"nursery\",\"prompt\":\"A fox\",\"raw\":true}";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server.port) };
    char text[512];
    double before = cancelled();
    (void)state;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 8; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
        int n = snprintf(
            text, sizeof text,
            "POST /api/generate HTTP/1.1\r\nHost: a.localhost\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(body), body);
        assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
        close(fd);
    }
    /* Some may be done before it is noticed. */
    for (int i = 0; i < 500 && cancelled() <= before; i++) usleep(10000);
    assert_true(cancelled() > before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ollama_chats_are_answered),
        cmocka_unit_test(ollama_generates),
        cmocka_unit_test(openai_chats_are_answered),
        cmocka_unit_test(replies_are_held_to_schemas),
        cmocka_unit_test(tools_must_be_called),
        cmocka_unit_test(responses_are_streams_of_events),
        cmocka_unit_test(responses_call_tools),
        cmocka_unit_test(messages_are_answered),
        cmocka_unit_test(messages_call_tools),
        cmocka_unit_test(completions_echo_log_probabilities),
        cmocka_unit_test(texts_become_tokens_and_back),
        cmocka_unit_test(conversations_become_prompts),
        cmocka_unit_test(texts_become_vectors),
        cmocka_unit_test(long_inputs_are_cut_where_they_may),
        cmocka_unit_test(generation_goes_on_from_a_context),
        cmocka_unit_test(prompts_are_shown),
        cmocka_unit_test(models_are_listed),
        cmocka_unit_test(wrong_requests_are_sentences),
        cmocka_unit_test(a_client_that_leaves_is_cancelled),
    };
    return cmocka_run_group_tests(tests, live_server_start, live_server_stop);
}

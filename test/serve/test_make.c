/* test_make.c -- models made, pulled and pushed through a server, against a registry on loopback.
 */
#include "ask.h"
#include "reader.h"
#include "registry.h"
#include "scratch.h"

#include "aerie/model.h"

#include <dirent.h>

static int start(void **state)
{
    alarm(300); /* a test that waits for what never comes ends */
    return !registry_start(0) || ask_start(state);
}

static int stop(void **state)
{
    int code = ask_stop(state);
    registry_stop();
    return code;
}

static void forget_pulled(void)
{
    ae_free(ask("DELETE", "/api/delete", registry_about("team/net:v1", ""), 200));
    registry_reset();
}

/* ---- pulling ---- */

static void a_model_is_pulled(void **state)
{
    char *lines = ask("POST", "/api/pull", registry_about("team/net:v1", ""), 200), wanted[300];
    (void)state;
    expect_success(lines);
    snprintf(wanted, sizeof wanted,
             "{\"status\":\"pulling %.12s\",\"digest\":\"sha256:%s\",\"total\":%zu,\"completed\":"
             "%zu}\n",
             registry.hex, registry.hex, registry.weights.len, registry.weights.len);
    assert_non_null(strstr(lines, "{\"status\":\"pulling manifest\"}\n"));
    assert_non_null(strstr(lines, wanted));
    assert_non_null(strstr(lines, "{\"status\":\"verifying sha256 digest\"}\n"));
    assert_non_null(strstr(lines, "{\"status\":\"writing manifest\"}\n"));
    ae_free(lines);
    /* Again, and in one object. */
    lines = ask("POST", "/api/pull", registry_about("team/net:v1", ",'stream':false"), 200);
    assert_string_equal(lines, "{\"status\":\"success\"}");
    ae_free(lines);
    for (int i = 0; i < registry.n_parts; i++) assert_int_equal(registry.served[i], 1);
    expect_text("/api/generate", registry_about("team/net:v1", ",'prompt':'A fox','stream':false"),
                200, "\"done\":true");
    forget_pulled();
}

static void what_cannot_be_pulled_is_a_sentence(void **state)
{
    (void)state;
    expect_text("/api/pull", "{}", 400, "model is required");
    expect_text("/api/pull", "{'name':'../x'}", 400, "invalid model name");
    expect_text("/api/pull", registry_about("team/none:v1", ""), 200,
                "\n{\"error\":\"pull model manifest: file does not exist");
    expect_text("/api/pull", registry_about("team/none:v1", ",'stream':false"), 404,
                "{\"error\":\"pull model manifest: file does not exist");
    expect_text("/api/push", registry_about("team/none:v1", ""), 404, "there is no model");
    expect_text("/api/push", "{'model':'nursery'}", 400, "plain file");
}

static void two_that_pull_share_the_work(void **state)
{
    reader first = { .wanted = "\"completed\":" }, second = { .wanted = "\"completed\":" };
    (void)state;
    registry.held = true;
    reader_start(&first, ask_url(), "/api/pull", registry_about("team/net:v1", ""));
    WAIT_FOR(registry.waiting == registry.n_parts - 1 && first.seen);
    reader_start(&second, ask_url(), "/api/pull", registry_about("team/net:v1", ""));
    WAIT_FOR(second.seen);
    registry.held = false;
    reader_wait(&first);
    reader_wait(&second);
    expect_success(first.text.data);
    expect_success(second.text.data);
    for (int i = 0; i < registry.n_parts; i++) assert_int_equal(registry.served[i], 1);
    reader_end(&first);
    reader_end(&second);
    forget_pulled();
}

/* Of two, one leaves: the other's goes on. When nobody is left it stops, and what came stays. */
static void who_leaves_stops_what_nobody_else_wants(void **state)
{
    char part[48];
    (void)state;
    /* The first part, and half of the others. */
    size_t last = registry.weights.len - (size_t)(registry.n_parts - 1) * REGISTRY_PART;
    snprintf(part, sizeof part, "\"completed\":%zu}", 2 * (size_t)REGISTRY_PART + last / 2);
    reader first = { .until = part, .wanted = part }, second = { .wanted = part };
    registry.held = true;
    reader_start(&second, ask_url(), "/api/pull", registry_about("team/net:v1", ""));
    reader_start(&first, ask_url(), "/api/pull", registry_about("team/net:v1", ""));
    reader_wait(&first);
    assert_int_equal(first.status, AERIE_INTERRUPTED);
    WAIT_FOR(registry.waiting == registry.n_parts - 1 && second.seen);
    registry.held = false;
    reader_wait(&second);
    expect_success(second.text.data);
    reader_end(&first);
    reader_end(&second);
    forget_pulled();

    reader only = { .until = part };
    registry.held = true;
    reader_start(&only, ask_url(), "/api/pull", registry_about("team/net:v1", ""));
    WAIT_FOR(registry.gone == registry.n_parts - 1);
    reader_end(&only);
    assert_int_equal(registry.served[0], 1);
    registry.held = false;
    expect_text("/api/show", registry_about("team/net:v1", ""), 404, "not found");
    ae_free(ask("POST", "/api/pull", registry_about("team/net:v1", ",'stream':false"), 200));
    for (int i = 0; i < registry.n_parts; i++) assert_int_equal(registry.served[i], 1);
    forget_pulled();
}

/* The server is told to stop: what came stays, and a later one goes on. */
static void the_servers_end_is_no_loss(void **state)
{
    reader c = { .wanted = "\"completed\":" };
    (void)state;
    registry.held = true;
    reader_start(&c, ask_url(), "/api/pull", registry_about("team/net:v1", ""));
    WAIT_FOR(registry.waiting == registry.n_parts - 1 && registry.served[0] == 1);
    ask_end();
    reader_end(&c);
    WAIT_FOR(registry.gone == registry.n_parts - 1);
    registry.held = false;
    assert_int_equal(ask_begin(), 0);
    ae_free(ask("POST", "/api/pull", registry_about("team/net:v1", ",'stream':false"), 200));
    for (int i = 0; i < registry.n_parts; i++) assert_int_equal(registry.served[i], 1);
    forget_pulled();
}

/* ---- making ---- */

static void a_model_is_made_of_another(void **state)
{
    (void)state;
    char *lines = ask("POST", "/api/create",
                      "{'model':'fox','from':'nursery','system':'You are a fox.','license':['A',"
                      "'B'],'parameters':{'temperature':0,'num_predict':8,'stop':['x']},"
                      "'messages':[{'role':'user','content':'Hi.'}]}",
                      200);
    expect_success(lines);
    assert_non_null(strstr(lines, "{\"status\":\"parsing GGUF\"}\n"));
    assert_non_null(strstr(lines, "{\"status\":\"writing manifest\"}\n"));
    ae_free(lines);
    json_t *shown = ask_json("/api/show", "{'name':'fox'}", 200);
    assert_string_equal(text_at(shown, "system"), "You are a fox.");
    assert_non_null(strstr(text_at(shown, "license"), "B"));
    assert_string_equal(text_at(shown, "messages.0.content"), "Hi.");
    json_decref(shown);
    expect_text("/api/chat", "{'model':'fox','messages':[{'role':'user','content':'Go.'}]}", 200,
                "\"done\":true");
    /* Over itself, and in one object. */
    lines = ask("POST", "/api/create",
                "{'name':'fox','from':'fox','system':'You are a bird.','stream':false}", 200);
    assert_string_equal(lines, "{\"status\":\"success\"}");
    ae_free(lines);
    shown = ask_json("/api/show", "{'name':'fox'}", 200);
    assert_string_equal(text_at(shown, "system"), "You are a bird.");
    json_decref(shown);
    ae_free(ask("POST", "/api/copy", "{'source':'fox','destination':'team/bird:v1'}", 200));
    expect_text("/api/tags", NULL, 200, "team/bird:v1");
    ae_free(ask("DELETE", "/api/delete", "{'model':'team/bird:v1'}", 200));
    ae_free(ask("DELETE", "/api/delete", "{'model':'team/bird:v1'}", 404));
    expect_text("/api/copy", "{'source':'nobody','destination':'x'}", 404, "'nobody' not found");
    ae_free(ask("DELETE", "/api/delete", "{'model':'fox'}", 200));
}

static void what_it_is_made_of_is_pulled(void **state)
{
    char body[600];
    (void)state;
    snprintf(body, sizeof body,
             "{'model':'net','from':'http://127.0.0.1:%d/team/net:v1','system':'Be brief.'}",
             server_port(registry.s));
    char *lines = ask("POST", "/api/create", body, 200);
    expect_success(lines);
    assert_non_null(strstr(lines, "{\"status\":\"pulling manifest\"}\n"));
    const char *end = strstr(lines, "success");
    assert_null(strstr(end + 1, "success")); /* the pull's own is not told */
    ae_free(lines);
    ae_free(ask("DELETE", "/api/delete", "{'model':'net'}", 200));
    forget_pulled();
}

/* Sends a file as a blob; its digest. */
static const char *upload(const char *path)
{
    static char digest[HEX + 8];
    char where[HEX + 32], hex[HEX];
    ae_bytes file = { 0 };
    assert_int_equal(ae_file_read(&file, path, 0, NULL), AERIE_OK);
    hash_of(hex, file.data, file.len);
    snprintf(digest, sizeof digest, "sha256:%s", hex);
    snprintf(where, sizeof where, "/api/blobs/%s", digest);
    ae_free(send_bytes("POST", where, file.data, file.len, 201));
    ae_free(send_bytes("POST", where, file.data, file.len, 200));
    ae_free(ask("HEAD", where, NULL, 200));
    ae_bytes_free(&file);
    return digest;
}

static void a_model_is_made_of_a_file(void **state)
{
    char body[400];
    (void)state;
    snprintf(body, sizeof body,
             "{'model':'small','files':{'m.gguf':'%s'},'quantize':'q8_0','template':'{{ .Prompt }}'"
             "}",
             upload("recipes/nursery/nursery.gguf"));
    char *lines = ask("POST", "/api/create", body, 200);
    expect_success(lines);
    assert_non_null(strstr(lines, "{\"status\":\"quantizing F16 model to Q8_0\""));
    ae_free(lines);
    json_t *shown = ask_json("/api/show", "{'model':'small'}", 200);
    assert_string_equal(text_at(shown, "details.quantization_level"), "Q8_0");
    json_decref(shown);
    ae_free(reply_of("small"));
    expect_text("/api/create",
                "{'model':'smaller','from':'small','quantize':'q4_0','stream':false}", 400,
                "quantization is only supported for F16, BF16 and F32 models");
    ae_free(ask("DELETE", "/api/delete", "{'model':'small'}", 200));
}

/* A Hugging Face folder, file by file. */
static void a_model_is_made_of_a_folder(void **state)
{
    char *scratch = scratch_make(), *folder = ae_path_join(scratch, "hf");
    ae_bytes body = { 0 };
    struct dirent *entry;
    aerie_error err = { 0 };
    (void)state;
    if (aerie_convert("recipes/nursery/nursery.gguf", folder, "hf", "f16", &err))
        fail_msg("%s", err.message);
    DIR *files = opendir(folder);
    ae_bytes_add_text(&body, "{'model':'folded','files':{");
    while ((entry = readdir(files))) {
        if (entry->d_name[0] == '.') continue;
        char *path = ae_path_join(folder, entry->d_name);
        ae_bytes_printf(&body, "'%s':'%s',", entry->d_name, upload(path));
        ae_free(path);
    }
    closedir(files);
    body.data[body.len - 1] = '}';
    ae_bytes_add_text(&body, "}");
    char *lines = ask("POST", "/api/create", body.data, 200);
    expect_success(lines);
    assert_non_null(strstr(lines, "{\"status\":\"converting model\"}\n"));
    char *one = reply_of("nursery"), *other = reply_of("folded");
    assert_string_equal(one, other);
    ae_free(lines);
    ae_free(one);
    ae_free(other);
    ae_bytes_free(&body);
    ae_free(folder);
    scratch_remove(scratch);
    ae_free(ask("DELETE", "/api/delete", "{'model':'folded'}", 200));
}

static void what_cannot_be_made_is_a_sentence(void **state)
{
    static const struct {
        const char *body, *says;
    } cases[] = {
        { "{'from':'nursery'}", "model is required" },
        { "{'model':'x'}", "neither 'from' or 'files' was specified" },
        { "{'model':'../x','from':'nursery'}", "invalid model name" },
        { "{'model':'x','from':'/etc/passwd','stream':false}", "passwd" },
        { "{'model':'x','from':'./recipes/nursery/nursery.gguf','stream':false}", "nursery.gguf" },
        { "{'model':'x','from':'nursery','quantize':'q9','stream':false}", "unsupported" },
        { "{'model':'x','files':{'m.gguf':'sha256:00'}}", "invalid digest format" },
        { "{'model':'x','files':{'m.gguf':'../../etc/passwd'}}", "invalid digest format" },
        { "{'model':'x','files':{'../m.gguf':'sha256:00'}}", "file path must be relative" },
        { "{'model':'x','files':{'m.gguf':'sha256:00112233445566778899aabbccddeeff00112233445566778"
          "899aabbccddeeff'}}",
          "the store has no blob" },
        { "{'model':'x','from':'nursery','system':5,'stream':false}", "must be a text" },
        { "{'model':'x','from':'nursery','messages':[{'role':'king','content':''}],'stream':false}",
          "message role must be" },
        { "{'model':'x','from':'nursery','template':'{% for %}','stream':false}", "template" },
    };
    (void)state;
    for (size_t i = 0; i < AE_COUNT(cases); i++)
        expect_text("/api/create", cases[i].body, 400, cases[i].says);
    expect_text("/api/show", "{'model':'x'}", 404, "not found");
    /* Bytes that are no model. */
    char wrong[400], *path = ae_path_join(ask_store(), "none");
    assert_int_equal(ae_file_write(path, "GGUF and no more", 16, NULL), AERIE_OK);
    snprintf(wrong, sizeof wrong, "{'model':'x','files':{'m.gguf':'%s'},'stream':false}",
             upload(path));
    expect_text("/api/create", wrong, 400, "error");
    ae_free(path);
    /* A blob that is not what it is called. */
    snprintf(wrong, sizeof wrong, "/api/blobs/sha256:%s", registry.config_hex);
    ae_free(send_bytes("POST", wrong, "{ }", 3, 400));
    ae_free(ask("HEAD", wrong, NULL, 404));
}

/* ---- sent away, let go ---- */

static void a_model_is_pushed(void **state)
{
    char body[300];
    (void)state;
    snprintf(body, sizeof body,
             "{'model':'http://127.0.0.1:%d/me/fox','from':'nursery','stream':false}",
             server_port(registry.s));
    ae_free(ask("POST", "/api/create", body, 200));
    char *lines = ask("POST", "/api/push", registry_about("me/fox", ""), 200);
    expect_success(lines);
    assert_non_null(strstr(lines, "{\"status\":\"retrieving manifest\"}\n"));
    assert_non_null(strstr(lines, "{\"status\":\"pushing "));
    assert_non_null(strstr(lines, "{\"status\":\"pushing manifest\"}\n"));
    ae_free(lines);
    assert_true(registry.taken >= (long)registry.weights.len);
    assert_non_null(strstr(registry.last.data, registry.hex));
    ae_free(ask("DELETE", "/api/delete", registry_about("me/fox", ""), 200));
}

static size_t n_open(void)
{
    json_t *r = ask_json("/api/ps", NULL, 200);
    size_t n = json_array_size(at(r, "models"));
    json_decref(r);
    return n;
}

/* Who only lets a model go does not open it. */
static void a_model_is_let_go(void **state)
{
    (void)state;
    ae_free(ask("POST", "/api/create", "{'model':'fox','from':'nursery','stream':false}", 200));
    size_t before = n_open();
    expect_text("/api/generate", "{'model':'fox','keep_alive':0}", 200,
                "\"response\":\"\",\"done\":true,\"done_reason\":\"unload\"");
    expect_text("/api/chat", "{'model':'fox','messages':[],'keep_alive':'0s'}", 200,
                "\"done_reason\":\"unload\"");
    assert_int_equal(n_open(), before);
    expect_text("/api/generate", "{'model':'no','keep_alive':0}", 404, "model 'no' not found");
    expect_text("/api/generate", "{'model':'fox'}", 200, "\"done_reason\":\"load\"");
    assert_int_equal(n_open(), before + 1);
    expect_text("/api/generate", "{'model':'fox','keep_alive':0}", 200, "unload");
    WAIT_FOR(n_open() == before);
    ae_free(ask("DELETE", "/api/delete", "{'model':'fox'}", 200));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_pulled),
        cmocka_unit_test(what_cannot_be_pulled_is_a_sentence),
        cmocka_unit_test(two_that_pull_share_the_work),
        cmocka_unit_test(who_leaves_stops_what_nobody_else_wants),
        cmocka_unit_test(the_servers_end_is_no_loss),
        cmocka_unit_test(a_model_is_made_of_another),
        cmocka_unit_test(what_it_is_made_of_is_pulled),
        cmocka_unit_test(a_model_is_made_of_a_file),
        cmocka_unit_test(a_model_is_made_of_a_folder),
        cmocka_unit_test(what_cannot_be_made_is_a_sentence),
        cmocka_unit_test(a_model_is_pushed),
        cmocka_unit_test(a_model_is_let_go),
    };
    return cmocka_run_group_tests(tests, start, stop);
}

/* test_make.c -- models made, pulled and pushed through a server, against a registry on loopback.
 */
#include "ask.h"
#include "http/http.h"
#include "http/server.h"
#include "scratch.h"

#include "aerie/model.h"

#include <dirent.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* ---- a registry, which has the nursery's model as team/net:v1 ---- */

enum { PART = 1 << 20, PARTS = 4, HEX = 65 };

static struct {
    server *s;
    ae_bytes weights;
    char hex[HEX], config_hex[HEX];
    char manifest[1000];
    atomic_bool held;         /* parts after the first wait in their midst */
    atomic_int waiting, gone; /* that wait now; whose client left */
    atomic_int served[PARTS]; /* whole */
    atomic_long taken;        /* bytes of layers that were sent here */
    ae_bytes last;            /* the manifest that was sent here last */
} registry;

static void hash_of(char hex[HEX], const char *data, size_t len)
{
    ae_sha256 h;
    ae_sha256_start(&h);
    ae_sha256_add(&h, data, len);
    ae_sha256_hex(&h, hex);
}

static bool send_all(int fd, const char *data, size_t len)
{
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool wait_held(int fd)
{
    char c;
    registry.waiting++;
    while (registry.held && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) != 0) server_sleep_ms(2);
    registry.waiting--;
    if (registry.held) registry.gone++;
    return !registry.held;
}

static bool answer_weights(int fd, const server_request *q)
{
    char head[200], range[64];
    long from = 0, to = (long)registry.weights.len - 1;
    if (server_header(q, "Range", range, sizeof range)) sscanf(range, "bytes=%ld-%ld", &from, &to);
    long len = to - from + 1;
    snprintf(head, sizeof head,
             "HTTP/1.1 206 Partial\r\nContent-Length: %ld\r\nContent-Range: bytes %ld-%ld/%zu\r\n"
             "\r\n",
             len, from, to, registry.weights.len);
    server_write(fd, head);
    const char *data = registry.weights.data + from;
    if (!send_all(fd, data, (size_t)len / 2) || (from && !wait_held(fd)) ||
        !send_all(fd, data + len / 2, (size_t)(len - len / 2)))
        return false;
    for (long part = from / PART; part * PART <= to; part++) registry.served[part]++;
    return true;
}

/* Layers and manifests that are sent here are counted, not kept. */
static void take(int fd, const server_request *q)
{
    char to[300];
    snprintf(to, sizeof to, "Location: /v2/up?x=1\r\n");
    if (!strcmp(q->method, "HEAD"))
        server_write(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    else if (!strcmp(q->method, "POST"))
        server_answer(fd, 202, to, "");
    else {
        if (strstr(q->path, "/manifests/")) {
            ae_bytes_clear(&registry.last);
            ae_bytes_add(&registry.last, q->body, q->body_len);
        } else
            registry.taken += (long)q->body_len;
        server_answer(fd, 201, "", "");
    }
}

static bool answer(void *user, int fd, const server_request *q)
{
    (void)user;
    if (strcmp(q->method, "GET") != 0)
        take(fd, q);
    else if (strstr(q->path, "/team/net/manifests/v1"))
        server_answer(fd, 200, "", registry.manifest);
    else if (strstr(q->path, registry.hex))
        return answer_weights(fd, q);
    else if (strstr(q->path, registry.config_hex))
        server_answer(fd, 200, "", "{}");
    else
        server_answer(fd, 404, "", "{\"errors\":[]}");
    return true;
}

static int start(void **state)
{
    alarm(300); /* a test that waits for what never comes ends */
    if (ae_file_read(&registry.weights, "recipes/nursery/nursery.gguf", 0, NULL)) return 1;
    hash_of(registry.hex, registry.weights.data, registry.weights.len);
    hash_of(registry.config_hex, "{}", 2);
    snprintf(registry.manifest, sizeof registry.manifest,
             "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c\",\"digest\":\"sha256:%s\","
             "\"size\":2},\"layers\":[{\"mediaType\":\"application/vnd.ollama.image.model\","
             "\"digest\":\"sha256:%s\",\"size\":%zu}]}",
             registry.config_hex, registry.hex, registry.weights.len);
    registry.s = server_start(0, answer, NULL);
    return !registry.s || ask_start(state);
}

static int stop(void **state)
{
    int code = ask_stop(state);
    registry.held = false;
    server_stop(registry.s);
    ae_bytes_free(&registry.weights);
    ae_bytes_free(&registry.last);
    return code;
}

/* A request about a model of the registry: {"model":"http://127.0.0.1:PORT/NAME"MORE}. */
static const char *about(const char *name, const char *more)
{
    static char body[512];
    snprintf(body, sizeof body, "{'model':'http://127.0.0.1:%d/%s'%s}", server_port(registry.s),
             name, more);
    return body;
}

static void forget_pulled(void)
{
    ae_free(ask("DELETE", "/api/delete", about("team/net:v1", ""), 200));
    for (int i = 0; i < PARTS; i++) registry.served[i] = 0;
    registry.gone = 0;
}

/* ---- a client that reads a stream as it comes ---- */

typedef struct {
    char url[512], body[512];
    const char *until; /* it leaves when it has read this; NULL: it stays */
    const char *wanted;
    atomic_bool seen; /* it has read what is wanted */
    ae_bytes text;
    aerie_status status;
    ae_thread *thread;
} reader;

static aerie_status on_data(void *user, const ae_http_response *r, const void *data, size_t len,
                            aerie_error *err)
{
    reader *c = user;
    (void)r;
    ae_bytes_add(&c->text, data, len);
    if (c->wanted && strstr(c->text.data, c->wanted)) c->seen = true;
    return c->until && strstr(c->text.data, c->until)
               ? aerie_fail(err, AERIE_INTERRUPTED, "it leaves")
               : AERIE_OK;
}

static void read_stream(void *user)
{
    reader *c = user;
    ae_http *http;
    ae_http_response response = { 0 };
    const ae_http_request request = {
        .url = c->url, .body = c->body, .body_len = strlen(c->body), .sink = on_data, .sink_user = c
    };
    c->status = ae_http_open(&http, NULL, NULL);
    if (c->status) return;
    c->status = ae_http_send(http, &request, &response, NULL);
    ae_http_response_free(&response);
    ae_http_close(http);
}

static void reader_start(reader *c, const char *path, const char *body)
{
    snprintf(c->url, sizeof c->url, "%s%s", ask_url(), path);
    snprintf(c->body, sizeof c->body, "%s", body);
    for (char *at = c->body; *at; at++)
        if (*at == '\'') *at = '"';
    assert_int_equal(ae_thread_start(&c->thread, "reader", read_stream, c, NULL), AERIE_OK);
}

static void reader_end(reader *c)
{
    ae_thread_join(c->thread);
    ae_bytes_free(&c->text);
}

/* Until it is so. */
#define WAIT_FOR(what)                                                                             \
    while (!(what)) server_sleep_ms(2)

/* Every line is an object of its own; the last is success. */
static void expect_success(const char *lines)
{
    json_t *last = NULL;
    for (const char *at = lines; *at; at = strchr(at, '\n') + 1) {
        json_decref(last);
        last = json_loadb(at, strcspn(at, "\n"), 0, NULL);
        if (!last || !strchr(at, '\n')) fail_msg("no lines of JSON: %s", lines);
    }
    if (!last || strcmp(text_at(last, "status"), "success") != 0) fail_msg("no success: %s", lines);
    assert_int_equal(json_object_size(last), 1);
    json_decref(last);
}

/* ---- pulling ---- */

static void a_model_is_pulled(void **state)
{
    char *lines = ask("POST", "/api/pull", about("team/net:v1", ""), 200), wanted[300];
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
    lines = ask("POST", "/api/pull", about("team/net:v1", ",'stream':false"), 200);
    assert_string_equal(lines, "{\"status\":\"success\"}");
    ae_free(lines);
    for (int i = 0; i < PARTS; i++) assert_int_equal(registry.served[i], 1);
    expect_text("/api/generate", about("team/net:v1", ",'prompt':'A fox','stream':false"), 200,
                "\"done\":true");
    forget_pulled();
}

static void what_cannot_be_pulled_is_a_sentence(void **state)
{
    (void)state;
    expect_text("/api/pull", "{}", 400, "model is required");
    expect_text("/api/pull", "{'name':'../x'}", 400, "invalid model name");
    expect_text("/api/pull", about("team/none:v1", ""), 200,
                "\n{\"error\":\"pull model manifest: file does not exist");
    expect_text("/api/pull", about("team/none:v1", ",'stream':false"), 404,
                "{\"error\":\"pull model manifest: file does not exist");
    expect_text("/api/push", about("team/none:v1", ""), 404, "there is no model");
    expect_text("/api/push", "{'model':'nursery'}", 400, "plain file");
}

static void two_that_pull_share_the_work(void **state)
{
    reader first = { .wanted = "\"completed\":" }, second = { .wanted = "\"completed\":" };
    (void)state;
    registry.held = true;
    reader_start(&first, "/api/pull", about("team/net:v1", ""));
    WAIT_FOR(registry.waiting == PARTS - 1 && first.seen);
    reader_start(&second, "/api/pull", about("team/net:v1", ""));
    WAIT_FOR(second.seen);
    registry.held = false;
    ae_thread_join(first.thread);
    ae_thread_join(second.thread);
    first.thread = second.thread = NULL;
    expect_success(first.text.data);
    expect_success(second.text.data);
    for (int i = 0; i < PARTS; i++) assert_int_equal(registry.served[i], 1);
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
    size_t last = registry.weights.len - (PARTS - 1) * (size_t)PART;
    snprintf(part, sizeof part, "\"completed\":%zu}", 2 * (size_t)PART + last / 2);
    reader first = { .until = part, .wanted = part }, second = { .wanted = part };
    registry.held = true;
    reader_start(&second, "/api/pull", about("team/net:v1", ""));
    reader_start(&first, "/api/pull", about("team/net:v1", ""));
    ae_thread_join(first.thread);
    first.thread = NULL;
    assert_int_equal(first.status, AERIE_INTERRUPTED);
    WAIT_FOR(registry.waiting == PARTS - 1 && second.seen);
    registry.held = false;
    ae_thread_join(second.thread);
    second.thread = NULL;
    expect_success(second.text.data);
    reader_end(&first);
    reader_end(&second);
    forget_pulled();

    reader only = { .until = part };
    registry.held = true;
    reader_start(&only, "/api/pull", about("team/net:v1", ""));
    WAIT_FOR(registry.gone == PARTS - 1);
    reader_end(&only);
    assert_int_equal(registry.served[0], 1);
    registry.held = false;
    expect_text("/api/show", about("team/net:v1", ""), 404, "not found");
    ae_free(ask("POST", "/api/pull", about("team/net:v1", ",'stream':false"), 200));
    for (int i = 0; i < PARTS; i++) assert_int_equal(registry.served[i], 1);
    forget_pulled();
}

/* The server is told to stop: what came stays, and a later one goes on. */
static void the_servers_end_is_no_loss(void **state)
{
    reader c = { .wanted = "\"completed\":" };
    (void)state;
    registry.held = true;
    reader_start(&c, "/api/pull", about("team/net:v1", ""));
    WAIT_FOR(registry.waiting == PARTS - 1 && registry.served[0] == 1);
    ask_end();
    reader_end(&c);
    WAIT_FOR(registry.gone == PARTS - 1);
    registry.held = false;
    assert_int_equal(ask_begin(), 0);
    ae_free(ask("POST", "/api/pull", about("team/net:v1", ",'stream':false"), 200));
    for (int i = 0; i < PARTS; i++) assert_int_equal(registry.served[i], 1);
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

static char *reply_of(const char *model)
{
    char body[300];
    snprintf(body, sizeof body,
             "{'model':'%s','prompt':'A fox','raw':true,'stream':false,'options':{'temperature':0,"
             "'num_predict':12}}",
             model);
    json_t *r = ask_json("/api/generate", body, 200);
    char *text = ae_strdup(text_at(r, "response"));
    json_decref(r);
    return text;
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
    char *lines = ask("POST", "/api/push", about("me/fox", ""), 200);
    expect_success(lines);
    assert_non_null(strstr(lines, "{\"status\":\"retrieving manifest\"}\n"));
    assert_non_null(strstr(lines, "{\"status\":\"pushing "));
    assert_non_null(strstr(lines, "{\"status\":\"pushing manifest\"}\n"));
    ae_free(lines);
    assert_true(registry.taken >= (long)registry.weights.len);
    assert_non_null(strstr(registry.last.data, registry.hex));
    ae_free(ask("DELETE", "/api/delete", about("me/fox", ""), 200));
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

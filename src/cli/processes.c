/* processes.c -- `aerie ps` and `aerie stop`: the models that a server has open. */
#include "cli/cli.h"
#include "cli/server.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

typedef struct {
    char size[32], processor[32], context[24], until[48], id[16];
} cells;

/* As Ollama has it: how much of the model is where. */
static void write_processor(char out[32], int64_t size, int64_t on_device)
{
    if (size <= 0 || on_device >= size)
        snprintf(out, 32, size <= 0 ? "-" : "100%% GPU");
    else if (on_device <= 0)
        snprintf(out, 32, "100%% CPU");
    else {
        int device = (int)((double)on_device * 100 / (double)size + 0.5);
        snprintf(out, 32, "%d%%/%d%% CPU/GPU", 100 - device, device);
    }
}

static void write_until(char out[48], const char *stamp)
{
    struct tm t = { 0 };
    int n = sscanf(stamp, "%d-%d-%dT%d:%d:%d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour,
                   &t.tm_min, &t.tm_sec);
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    int64_t left = (int64_t)(timegm(&t) - time(NULL));
    if (n != 6)
        snprintf(out, 48, "?");
    else if (left < 0)
        snprintf(out, 48, "Stopping...");
    else if (left > (int64_t)100 * 365 * 86400)
        snprintf(out, 48, "Forever");
    else
        cli_write_span(out, left, "from now");
}

static void print_models(const json_t *models)
{
    size_t n = json_array_size(models);
    cli_row *rows = ae_alloc(n + 1, sizeof *rows);
    cells *texts = ae_alloc(n + 1, sizeof *texts);
    if (rows && texts) {
        rows[0] = (cli_row){ { "NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL" } };
        for (size_t i = 0; i < n; i++) {
            const json_t *m = json_array_get(models, i);
            cells *c = &texts[i];
            int64_t size = json_integer_value(json_object_get(m, "size"));
            snprintf(c->id, sizeof c->id, "%.12s", text_at(m, "digest"));
            cli_bytes(c->size, (double)size);
            write_processor(c->processor, size,
                            json_integer_value(json_object_get(m, "size_vram")));
            snprintf(c->context, sizeof c->context, "%lld",
                     (long long)json_integer_value(json_object_get(m, "context_length")));
            write_until(c->until, text_at(m, "expires_at"));
            rows[i + 1] = (cli_row){ { text_at(m, "name"), c->id, c->size, c->processor, c->context,
                                       c->until } };
        }
        cli_print_table(rows, n + 1, "");
    }
    ae_free(rows);
    ae_free(texts);
}

/* Without a server nothing is open, and that is an answer. */
static aerie_status read_models(json_t **out, const cli_common *common, aerie_error *err)
{
    aerie_client *server;
    aerie_error why = { 0 };
    char *text = NULL;
    aerie_status status = cli_server_there(&server, &why);
    if (status == AERIE_NOT_FOUND) {
        if (!common->quiet) fprintf(stderr, "aerie: %s\n", why.message);
        *out = json_pack("{s:[]}", "models");
        return AERIE_OK;
    }
    if (status) return aerie_fail(err, status, "%s", why.message);
    status = aerie_client_ask(server, "GET", "/api/ps", NULL, &text, err);
    *out = status ? NULL : json_loads(text, 0, NULL);
    aerie_free(text);
    if (!status && !json_is_array(json_object_get(*out, "models")))
        status = aerie_fail(err, AERIE_BAD_TEXT, "%.200s: the server's list is none",
                            aerie_client_url(server));
    return status;
}

int cli_processes(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_call call = { .usage = "aerie ps",
                      .takes = CLI_TAKES_NONE,
                      .about = "Lists the models that a server ($AERIE_HOST, default "
                               "127.0.0.1:11434) has open." };
    aerie_error err = { 0 };
    json_t *o = NULL;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    cli_catch_interrupt();
    aerie_status status = read_models(&o, &common, &err);
    if (!status && common.json) {
        json_dumpf(o, stdout, 0);
        putchar('\n');
    } else if (!status)
        print_models(json_object_get(o, "models"));
    json_decref(o);
    return status ? cli_fail(&err) : CLI_DONE;
}

static aerie_status stop(const char *model, aerie_error *err)
{
    aerie_client *server;
    aerie_error why = { 0 };
    aerie_status status = cli_server_there(&server, err);
    json_t *o = json_pack("{s:s, s:i, s:b}", "model", model, "keep_alive", 0, "stream", 0);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!status)
        status = text ? aerie_client_ask(server, "POST", "/api/generate", text, NULL, &why)
                      : aerie_fail(&why, AERIE_BAD_TEXT, "the model's name is not UTF-8");
    if (status == AERIE_NOT_FOUND && why.status)
        aerie_fail(err, status,
                   "the server at %.200s knows no model '%.100s'; `aerie ps` lists "
                   "those that are open",
                   aerie_client_url(server), model);
    else if (why.status)
        aerie_fail(err, status, "%s", why.message);
    free(text);
    json_decref(o);
    return status;
}

int cli_stop(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_call call = { .usage = "aerie stop MODEL",
                      .takes = CLI_TAKES_NONE,
                      .about = "Has a server ($AERIE_HOST, default 127.0.0.1:11434) close a model "
                               "as soon as nobody uses it.",
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    cli_catch_interrupt();
    if (stop(call.words[0], &err)) return cli_fail(&err);
    if (common.json) printf("{\"stopped\": true}\n");
    return CLI_DONE;
}

/* list.c -- `aerie list`: the models that have a name. */
#include "cli/cli.h"
#include "cli/server.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static void write_ago(char out[48], const char *stamp)
{
    struct tm t = { 0 };
    if (sscanf(stamp, "%d-%d-%dT%d:%d:%d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min,
               &t.tm_sec) != 6) {
        snprintf(out, 48, "?");
        return;
    }
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    cli_write_span(out, (int64_t)(time(NULL) - timegm(&t)), "ago");
}

typedef struct {
    char size[32], ago[48], id[16];
} cells;

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void print_people(const json_t *models)
{
    size_t n = json_array_size(models);
    cli_row *rows = ae_alloc(n + 1, sizeof *rows);
    cells *texts = ae_alloc(n + 1, sizeof *texts);
    if (rows && texts) {
        rows[0] = (cli_row){ { "NAME", "ID", "SIZE", "MODIFIED", "WHERE" } };
        for (size_t i = 0; i < n; i++) {
            const json_t *m = json_array_get(models, i);
            snprintf(texts[i].id, sizeof texts[i].id, "%.12s", text_at(m, "digest"));
            cli_bytes(texts[i].size, (double)json_integer_value(json_object_get(m, "size")));
            write_ago(texts[i].ago, text_at(m, "modified_at"));
            rows[i + 1] = (cli_row){ { text_at(m, "name"), texts[i].id, texts[i].size, texts[i].ago,
                                       text_at(m, "where") } };
        }
        cli_print_table(rows, n + 1, "");
    }
    ae_free(rows);
    ae_free(texts);
}

/* Those whose names begin so, in any case. */
static void keep_prefix(json_t *models, const char *prefix)
{
    for (size_t i = json_array_size(models); i-- > 0;)
        if (strncasecmp(text_at(json_array_get(models, i), "name"), prefix, strlen(prefix)) != 0)
            json_array_remove(models, i);
}

int cli_models(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_call call = { .usage = "aerie list [PREFIX]",
                      .takes = CLI_TAKES_NONE,
                      .about = "Lists the models that have a name, newest first: those of the "
                               "store, installed ones, and what\n"
                               "lies in Ollama's store and in Hugging Face's cache.",
                      .max_words = 1 };
    aerie_error err = { 0 };
    char *text = NULL;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    aerie_client *server;
    aerie_status status = cli_server_of_store(&server, &err);
    if (!status)
        status = server ? aerie_client_ask(server, "GET", "/api/tags", NULL, &text, &err)
                        : aerie_store_list(cli_places(), &text, &err);
    json_t *o = status ? NULL : json_loads(text, 0, NULL);
    json_t *models = json_object_get(o, "models");
    if (call.n_words && models) keep_prefix(models, call.words[0]);
    if (!status && common.json) {
        json_dumpf(o, stdout, 0);
        putchar('\n');
    } else if (!status) {
        print_people(models);
    }
    json_decref(o);
    aerie_free(text);
    return status ? cli_fail(&err) : CLI_DONE;
}

/* show.c -- `aerie show`: what a model is. */
#include "cli/show.h"

#include "cli/cli.h"
#include "cli/server.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    cli_common common;
    bool license, modelfile, parameters, template_text, system, verbose;
} show_call;

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void print_title(const char *title)
{
    printf("  %s\n", title);
}

/* Up to `most` of a text's lines that are not empty; 0: all. */
static void print_head(const char *title, const char *text, int most)
{
    int n = 0;
    if (!*text) return;
    print_title(title);
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len && most && ++n > most) {
            puts("    ...");
            break;
        }
        if (len) printf("    %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
    putchar('\n');
}

static void print_model(const json_t *o)
{
    static const char *const lengths[][2] = { { "context_length", "context length" },
                                              { "embedding_length", "embedding length" } };
    const json_t *info = json_object_get(o, "model_info"), *details = json_object_get(o, "details");
    const char *architecture = text_at(info, "general.architecture");
    char numbers[2][32], size[32];
    cli_row rows[8];
    size_t n = 0;
    if (!*architecture) architecture = text_at(details, "family");
    rows[n++] = (cli_row){ { "architecture", architecture } };
    rows[n++] = (cli_row){ { "parameters", text_at(details, "parameter_size") } };
    for (size_t i = 0; i < AE_COUNT(lengths); i++) {
        char key[160];
        snprintf(key, sizeof key, "%s.%s", architecture, lengths[i][0]);
        const json_t *value = json_object_get(info, key);
        if (!json_is_integer(value)) continue;
        snprintf(numbers[i], sizeof numbers[i], "%lld", (long long)json_integer_value(value));
        rows[n++] = (cli_row){ { lengths[i][1], numbers[i] } };
    }
    rows[n++] = (cli_row){ { "quantization", text_at(details, "quantization_level") } };
    rows[n++] =
        (cli_row){ { "size",
                     cli_bytes(size, (double)json_integer_value(json_object_get(o, "size"))) } };
    rows[n++] = (cli_row){ { "where", text_at(o, "path") } };
    print_title("Model");
    cli_print_table(rows, n, "    ");
    putchar('\n');
}

static void print_list(const char *title, const json_t *list)
{
    size_t i;
    json_t *item;
    if (!json_array_size(list)) return;
    print_title(title);
    json_array_foreach(list, i, item) printf("    %s\n", json_string_value(item));
    putchar('\n');
}

static void print_metadata(const json_t *info)
{
    const char *key;
    json_t *value;
    if (!json_object_size(info)) return;
    print_title("Metadata");
    json_object_foreach((json_t *)info, key, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        size_t len = text ? strlen(text) : 0;
        printf("    %-40s %.*s%s\n", key, len > 60 ? 60 : (int)len, text ? text : "",
               len > 60 ? " ..." : "");
        free(text);
    }
    putchar('\n');
}

static void print_tensors(const json_t *tensors)
{
    size_t i;
    json_t *t;
    if (!json_array_size(tensors)) return;
    print_title("Tensors");
    json_array_foreach(tensors, i, t)
    {
        char *shape = json_dumps(json_object_get(t, "shape"), JSON_ENCODE_ANY);
        printf("    %-40s %-8s %s\n", text_at(t, "name"), text_at(t, "type"), shape ? shape : "");
        free(shape);
    }
    putchar('\n');
}

void cli_print_shown(const json_t *o, bool verbose)
{
    print_model(o);
    print_list("Capabilities", json_object_get(o, "capabilities"));
    print_list("Adapters", json_object_get(o, "adapters"));
    print_head("Parameters", text_at(o, "parameters"), 0);
    if (verbose) {
        print_metadata(json_object_get(o, "model_info"));
        print_tensors(json_object_get(o, "tensors"));
    }
    print_head("Template", text_at(o, "template"), 4);
    print_head("Rendered with", text_at(o, "rendered_with"), 1);
    print_head("System", text_at(o, "system"), 2);
    print_head("License", text_at(o, "license"), 2);
}

static aerie_status read_model(const char *model, bool verbose, char **text, aerie_error *err)
{
    aerie_client *server;
    aerie_status status = cli_server_of_store(&server, err);
    if (status) return status;
    if (!server) return aerie_store_show(cli_places(), model, false, verbose, text, err);
    json_t *request = json_pack("{s:s, s:b}", "model", model, "verbose", verbose);
    status = cli_server_ask(server, "POST", "/api/show", request, text, err);
    json_decref(request);
    return status;
}

/* One of the texts alone, when one was asked for: its key, or NULL. */
static bool pick_text(const show_call *c, const char **key)
{
    const struct {
        bool wanted;
        const char *key;
    } texts[] = { { c->license, "license" },
                  { c->modelfile, "modelfile" },
                  { c->parameters, "parameters" },
                  { c->template_text, "template" },
                  { c->system, "system" } };
    *key = NULL;
    for (size_t i = 0; i < AE_COUNT(texts); i++) {
        if (!texts[i].wanted) continue;
        if (*key) return false;
        *key = texts[i].key;
    }
    return true;
}

int cli_show(int argc, char **argv)
{
    show_call c = { 0 };
    const cli_option options[] = {
        { "--license", 0, CLI_FLAG, &c.license, NULL, "its licenses alone" },
        { "--modelfile", 0, CLI_FLAG, &c.modelfile, NULL, "a Modelfile that makes it" },
        { "--parameters", 0, CLI_FLAG, &c.parameters, NULL, "its parameters alone" },
        { "--template", 0, CLI_FLAG, &c.template_text, NULL, "its template alone" },
        { "--system", 0, CLI_FLAG, &c.system, NULL, "its system message alone" },
        { "--verbose", 'v', CLI_FLAG, &c.verbose, NULL, "all metadata, and every tensor" },
        { 0 },
    };
    cli_call call = { .usage = "aerie show MODEL [options]",
                      .takes = CLI_TAKES_NONE,
                      .about = "Shows what a model is: its weights, what it can do, and what its "
                               "Modelfile says.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    const char *key;
    char *text = NULL;
    int code;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (!pick_text(&c, &key))
        return cli_misused("only one of '--license', '--modelfile', '--parameters', '--system', or "
                           "'--template' can be specified");
    aerie_status status = read_model(call.words[0], c.verbose, &text, &err);
    json_t *o = status ? NULL : json_loads(text, 0, NULL);
    if (!status && key)
        puts(text_at(o, key));
    else if (!status && c.common.json)
        puts(text);
    else if (!status)
        cli_print_shown(o, c.verbose);
    json_decref(o);
    aerie_free(text);
    return status ? cli_fail(&err) : CLI_DONE;
}

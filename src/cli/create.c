/* create.c -- `aerie create`: a model from a Modelfile. */
#include "cli/cli.h"
#include "cli/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "~/x" is the user's own folder's. */
static json_t *expand(const json_t *path)
{
    const char *text = json_string_value(path), *home = getenv("HOME");
    if (text && !strncmp(text, "~/", 2) && home && *home)
        return json_sprintf("%s%s", home, text + 1);
    return json_deep_copy(path);
}

static void expand_paths(json_t *o)
{
    json_t *list = json_object_get(o, "adapter_paths");
    for (size_t i = 0; i < json_array_size(list); i++)
        json_array_set_new(list, i, expand(json_array_get(list, i)));
    json_object_set_new(o, "from", expand(json_object_get(o, "from")));
}

typedef struct {
    cli_progress bar;
    bool json, quiet;
    char last[200];
} report;

/* Each status once; what takes long has a bar. */
static bool tell(void *user, const aerie_store_event *e)
{
    report *r = user;
    bool is_new = strcmp(r->last, e->status) != 0;
    snprintf(r->last, sizeof r->last, "%s", e->status);
    if (e->total) {
        cli_progress_draw(&r->bar, (double)e->completed / (double)e->total, "%s", e->status);
    } else if (is_new && r->json) {
        json_t *o = json_pack("{s:s}", "status", e->status);
        json_dumpf(o, stdout, 0);
        putchar('\n');
        json_decref(o);
    } else if (is_new && !r->quiet && isatty(STDERR_FILENO)) {
        cli_progress_end(&r->bar);
        fprintf(stderr, "%s\n", e->status);
    }
    return !cli_interrupted();
}

/* The folder that a Modelfile's paths begin in. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash ? ae_strndup(file, slash == file ? 1 : (size_t)(slash - file)) : ae_strdup("");
}

/* In the store of the server that it is about, or in this machine's. */
static aerie_status make(const char *name, json_t *o, const aerie_create_options *options,
                         aerie_error *err)
{
    aerie_client *server;
    aerie_status status = cli_server_of_store(&server, err);
    if (status) return status;
    if (server)
        return cli_create_there(server, name, o, options->folder, options->on_event, options->user,
                                err);
    char *request = json_dumps(o, 0);
    status = request ? aerie_store_create(cli_places(), name, request, options, err)
                     : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    free(request);
    return status;
}

static aerie_status create(const char *name, const char *file, const char *type, int threads,
                           report *r, aerie_error *err)
{
    ae_bytes text = { 0 };
    char *request = NULL, *folder = folder_of(file);
    json_t *o = NULL;
    const aerie_create_options options = {
        .local = true, .folder = folder, .threads = threads, .on_event = tell, .user = r
    };
    aerie_status status = folder ? ae_file_read(&text, file, 64 << 20, err)
                                 : aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    if (!status)
        status = aerie_modelfile_request(text.data ? text.data : "", text.len, &request, err);
    if (status && text.len) aerie_error_prefix(err, "%s", file);
    if (!status) {
        o = json_loads(request, 0, NULL);
        aerie_free(request);
        expand_paths(o);
        if (type) json_object_set_new(o, "quantize", json_string(type));
        status = make(name, o, &options, err);
    }
    json_decref(o);
    ae_free(folder);
    ae_bytes_free(&text);
    return status;
}

int cli_create(int argc, char **argv)
{
    cli_common common = { 0 };
    const char *file = "Modelfile", *type = NULL;
    const cli_option options[] = {
        { "--file", 'f', CLI_TEXT, &file, "FILE", "the Modelfile (./Modelfile)" },
        { "--quantize", 'q', CLI_TEXT, &type, "TYPE",
          "the weights in fewer bits, by any type of `aerie quantize`" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie create NAME [-f Modelfile] [-q TYPE]",
        .takes = CLI_TAKES_KERNELS,
        .about = "Makes a model under a name: FROM a name, a .gguf file or a Hugging Face folder, "
                 "with ADAPTER,\n"
                 "TEMPLATE, SYSTEM, PARAMETER, MESSAGE and LICENSE as the Modelfile says.",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    report r = { .bar.off = common.quiet, .json = common.json, .quiet = common.quiet };
    cli_catch_interrupt();
    aerie_status status = create(call.words[0], file, type, (int)common.threads, &r, &err);
    cli_progress_end(&r.bar);
    return status ? cli_fail(&err) : CLI_DONE;
}

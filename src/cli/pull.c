/* pull.c -- `aerie pull` and `aerie push`: a model from a registry, and to one. */
#include "cli/cli.h"
#include "cli/server.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    cli_progress bar;
    bool json, quiet;
    char last[200];
    int64_t completed;
} report;

static void print_json(const aerie_store_event *e)
{
    json_t *o = json_pack("{s:s}", "status", e->status);
    if (e->digest) json_object_set_new(o, "digest", json_string(e->digest));
    if (e->total) json_object_set_new(o, "total", json_integer((json_int_t)e->total));
    if (e->completed) json_object_set_new(o, "completed", json_integer((json_int_t)e->completed));
    json_dumpf(o, stdout, 0);
    putchar('\n');
    json_decref(o);
}

static bool tell(void *user, const aerie_store_event *e)
{
    report *r = user;
    bool is_new = strcmp(r->last, e->status) != 0;
    char done[32], all[32];
    snprintf(r->last, sizeof r->last, "%s", e->status);
    bool is_more = is_new || e->completed != r->completed;
    r->completed = e->completed;
    if (r->json) {
        if (is_more) print_json(e);
    } else if (e->total)
        cli_progress_draw(&r->bar, (double)e->completed / (double)e->total, "%s %s/%s", e->status,
                          cli_bytes(done, (double)e->completed), cli_bytes(all, (double)e->total));
    else if (is_new && !r->quiet && isatty(STDERR_FILENO)) {
        cli_progress_end(&r->bar);
        fprintf(stderr, "%s\n", e->status);
    }
    return !cli_interrupted();
}

typedef aerie_status transfer_fn(const aerie_places *places, const char *model,
                                 const aerie_pull_options *options, aerie_error *err);

/* By the server whose store it is about, or into this machine's. */
static aerie_status carry(transfer_fn *fn, const char *path, const char *model,
                          const aerie_pull_options *o, aerie_error *err)
{
    aerie_client *server;
    aerie_status status = cli_server_of_store(&server, err);
    if (status) return status;
    if (!server) return fn(cli_places(), model, o, err);
    json_t *request = json_pack("{s:s, s:b}", "model", model, "insecure", o->insecure);
    status = cli_server_make(server, path, request, o->on_event, o->user, err);
    json_decref(request);
    return status;
}

static int transfer(transfer_fn *fn, const char *path, cli_call call, int argc, char **argv)
{
    cli_common common = { 0 };
    report r = { .json = false };
    aerie_pull_options o = { .on_event = tell, .user = &r };
    const cli_option options[] = {
        { "--insecure", 0, CLI_FLAG, &o.insecure, NULL, "http instead of https" },
        { 0 },
    };
    aerie_error err = { 0 };
    int code;
    call.options = options;
    call.min_words = call.max_words = 1;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    r.bar.off = common.quiet;
    r.json = common.json;
    r.quiet = common.quiet;
    cli_catch_interrupt();
    aerie_status status = carry(fn, path, call.words[0], &o, &err);
    cli_progress_end(&r.bar);
    return status ? cli_fail(&err) : CLI_DONE;
}

int cli_pull(int argc, char **argv)
{
    const cli_call call = {
        .usage = "aerie pull MODEL [--insecure]",
        .takes = CLI_TAKES_NONE,
        .about =
            "Fetches a model from a registry (registry.ollama.ai, when the name says none), or "
            "from\n"
            "Hugging Face: hf.co/USER/REPO:TYPE. A pull that was ended goes on where it was."
    };
    return transfer(aerie_store_pull, "/api/pull", call, argc, argv);
}

int cli_push(int argc, char **argv)
{
    const cli_call call = {
        .usage = "aerie push HOST/NAMESPACE/MODEL[:TAG] [--insecure]",
        .takes = CLI_TAKES_NONE,
        .about = "Sends a model of the store to the registry that its name says (see `aerie cp`). "
                 "Layers that\n"
                 "are there already are not sent."
    };
    return transfer(aerie_store_push, "/api/push", call, argc, argv);
}

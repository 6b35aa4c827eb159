/* verify.c -- `aerie verify`: is the store what it says it is? */
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

typedef struct {
    cli_progress bar;
    json_t *wrong; /* NULL: printed for people */
    int64_t bytes;
} report;

static bool tell(void *user, const aerie_verified *v)
{
    report *r = user;
    char size[32];
    if (!v->ok && r->wrong)
        json_array_append_new(r->wrong, json_pack("{s:s, s:s, s:s}", "model", v->model, "what",
                                                  v->what, "problem", v->sentence));
    else if (!v->ok) {
        cli_progress_end(&r->bar);
        printf("%s: %s\n", v->model, v->sentence);
    }
    if (v->ok) r->bytes += v->bytes;
    cli_progress_draw(&r->bar, 0, "%s read", cli_bytes(size, (double)r->bytes));
    return !cli_interrupted();
}

static void print_json(const report *r, const aerie_verify_summary *s)
{
    json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "ok", s->wrong == 0,
                          "manifests", (json_int_t)s->manifests, "blobs", (json_int_t)s->blobs,
                          "bytes", (json_int_t)s->bytes, "unused", (json_int_t)s->unused,
                          "unused_bytes", (json_int_t)s->unused_bytes, "removed",
                          (json_int_t)s->removed, "wrong", r->wrong);
    json_dumpf(o, stdout, 0);
    putchar('\n');
    json_decref(o);
}

static void print_people(const aerie_verify_summary *s)
{
    char bytes[32], unused[32];
    printf("%lld model%s, %lld blob%s (%s) read: ", (long long)s->manifests,
           s->manifests == 1 ? "" : "s", (long long)s->blobs, s->blobs == 1 ? "" : "s",
           cli_bytes(bytes, (double)s->bytes));
    if (s->wrong)
        printf("%lld wrong", (long long)s->wrong);
    else
        printf("all well");
    if (s->unused)
        printf("; %lld files (%s) that no model needs", (long long)s->unused,
               cli_bytes(unused, (double)s->unused_bytes));
    if (s->removed) printf("; %lld removed", (long long)s->removed);
    putchar('\n');
}

int cli_verify(int argc, char **argv)
{
    cli_common common = { 0 };
    bool repair = false;
    const cli_option options[] = {
        { "--repair", 0, CLI_FLAG, &repair, NULL,
          "remove blobs that are not what their name says, and unused ones" },
        { 0 },
    };
    cli_call call = { .usage = "aerie verify [--repair]",
                      .takes = CLI_TAKES_NONE,
                      .about = "Reads every model of the store, and every blob against its "
                               "digest. Ends with 1 when\n"
                               "something is wrong. Unused blobs younger than an hour stay: they "
                               "may be about to be used.",
                      .options = options };
    aerie_error err = { 0 };
    aerie_verify_summary sum = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    report r = { .bar.off = common.quiet, .wrong = common.json ? json_array() : NULL };
    cli_catch_interrupt();
    aerie_status status = aerie_store_verify(cli_places(), repair, tell, &r, &sum, &err);
    cli_progress_end(&r.bar);
    if (!status && r.wrong)
        print_json(&r, &sum);
    else if (!status && (!common.quiet || sum.wrong))
        print_people(&sum);
    json_decref(r.wrong);
    if (!status && sum.wrong)
        status = aerie_fail(&err, AERIE_BAD_FILE,
                            "the store has %lld things wrong; pull or create those models again%s",
                            (long long)sum.wrong,
                            repair ? "" : " (--repair first removes what is damaged)");
    return status ? cli_fail(&err) : CLI_DONE;
}

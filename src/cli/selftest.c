/* selftest.c -- `aerie selftest`: golden numbers, on this machine, with this build. */
#include "aerie/selftest.h"

#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

typedef struct {
    json_t *cases; /* NULL: print lines */
    bool quiet;
} selftest_view;

static void show(void *user, const char *name, aerie_case_result result, const char *sentence)
{
    static const char *const words[] = { "ok", "FAILED", "not known to this build" };
    selftest_view *v = user;
    if (!v->cases) {
        if (!v->quiet || result == AERIE_CASE_FAILED)
            printf("%-48s %s%s%s\n", name, words[result], *sentence ? ": " : "", sentence);
        return;
    }
    if (result == AERIE_CASE_UNKNOWN) return;
    json_t *one = json_pack("{s:s, s:b}", "name", name, "ok", result == AERIE_CASE_PASSED);
    if (result == AERIE_CASE_FAILED) json_object_set_new(one, "error", json_string(sentence));
    json_array_append_new(v->cases, one);
}

int cli_selftest(int argc, char **argv)
{
    cli_common common = { 0 };
    const char *golden = NULL;
    const cli_option options[] = {
        { "--golden", 0, CLI_TEXT, &golden, "DIR",
          "also run the golden cases of the JSON files in DIR" },
        { 0 },
    };
    cli_call call = { .usage = "aerie selftest [--golden DIR] [options]",
                      .takes = CLI_TAKES_KERNELS,
                      .about = "Checks that this build computes what it should on this machine.",
                      .options = options };
    aerie_error err = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    selftest_view v = { .cases = common.json ? json_array() : NULL, .quiet = common.quiet };
    aerie_selftest_options o = { .golden_folder = golden,
                                 .cpu = common.cpu,
                                 .threads = (int)common.threads };
    aerie_selftest_summary s = { 0 };
    aerie_status status = aerie_selftest(&o, show, &v, &s, &err);
    if (!status && v.cases) {
        json_t *all = json_pack("{s:i, s:i, s:i, s:O}", "passed", s.passed, "failed", s.failed,
                                "unknown", s.unknown, "cases", v.cases);
        json_dumpf(all, stdout, 0);
        putchar('\n');
        json_decref(all);
    } else if (!status) {
        printf("%d passed, %d failed, %d of methods this build does not know\n", s.passed, s.failed,
               s.unknown);
    }
    json_decref(v.cases);
    if (status) return cli_fail(&err);
    return s.failed ? CLI_FAILED : CLI_DONE;
}

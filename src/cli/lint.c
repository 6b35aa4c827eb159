/* lint.c -- `aerie lint`: what would go wrong in training, before it does. */
#include "aerie/train.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

static void add_json(json_t *list, const aerie_lint_finding *f)
{
    json_t *places = json_array();
    for (int i = 0; i < f->n_places; i++) json_array_append_new(places, json_string(f->places[i]));
    json_array_append_new(list, json_pack("{s:s, s:b, s:I, s:s, s:o}", "check", f->check, "wrong",
                                          (int)f->wrong, "count", (json_int_t)f->count, "what",
                                          f->what, "examples", places));
}

static void print_finding(const aerie_lint_finding *f)
{
    printf("%s %s (%lld): %s\n", f->wrong ? "wrong:" : "note: ", f->check, (long long)f->count,
           f->what);
    for (int i = 0; i < f->n_places; i++) printf("    %s\n", f->places[i]);
    if (f->n_places && f->count > f->n_places)
        printf("    and %lld more\n", (long long)f->count - f->n_places);
}

static void show(void *user, const aerie_lint_finding *f)
{
    json_t *list = user;
    if (list)
        add_json(list, f);
    else
        print_finding(f);
}

static void print_json(const aerie_lint_summary *s, json_t *findings)
{
    json_t *all = json_pack("{s:b, s:I, s:i, s:O}", "ok", s->n_wrong == 0, "records",
                            (json_int_t)s->n_records, "wrong", s->n_wrong, "findings", findings);
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(all);
}

int cli_lint(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_list settings = { 0 };
    const cli_option options[] = {
        { "--set", 0, CLI_LIST, &settings, "KEY=VALUE", "over the recipe's own; may be repeated" },
        { 0 },
    };
    cli_call call = { .usage = "aerie lint RECIPE.yaml [options]",
                      .takes = CLI_TAKES_KERNELS,
                      .about = "Reads all that a recipe would train on, and tells what would go "
                               "wrong, with rows. Exit code 1 when something would.",
                      .options = options,
                      .max_words = 1 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (call.n_words == 0 && settings.n == 0)
        return cli_misused("there is no recipe; usage: %s", call.usage);
    aerie_train_options o = { .settings = settings.items,
                              .n_settings = (size_t)settings.n,
                              .cpu = common.cpu,
                              .threads = (int)common.threads,
                              .places = cli_places() };
    json_t *findings = common.json ? json_array() : NULL;
    aerie_lint_summary s = { 0 };
    aerie_error err = { 0 };
    aerie_status status =
        aerie_lint(call.n_words ? call.words[0] : NULL, &o, show, findings, &s, &err);
    if (!status && findings) print_json(&s, findings);
    json_decref(findings);
    if (status) return cli_fail(&err);
    if (s.n_wrong == 0 && !findings) printf("%lld records: all good\n", (long long)s.n_records);
    if (s.n_wrong == 0) return CLI_DONE;
    fprintf(stderr,
            "aerie: %d of the checks found what would go wrong; mend the data or the recipe\n",
            s.n_wrong);
    return CLI_FAILED;
}

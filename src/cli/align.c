/* align.c -- `aerie align`: a pipeline, with what each stage does on stderr. */
#include "aerie/align.h"

#include "aerie/text.h"
#include "cli/cli.h"
#include "cli/reward_command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

typedef struct {
    cli_progress bar;
    bool quiet, json;
} align_view;

static int on_progress(void *user, const aerie_train_progress *p)
{
    align_view *v = user;
    double done = p->n_steps > 0 ? (double)p->step / (double)p->n_steps : 0;

    if (p->phase == AERIE_TRAIN_STEP && p->has_replies)
        cli_progress_draw(&v->bar, done, "step %lld/%lld  reward %.3f  kl %.3f", (long long)p->step,
                          (long long)p->n_steps, p->reward, p->kl);
    else if (p->phase == AERIE_TRAIN_STEP)
        cli_progress_draw(&v->bar, done, "step %lld/%lld  loss %.4f", (long long)p->step,
                          (long long)p->n_steps, p->loss);
    else if (p->phase == AERIE_TRAIN_REFERENCE)
        cli_progress_draw(&v->bar, done, "reference log-probabilities");
    return cli_interrupted();
}

static void on_stage(void *user, const aerie_align_stage *s)
{
    static const char *const words[] = { "begins",  "goes on",       "is done already",
                                         "is done", "would be done", "" };
    align_view *v = user;

    cli_progress_end(&v->bar);
    if (s->event == AERIE_ALIGN_PLANNED && v->json) return;
    if (s->event == AERIE_ALIGN_PLANNED) {
        printf("stage %d of %d: %s (%s)%s%s\n%s\n\n", s->number, s->n, s->name, s->kind,
               *s->output ? " -> " : "", s->output, s->text);
        return;
    }
    if (v->quiet) return;
    if (s->event == AERIE_ALIGN_EVALUATED)
        fprintf(stderr, "evaluation %d of %d: %s: %s\n", s->number, s->n, s->name, s->text);
    else
        fprintf(stderr, "stage %d of %d: %s (%s) %s%s%s%s%s\n", s->number, s->n, s->name, s->kind,
                words[s->event], *s->text ? ": " : "", s->text, *s->output ? " -> " : "",
                s->output);
}

static aerie_status failed(const char *command, int how, aerie_error *err)
{
    if (cli_interrupted()) return aerie_fail(err, AERIE_INTERRUPTED, "interrupted");
    if (how < 0)
        return aerie_fail(err, AERIE_IO, "'%.100s' could not be run: %s", command, strerror(errno));
    return aerie_fail(err, AERIE_IO, "'%.100s' failed, with exit code %d", command,
                      WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how));
}

/* What a stage's program prints goes to stderr: stdout is the report's. */
static aerie_status on_command(void *user, const char *command, char **output, aerie_error *err)
{
    align_view *v = user;
    ae_bytes printed = { 0 };
    char part[4096];
    size_t n;
    int how;

    cli_progress_end(&v->bar);
    fflush(stdout);
    FILE *from = popen(command, "r");
    if (!from) return failed(command, -1, err);
    while ((n = fread(part, 1, sizeof part, from)) > 0) {
        if (output)
            ae_bytes_add(&printed, part, n);
        else
            fwrite(part, 1, n, stderr);
    }
    how = pclose(from);
    aerie_status status = how ? failed(command, how, err) : ae_bytes_status(&printed, err);
    if (!status && output) {
        *output = ae_strndup(printed.data ? printed.data : "", printed.len);
        if (!*output) status = aerie_fail(err, AERIE_NO_MEMORY, "no memory for what it printed");
    }
    ae_bytes_free(&printed);
    return status;
}

int cli_align(int argc, char **argv)
{
    cli_common common = { 0 };
    cli_list settings = { 0 };
    bool dry_run = false, again = false;
    const cli_option options[] = {
        { "--set", 0, CLI_LIST, &settings, "[STAGE:]KEY=VALUE",
          "over the recipes' own: of every training stage, or of one; may be repeated" },
        { "--dry-run", 0, CLI_FLAG, &dry_run, NULL, "plan every stage, do nothing" },
        { "--again", 0, CLI_FLAG, &again, NULL, "do also what is done" },
        { 0 },
    };
    cli_call call = { .usage = "aerie align PIPELINE.yaml [options]",
                      .takes = CLI_TAKES_KERNELS | CLI_TAKES_FORCE,
                      .about = "Stages of training in order, each starting from the last, then the "
                               "evaluation that the\npipeline names. What is done is not done "
                               "again; a call that was stopped or killed goes on.\n--json prints "
                               "the report at the end. docs/align.md tells of the file.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    cli_child asked = { 0 };
    char *report = NULL;
    int code;

    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    align_view view = { .bar = { .off = common.quiet },
                        .quiet = common.quiet,
                        .json = common.json };
    aerie_train_options train = { .any_base = common.force,
                                  .cpu = common.cpu,
                                  .threads = (int)common.threads,
                                  .places = cli_places(),
                                  .runs = cli_runs_path(),
                                  .progress = on_progress,
                                  .user = &view,
                                  .reward = cli_reward_ask,
                                  .reward_user = &asked,
                                  .judge_key = cli_judge_key() };
    aerie_align_options o = { .settings = settings.items,
                              .n_settings = (size_t)settings.n,
                              .dry_run = dry_run,
                              .again = again,
                              .train = &train,
                              .stage = on_stage,
                              .command = on_command,
                              .user = &view };
    cli_catch_interrupt();
    aerie_status status = aerie_align(call.words[0], &o, &report, &err);
    cli_child_close(&asked);
    cli_progress_end(&view.bar);
    if (!status && common.json) puts(report);
    aerie_free(report);
    return status ? cli_fail(&err) : CLI_DONE;
}

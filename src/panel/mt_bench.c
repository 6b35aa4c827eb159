/* mt_bench.c -- MT-Bench from its questions to its numbers. */
#include "panel/mt_bench.h"

#include "aerie/scoreboard.h"

#include <string.h>

static aerie_status check(const aerie_mt_bench_options *with, aerie_error *err)
{
    if (!with->questions)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "MT-Bench needs its questions");
    if (with->by.judge && !with->prompts)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a judge needs MT-Bench's prompts (judge_prompts.jsonl)");
    return ae_panel_check(&with->by, "MT-Bench", err);
}

static aerie_status answer_and_judge(ae_mt_bench_answers *answers, const ae_mt_bench_questions *q,
                                     const aerie_mt_bench_options *with, char **json,
                                     aerie_error *err)
{
    aerie_status status = AERIE_OK;
    char *path = NULL;

    for (size_t i = 0; i < with->by.n_models && !status; i++)
        status = ae_mt_bench_answers_get(&answers[i], &with->by.models[i], q, with, err);
    if (status || !with->by.judge) return status;
    status = ae_mt_bench_judge(&path, answers, q, with, err);
    const char *const paths[] = { path };
    const aerie_verdict_files files = {
        .paths = paths, .n_paths = 1, .texts = &with->questions, .n_texts = 1
    };
    if (!status) status = aerie_scoreboard(AERIE_MT_BENCH, &files, json, err);
    ae_free(path);
    return status;
}

aerie_status aerie_mt_bench(const aerie_mt_bench_options *options, char **json, aerie_error *err)
{
    ae_mt_bench_questions q = { 0 };
    ae_mt_bench_answers *answers = NULL;
    aerie_status status = check(options, err);

    *json = NULL;
    if (!status) status = ae_mt_bench_questions_read(&q, options, err);
    if (!status) {
        answers = ae_alloc(options->by.n_models, sizeof *answers);
        status = answers ? answer_and_judge(answers, &q, options, json, err)
                         : aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
    }
    for (size_t i = 0; answers && i < options->by.n_models; i++)
        ae_mt_bench_answers_free(&answers[i], &q);
    ae_free(answers);
    ae_mt_bench_questions_free(&q);
    return status;
}

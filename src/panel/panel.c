/* panel.c -- MT-Bench from its questions to its numbers. */
#include "panel/panel.h"

#include "aerie/scoreboard.h"

#include <string.h>

const char *ae_panel_label(const aerie_contender *c)
{
    const char *name = c->label ? c->label : c->url ? c->model : c->path;
    const char *folder = strrchr(name, '/'); /* it becomes a file's name */

    return folder && folder[1] ? folder + 1 : name;
}

ae_answerer ae_panel_answerer(const aerie_contender *c, const aerie_panel_options *with)
{
    return (ae_answerer){ .path = c->path,
                          .load = c->load,
                          .chat_template = c->chat_template,
                          .context = c->context,
                          .url = c->url,
                          .name = c->model,
                          .key = c->key,
                          .request = c->request,
                          .timeout_seconds = with->timeout_seconds,
                          .parallel = with->parallel };
}

static aerie_status check(const aerie_panel_options *with, aerie_error *err)
{
    if (!with->n_models || !with->questions || !with->folder)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "MT-Bench needs models, its questions and a folder for what they say");
    if (with->judge && !with->prompts)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "a judge needs MT-Bench's prompts (judge_prompts.jsonl)");
    for (size_t i = 0; i < with->n_models; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(ae_panel_label(&with->models[i]), ae_panel_label(&with->models[k])))
                return aerie_fail(err, AERIE_BAD_ARGUMENT,
                                  "two models are called '%s'; give them labels",
                                  ae_panel_label(&with->models[i]));
    return AERIE_OK;
}

static aerie_status answer_and_judge(ae_panel_answers *answers, const ae_panel_questions *q,
                                     const aerie_panel_options *with, char **json, aerie_error *err)
{
    aerie_status status = AERIE_OK;
    char *path = NULL;

    for (size_t i = 0; i < with->n_models && !status; i++)
        status = ae_panel_answers_get(&answers[i], &with->models[i], q, with, err);
    if (status || !with->judge) return status;
    status = ae_panel_judge(&path, answers, q, with, err);
    const char *const paths[] = { path };
    const aerie_verdict_files files = {
        .paths = paths, .n_paths = 1, .texts = &with->questions, .n_texts = 1
    };
    if (!status) status = aerie_scoreboard(AERIE_MT_BENCH, &files, json, err);
    ae_free(path);
    return status;
}

aerie_status aerie_panel(const aerie_panel_options *options, char **json, aerie_error *err)
{
    ae_panel_questions q = { 0 };
    ae_panel_answers *answers = NULL;
    aerie_status status = check(options, err);

    *json = NULL;
    if (!status) status = ae_panel_questions_read(&q, options, err);
    if (!status) {
        answers = ae_alloc(options->n_models, sizeof *answers);
        status = answers ? answer_and_judge(answers, &q, options, json, err)
                         : aerie_fail(err, AERIE_NO_MEMORY, "no memory for answers");
    }
    for (size_t i = 0; answers && i < options->n_models; i++)
        ae_panel_answers_free(&answers[i], &q);
    ae_free(answers);
    ae_panel_questions_free(&q);
    return status;
}

/* arena_typed.c -- prompts typed at the terminal, answered by two models without their names. */
#include "cli/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line; or, begun with three quotation marks, all up to the next three. False: nobody types. */
static bool read_prompt(ae_bytes *out)
{
    static const char quotes[] = "\"\"\"";
    char *line = NULL;
    size_t room = 0;
    bool quoted = false, any = false;

    ae_bytes_clear(out);
    printf("\nprompt (or /bye) > ");
    fflush(stdout);
    for (ssize_t n; !cli_interrupted() && (n = getline(&line, &room, stdin)) >= 0;) {
        const char *text = line;
        any = true;
        if (n > 0 && line[n - 1] == '\n') line[n - 1] = '\0';
        if (!quoted && !strncmp(text, quotes, 3)) {
            quoted = true;
            text += 3;
        }
        const char *end = quoted ? strstr(text, quotes) : text + strlen(text);
        ae_bytes_add(out, text, end ? (size_t)(end - text) : strlen(text));
        if (end) break;
        ae_bytes_add_char(out, '\n');
    }
    free(line);
    ae_bytes_add_char(out, '\0');
    return any && !cli_interrupted() && !out->failed && strcmp(out->data, "/bye") != 0;
}

static bool is_empty(const char *text)
{
    return text[strspn(text, " \t\n")] == '\0';
}

/* Adds the prompt to those of before. */
static aerie_status add_typed(const cli_arena_call *c, const char *prompt, aerie_error *err)
{
    json_t *line = json_pack("{s:s}", "prompt", prompt);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    FILE *file = text ? fopen(c->typed, "a") : NULL;
    bool written = file && fprintf(file, "%s\n", text) > 0;
    bool closed = file && fclose(file) == 0;

    json_decref(line);
    free(text);
    if (!line) return aerie_fail(err, AERIE_BAD_TEXT, "the prompt is no UTF-8");
    return written && closed
               ? AERIE_OK
               : aerie_fail(err, AERIE_IO, "%s: a prompt cannot be written there", c->typed);
}

/* All models stay open: the next prompt is answered at once. */
static aerie_status open_models(cli_arena_call *c, aerie_model **models, aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < c->sides.n && !status; i++) {
        aerie_contender *with = &c->sides.contenders[i];
        aerie_model_options load = with->load ? *with->load : (aerie_model_options){ 0 };
        const aerie_memory_plan plan = { .n_ctx = with->context, .parallel = 1 };
        if (!with->path) continue;
        load.plan = &plan;
        status = aerie_model_open(&models[i], with->path, &load, err);
        with->opened = models[i];
    }
    return status;
}

static aerie_status ask_typed(cli_arena_call *c, const char *prompt, bool *go_on, aerie_error *err)
{
    json_t *report = NULL;
    aerie_status status = add_typed(c, prompt, err);

    if (!status) status = cli_arena_replies(c, &report, err);
    if (!status)
        status = cli_arena_ask(c, report, json_array_size(json_object_get(report, "items")) - 1,
                               go_on, err);
    json_decref(report);
    return status;
}

aerie_status cli_arena_typed(cli_arena_call *c, aerie_error *err)
{
    aerie_model *models[SIDES] = { NULL };
    ae_bytes prompt = { 0 };
    bool go_on = true;
    aerie_status status = ae_file_make_folder(c->folder, err);

    c->parallel = 1;
    c->typed = ae_path_join(c->folder, "typed.jsonl");
    if (!status && !c->typed) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    if (!status) status = open_models(c, models, err);
    while (!status && go_on && read_prompt(&prompt))
        if (!is_empty(prompt.data)) status = ask_typed(c, prompt.data, &go_on, err);
    for (size_t i = 0; i < SIDES; i++) aerie_model_close(models[i]);
    ae_bytes_free(&prompt);
    ae_free(c->typed);
    c->typed = NULL;
    return status;
}

/* render.c -- `aerie render`: what a chat template makes of messages. */
#include "cli/cli.h"
#include "cli/jsonl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    cli_common common;
    const char *messages, *template_file, *file;
    bool no_generation_prompt, ids, jsonl;
    const char *path; /* of the model; NULL: none */
    ae_bytes template_text;
} render_call;

/* Adds to a request what the command line says and the request leaves open. */
static void complete_request(const render_call *c, json_t *request)
{
    if (c->template_text.data && !json_object_get(request, "template"))
        json_object_set_new(request, "template",
                            json_stringn(c->template_text.data, c->template_text.len));
    if (c->no_generation_prompt)
        json_object_set_new(request, "add_generation_prompt", json_false());
}

static aerie_status render(const render_call *c, json_t *request, char **text, size_t *len,
                           aerie_error *err)
{
    complete_request(c, request);
    char *dumped = json_dumps(request, 0);
    if (!dumped) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the messages");
    aerie_status status = aerie_render(c->path, dumped, text, len, err);
    free(dumped);
    return status;
}

/* One line in, one line out; a template that refuses its messages is a result, not a failure. */
static aerie_status render_row(void *user, json_t *row, aerie_error *err)
{
    aerie_error own = { 0 };
    char *text = NULL;
    size_t len = 0;
    aerie_status status = render(user, row, &text, &len, &own);
    if (status == AERIE_NO_MEMORY) return aerie_fail(err, status, "%s", own.message);
    cli_print_json(status ? json_pack("{s:s}", "error", own.message)
                          : json_pack("{s:s%}", "text", text, len));
    aerie_free(text);
    return AERIE_OK;
}

static aerie_status print_render_ids(const render_call *c, const char *text, size_t len,
                                     aerie_error *err)
{
    aerie_tokenizer *t = NULL;
    int32_t *ids = NULL;
    size_t n = 0;
    aerie_status status = aerie_tokenizer_open(&t, c->path, err);
    if (!status) status = aerie_tokenize(t, text, len, NULL, &ids, &n, err);
    if (!status) cli_print_json(json_pack("{s:o}", "ids", cli_ids_json(ids, n)));
    aerie_free(ids);
    aerie_tokenizer_close(t);
    return status;
}

static aerie_status render_messages(const render_call *c, aerie_error *err)
{
    json_error_t where;
    char *text = NULL;
    size_t len = 0;
    ae_bytes file = { 0 };
    if (ae_file_read(&file, c->messages, 0, err)) return err->status;
    json_t *given = json_loadb(file.data ? file.data : "", file.len, 0, &where);
    ae_bytes_free(&file);
    if (!given)
        return aerie_fail(err, AERIE_BAD_FILE, "%s:%d: %s", c->messages, where.line, where.text);
    json_t *request =
        json_is_array(given) ? json_pack("{s:O}", "messages", given) : json_incref(given);
    /* What is asked for is a prompt, unless the call or the file says otherwise. */
    if (!json_object_get(request, "add_generation_prompt"))
        json_object_set_new(request, "add_generation_prompt", json_true());
    aerie_status status = render(c, request, &text, &len, err);
    if (!status && c->ids)
        status = print_render_ids(c, text, len, err);
    else if (!status && c->common.json)
        cli_print_json(json_pack("{s:s%}", "text", text, len));
    else if (!status)
        fwrite(text, 1, len, stdout);
    aerie_free(text);
    json_decref(request);
    json_decref(given);
    return status;
}

int cli_render(int argc, char **argv)
{
    render_call c = { 0 };
    const cli_option options[] = {
        { "--messages", 'm', CLI_TEXT, &c.messages, "FILE",
          "JSON list of {\"role\", \"content\"}" },
        { "--template", 0, CLI_TEXT, &c.template_file, "FILE",
          "another template: a Jinja file, or a known name" },
        { "--no-generation-prompt", 0, CLI_FLAG, &c.no_generation_prompt, NULL,
          "do not open the assistant's turn" },
        { "--ids", 0, CLI_FLAG, &c.ids, NULL, "print the tokens' ids" },
        { "--jsonl", 0, CLI_FLAG, &c.jsonl, NULL,
          "with --file: a request a line, {\"text\"} or {\"error\"} a line" },
        { "--file", 'f', CLI_TEXT, &c.file, "FILE", "requests for --jsonl" },
        { 0 },
    };
    cli_call call = { .usage = "aerie render [MODEL] --messages FILE.json [options]",
                      .takes = CLI_TAKES_KERNELS,
                      .about = "Prints what a chat template makes of messages.",
                      .options = options,
                      .max_words = 1 };
    aerie_error err = { 0 };
    char *path = NULL;
    int code;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if (c.jsonl ? !c.file : !c.messages)
        return cli_misused("give %s; usage: %s", c.jsonl ? "--file FILE" : "--messages FILE",
                           call.usage);
    if (c.ids && call.n_words == 0) return cli_misused("--ids needs a MODEL for its tokenizer");

    aerie_status status = AERIE_OK;
    if (c.template_file) status = cli_read_template(&c.template_text, c.template_file, &err);
    if (!status && call.n_words > 0) status = cli_find(call.words[0], &path, &err);
    c.path = path;
    if (!status)
        status = c.jsonl ? cli_each_line(c.file, render_row, &c, &err) : render_messages(&c, &err);
    ae_bytes_free(&c.template_text);
    aerie_free(path);
    return status ? cli_fail(&err) : CLI_DONE;
}

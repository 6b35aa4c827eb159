/* imatrix.c -- `aerie imatrix`: which columns of its weights a model uses most. */
#include "aerie/quantize.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    cli_progress bar;
    double begun;
} report;

static bool on_progress(void *user, int64_t chunk, int64_t n_chunks)
{
    report *r = user;
    char left[32];
    double seconds = ae_clock_seconds() - r->begun;
    cli_seconds(left, seconds / (double)chunk * (double)(n_chunks - chunk));
    cli_progress_draw(&r->bar, (double)chunk / (double)n_chunks, "chunk %lld of %lld, %s left",
                      (long long)chunk, (long long)n_chunks, left);
    return !cli_interrupted();
}

static aerie_status read_text(ae_bytes *out, const char *path, aerie_error *err)
{
    aerie_status status = ae_file_read(out, path, 0, err);
    if (!status && out->len == 0)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: the file is empty", path);
    return status;
}

static void print_summary(const aerie_imatrix_summary *s, const cli_common *common,
                          const char *path)
{
    if (common->json) {
        json_t *o = json_pack("{s:I, s:I, s:I}", "chunks", (json_int_t)s->n_chunks, "tokens",
                              (json_int_t)s->n_tokens, "tensors", (json_int_t)s->n_tensors);
        json_dumpf(o, stdout, 0);
        putchar('\n');
        json_decref(o);
    } else if (!common->quiet) {
        fprintf(stderr, "wrote %s: %lld tensors, %lld chunks, %lld tokens\n", path,
                (long long)s->n_tensors, (long long)s->n_chunks, (long long)s->n_tokens);
    }
}

int cli_imatrix(int argc, char **argv)
{
    cli_common common = { 0 };
    const char *file = NULL, *out_path = NULL;
    aerie_imatrix_options o = { 0 };
    const cli_option options[] = {
        { "--file", 'f', CLI_TEXT, &file, "TEXT", "what the model is to read: text like its use" },
        { "--output", 'o', CLI_TEXT, &out_path, "OUT", "the file to write (GGUF)" },
        { "--ctx", 'c', CLI_COUNT, &o.n_ctx, "N", "tokens of a chunk (default 512)" },
        { "--chunks", 0, CLI_COUNT, &o.n_chunks, "N", "read at most N chunks (default: all)" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie imatrix MODEL --file TEXT -o OUT [options]",
        .about =
            "Writes an importance matrix: how large the inputs of every weight are, by column,\n"
            "while the model reads a text. `aerie quantize --imatrix OUT` then spends its bits\n"
            "where they count. The format is llama.cpp's.",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    aerie_imatrix_summary sum = { 0 };
    aerie_model *m = NULL;
    ae_bytes text = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (!file || !out_path)
        return cli_misused("give --file TEXT and -o OUT; usage: %s", call.usage);
    if (o.n_ctx < 0 || o.n_chunks < 0)
        return cli_misused("--ctx and --chunks want numbers above 0");

    report r = { .bar.off = common.quiet, .begun = ae_clock_seconds() };
    const char *slash = strrchr(file, '/');
    o.dataset = slash ? slash + 1 : file;
    o.progress = on_progress;
    o.user = &r;
    const aerie_memory_plan plan = { .n_ctx = o.n_ctx, .use = AERIE_USE_IMPORTANCE };
    common.plan = &plan;
    cli_catch_interrupt();
    aerie_status status = read_text(&text, file, &err);
    if (!status) status = cli_open(&m, call.words[0], &common, &err);
    if (!status) status = aerie_imatrix(m, text.data, text.len, out_path, &o, &sum, &err);
    cli_progress_end(&r.bar);
    aerie_model_close(m);
    ae_bytes_free(&text);
    if (status) return cli_fail(&err);
    print_summary(&sum, &common, out_path);
    return CLI_DONE;
}

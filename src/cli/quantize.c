/* quantize.c -- `aerie quantize`: a model in fewer bits. */
#include "aerie/quantize.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

/* What is to be printed, kept until all has gone well. */
typedef struct {
    cli_progress bar;
    json_t *tensors; /* NULL: a table is wanted */
    ae_bytes table;
} report;

static void add_json(report *r, const aerie_quantized_tensor *t)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->n_dims; i++) json_array_append_new(shape, json_integer(t->dims[i]));
    json_array_append_new(r->tensors,
                          json_pack("{s:s, s:o, s:s, s:s, s:I, s:f, s:f, s:b}", "name", t->name,
                                    "shape", shape, "from", t->from_type, "type", t->type, "bytes",
                                    (json_int_t)t->bytes, "rmse", t->rmse, "relative", t->relative,
                                    "imatrix", t->has_importance));
}

static void add_row(report *r, const aerie_quantized_tensor *t)
{
    char shape[64] = "", size[32];
    int at = 0;
    for (int i = 0; i < t->n_dims && at < 40; i++)
        at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%lld", i ? " x " : "",
                       (long long)t->dims[i]);
    ae_bytes_printf(&r->table, "%-26s %15s %5s -> %-5s %9s", t->name, shape, t->from_type, t->type,
                    cli_bytes(size, (double)t->bytes));
    if (t->rmse > 0)
        ae_bytes_printf(&r->table, "  rmse %.3e (%.2f %%)%s", t->rmse, 100 * t->relative,
                        t->has_importance ? " imatrix" : "");
    ae_bytes_add_char(&r->table, '\n');
}

static bool on_progress(void *user, double part, const aerie_quantized_tensor *t)
{
    report *r = user;
    if (t && r->tensors)
        add_json(r, t);
    else if (t)
        add_row(r, t);
    cli_progress_draw(&r->bar, part, "quantizing");
    return !cli_interrupted();
}

static void print_json(report *r, const aerie_quantize_summary *s)
{
    json_t *o = json_pack("{s:O, s:I, s:I, s:I, s:f, s:f}", "tensors", r->tensors, "tensor_bytes",
                          (json_int_t)s->bytes, "tensor_bytes_before", (json_int_t)s->bytes_before,
                          "parameters", (json_int_t)s->n_elements, "bits_per_weight",
                          s->bits_per_weight, "seconds", s->seconds);
    json_dumpf(o, stdout, JSON_REAL_PRECISION(8));
    putchar('\n');
    json_decref(o);
}

static void print_table(const report *r, const aerie_quantize_summary *s, const char *path)
{
    char before[32], after[32], time[32];
    printf("%s%s: %lld tensors, %s -> %s, %.2f bits a weight, %s\n",
           r->table.data ? r->table.data : "", path, (long long)s->n_tensors,
           cli_bytes(before, (double)s->bytes_before), cli_bytes(after, (double)s->bytes),
           s->bits_per_weight, cli_seconds(time, s->seconds));
}

int cli_quantize(int argc, char **argv)
{
    cli_common common = { 0 };
    aerie_quantize_options o = { 0 };
    const cli_option options[] = {
        { "--imatrix", 0, CLI_TEXT, &o.imatrix, "FILE",
          "which columns matter: of `aerie imatrix` or llama.cpp" },
        { "--output-tensor-type", 0, CLI_TEXT, &o.output_tensor_type, "T",
          "type of output.weight instead of the mix's" },
        { "--token-embedding-type", 0, CLI_TEXT, &o.token_embedding_type, "T",
          "type of token_embd.weight instead of the mix's" },
        { "--pure", 0, CLI_FLAG, &o.pure, NULL, "no mix: one type for every matrix" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie quantize MODEL OUT.gguf TYPE [options]",
        .takes = CLI_TAKES_KERNELS,
        .about =
            "Writes a model (GGUF or a Hugging Face folder) in fewer bits. TYPE, from the "
            "smallest:\n"
            "Q2_K_S Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_0 Q4_1 Q4_K_S Q4_K_M Q5_0 Q5_1 Q5_K_S\n"
            "Q5_K_M Q6_K Q8_0 F16 BF16 F32, mixed as llama.cpp mixes them. rmse: by how much a\n"
            "tensor's weights changed, and how much that is of their size.",
        .options = options,
        .min_words = 3,
        .max_words = 3
    };
    aerie_error err = { 0 };
    aerie_quantize_summary sum = { 0 };
    char *in = NULL;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;

    report r = { .bar.off = common.quiet, .tensors = common.json ? json_array() : NULL };
    o.threads = (int)common.threads;
    o.progress = on_progress;
    o.user = &r;
    cli_catch_interrupt();
    aerie_status status = cli_find_whole(call.words[0], &in, &err);
    if (!status) status = aerie_quantize(in, call.words[1], call.words[2], &o, &sum, &err);
    cli_progress_end(&r.bar);
    aerie_free(in);
    if (!status && r.tensors)
        print_json(&r, &sum);
    else if (!status && !common.quiet)
        print_table(&r, &sum, call.words[1]);
    json_decref(r.tensors);
    ae_bytes_free(&r.table);
    return status ? cli_fail(&err) : CLI_DONE;
}

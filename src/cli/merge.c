/* merge.c -- `aerie merge`: an adapter folded into its model. */
#include "aerie/merge.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

static bool on_progress(void *user, double part, const aerie_quantized_tensor *t)
{
    (void)t;
    cli_progress_draw(user, part, "merging");
    return !cli_interrupted();
}

static void print_json(const aerie_merge_summary *s, const char *path)
{
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:f}", "output", path, "tensors",
                          (json_int_t)s->file.n_tensors, "tensor_bytes", (json_int_t)s->file.bytes,
                          "tensor_bytes_before", (json_int_t)s->file.bytes_before,
                          "bits_per_weight", s->file.bits_per_weight);
    json_t *e = json_pack("{s:I, s:{s:f, s:f}, s:{s:f, s:f}, s:f, s:f, s:f}", "tokens",
                          (json_int_t)s->tokens, "logit", "max", s->logit_max, "mean",
                          s->logit_mean, "kl", "mean", s->kl_mean, "max", s->kl_max, "same_top",
                          s->same_top, "ppl", s->ppl, "unmerged_ppl", s->unmerged_ppl);
    json_object_set_new(o, "error", s->tokens ? e : json_null());
    if (!s->tokens) json_decref(e);
    json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(o);
}

static void print_people(const aerie_merge_summary *s, const char *path)
{
    char size[32];
    printf("%s: %lld tensors, %s, %.2f bits a weight\n", path, (long long)s->file.n_tensors,
           cli_bytes(size, (double)s->file.bytes), s->file.bits_per_weight);
    if (!s->tokens) return;
    printf("against the model with its adapter laid over, on %lld tokens:\n", (long long)s->tokens);
    printf("  logits differ by %.4g on average, by %.4g at most\n", s->logit_mean, s->logit_max);
    printf("  KL divergence %.4g on average, %.4g at most\n", s->kl_mean, s->kl_max);
    printf("  the same most likely token %.2f %%; perplexity %.4f, unmerged %.4f\n",
           100 * s->same_top, s->ppl, s->unmerged_ppl);
}

int cli_merge(int argc, char **argv)
{
    cli_common common = { 0 };
    aerie_merge_options o = { 0 };
    const char *out_path = NULL, *file = NULL;
    const cli_option options[] = {
        { "--output", 'o', CLI_TEXT, &out_path, "OUT.gguf", "the file to write" },
        { "--type", 0, CLI_TEXT, &o.type, "TYPE",
          "f16 (default), bf16, f32, or a quantized type as `aerie quantize` has them" },
        { "--imatrix", 0, CLI_TEXT, &o.imatrix, "FILE", "which columns matter, for such a type" },
        { "--file", 'f', CLI_TEXT, &file, "TEXT",
          "measure the error on this text instead of a sample that is built in" },
        { "--no-measure", 0, CLI_FLAG, &o.unmeasured, NULL, "write the file and measure nothing" },
        { 0 },
    };
    cli_call call = { .usage =
                          "aerie merge MODEL --adapter FILE[=SCALE] -o OUT.gguf [--type Q4_K_M]",
                      .about =
                          "Folds adapters into a model's weights, straight into any type, and "
                          "tells what rounding\n"
                          "cost: the merged file against the model with the adapters laid over.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    aerie_merge_summary sum = { 0 };
    ae_bytes text = { 0 };
    const aerie_stored *stored = NULL;
    cli_list adapters;
    aerie_status status;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (!out_path) return cli_misused("give -o OUT.gguf; usage: %s", call.usage);
    status = cli_resolve(&stored, call.words[0], &err);
    if (!status) status = cli_all_adapters(&adapters, stored, &common, &err);
    if (!status && !adapters.n) {
        aerie_stored_free(stored);
        return cli_misused("give --adapter FILE and -o OUT.gguf; usage: %s", call.usage);
    }

    cli_progress bar = { .off = common.quiet };
    if (!status && file) status = ae_file_read(&text, file, 0, &err);
    o.adapters = adapters.items;
    o.n_adapters = adapters.n;
    o.any_base = common.force;
    o.text = file ? (text.data ? text.data : "") : NULL;
    o.len = text.len;
    o.cpu = common.cpu;
    o.threads = (int)common.threads;
    o.progress = on_progress;
    o.user = &bar;
    cli_catch_interrupt();
    if (!status) status = aerie_merge(stored->path, out_path, &o, &sum, &err);
    cli_progress_end(&bar);
    aerie_stored_free(stored);
    ae_bytes_free(&text);
    if (!status && common.json)
        print_json(&sum, out_path);
    else if (!status && !common.quiet)
        print_people(&sum, out_path);
    return status ? cli_fail(&err) : CLI_DONE;
}

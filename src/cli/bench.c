/* bench.c -- `aerie bench`: tokens per second. */
#include "aerie/eval.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>

typedef struct {
    aerie_model_info info;
    aerie_bench_result result;
    double load_seconds;
} bench_report;

static void print_json(const bench_report *b)
{
    const aerie_bench_result *r = &b->result;
    json_t *o =
        json_pack("{s:s, s:I, s:i, s:{s:I, s:f}, s:{s:I, s:f}, s:f, s:I}", "model", b->info.path,
                  "size_bytes", (json_int_t)b->info.weight_bytes, "threads", b->info.threads, "pp",
                  "tokens", (json_int_t)r->prompt_tokens, "tok_s", r->prompt_tokens_per_second,
                  "tg", "tokens", (json_int_t)r->reply_tokens, "tok_s", r->reply_tokens_per_second,
                  "load_s", b->load_seconds, "peak_rss_bytes", (json_int_t)aerie_peak_memory());
    json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

static void print_table(const bench_report *b)
{
    char size[32], peak[32];
    printf("%s, %s, %s, %d threads\n", b->info.path, cli_bytes(size, (double)b->info.weight_bytes),
           b->info.device, b->info.threads);
    printf("  prompt %5lld tokens  %9.2f tokens/s\n", (long long)b->result.prompt_tokens,
           b->result.prompt_tokens_per_second);
    printf("  reply  %5lld tokens  %9.2f tokens/s\n", (long long)b->result.reply_tokens,
           b->result.reply_tokens_per_second);
    printf("  load %.3f s, peak memory %s\n", b->load_seconds,
           cli_bytes(peak, (double)aerie_peak_memory()));
}

int cli_bench(int argc, char **argv)
{
    cli_common common = { 0 };
    int64_t n_prompt = 512, n_reply = 64, repeat = 3;
    const cli_option options[] = {
        { "--prompt", 'p', CLI_INT, &n_prompt, "N", "tokens of the prompt (512)" },
        { "--reply", 'n', CLI_INT, &n_reply, "N", "tokens decoded after it (64)" },
        { "--repeat", 'r', CLI_INT, &repeat, "N", "runs; the best counts (3)" },
        { 0 },
    };
    cli_call call = { .usage = "aerie bench MODEL [-p 512] [-n 64] [options]",
                      .about = "Measures tokens per second.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    aerie_model *m = NULL;
    bench_report b = { 0 };
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    double start = ae_clock_seconds();
    aerie_status status = cli_open(&m, call.words[0], &common, &err);
    b.load_seconds = ae_clock_seconds() - start;
    if (!status)
        status = aerie_bench(m, n_prompt, n_reply, repeat > 0 ? (int)repeat : 1, &b.result, &err);
    if (!status) {
        aerie_model_describe(m, &b.info);
        if (common.json)
            print_json(&b);
        else
            print_table(&b);
    }
    aerie_model_close(m);
    return status ? cli_fail(&err) : CLI_DONE;
}

/* bench.c -- `aerie bench`: tokens per second. */
#include "aerie/bench.h"
#include "cli/bench_profile.h"
#include "cli/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_TOKEN_PROMPT = 32 };

typedef struct {
    aerie_model_info info;
    aerie_bench_options options;
    aerie_bench_result result;
    double load_seconds, first_token_seconds; /* 0: not measured */
    bool first_token, measure_limits, profile;
    aerie_bench_limits limits;
    aerie_bench_profile of_prompt, of_reply;
    uint64_t peak_bytes; /* before the limits' own memory */
    cli_progress bar;
} bench_run;

static json_t *rate_json(const aerie_bench_rate *r, int64_t tokens)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:i}", "tokens", (json_int_t)(r->n ? tokens : 0),
                     "tok_s", r->median, "min", r->min, "max", r->max, "repetitions", r->n);
}

/* "tg" is the first of these lines. */
static json_t *replies_json(const bench_run *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->result.n_replies; i++) {
        const aerie_bench_reply *r = &b->result.replies[i];
        json_t *one = rate_json(&r->rate, b->options.n_reply);
        json_object_set_new(one, "sequences", json_integer((json_int_t)r->sequences));
        json_array_append_new(list, one);
    }
    return list;
}

static void print_json(const bench_run *b)
{
    const aerie_bench_result *r = &b->result;
    json_t *o =
        json_pack("{s:s, s:I, s:i, s:s, s:o, s:o, s:I, s:o}", "model", b->info.path, "size_bytes",
                  (json_int_t)b->info.weight_bytes, "threads", b->info.threads, "device",
                  b->info.device, "pp", rate_json(&r->prompt, b->options.n_prompt), "tg",
                  rate_json(&r->replies[0].rate, b->options.n_reply), "depth",
                  (json_int_t)b->options.depth, "batch", replies_json(b));
    if (b->first_token) json_object_set_new(o, "first_token_s", json_real(b->first_token_seconds));
    json_object_set_new(o, "load_s", json_real(b->load_seconds));
    json_object_set_new(o, "peak_rss_bytes", json_integer((json_int_t)b->peak_bytes));
    if (b->measure_limits)
        json_object_set_new(o, "limits",
                            json_pack("{s:f, s:f, s:f}", "read_bytes_s", b->limits.read_bytes,
                                      "int8_ops_s", b->limits.byte_operations, "f32_ops_s",
                                      b->limits.float_operations));
    if (b->profile)
        json_object_set_new(o, "profile",
                            json_pack("{s:o, s:o}", "prompt", cli_profile_json(&b->of_prompt),
                                      "reply", cli_profile_json(&b->of_reply)));
    json_dumpf(o, stdout, JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

static void print_rate(const char *what, int64_t tokens, const aerie_bench_rate *r)
{
    printf("  %-24s %6lld tokens  %9.2f tokens/s  (%.2f to %.2f, %d runs)\n", what,
           (long long)tokens, r->median, r->min, r->max, r->n);
}

static void print_table(const bench_run *b)
{
    const aerie_bench_options *o = &b->options;
    char size[32], peak[32], what[64];
    printf("%s, %s, %s, %d threads\n", b->info.path, cli_bytes(size, (double)b->info.weight_bytes),
           b->info.device, b->info.threads);
    if (b->result.prompt.n) print_rate("prompt", o->n_prompt, &b->result.prompt);
    for (int i = 0; i < b->result.n_replies; i++) {
        const aerie_bench_reply *r = &b->result.replies[i];
        int n = snprintf(what, sizeof what, "reply");
        if (r->sequences > 1)
            n += snprintf(what + n, sizeof what - (size_t)n, " x %lld", (long long)r->sequences);
        if (o->depth > 0)
            snprintf(what + n, sizeof what - (size_t)n, " at %lld", (long long)o->depth);
        print_rate(what, o->n_reply, &r->rate);
    }
    if (b->first_token)
        printf("  %-24s %6d tokens  %9.3f s from the program's start\n", "first token after",
               FIRST_TOKEN_PROMPT, b->first_token_seconds);
    printf("  load %.3f s, peak memory %s\n", b->load_seconds,
           cli_bytes(peak, (double)b->peak_bytes));
    if (b->measure_limits)
        printf("  this machine at best: reads %.1f GB/s, %.0f GOP/s of bytes, %.0f GFLOP/s\n",
               b->limits.read_bytes * 1e-9, b->limits.byte_operations * 1e-9,
               b->limits.float_operations * 1e-9);
    if (b->profile) {
        cli_profile_print("prompt", &b->of_prompt);
        cli_profile_print("reply", &b->of_reply);
    }
}

static bool show_progress(void *user, double fraction, const char *what)
{
    bench_run *b = user;
    cli_progress_draw(&b->bar, fraction, "%s", what);
    return !cli_interrupted();
}

/* "1,2,4,8". */
static bool read_batches(const char *text, aerie_bench_options *o, int *code)
{
    for (const char *at = text; at && *at;) {
        char *end;
        long long n = strtoll(at, &end, 10);
        if (end == at || (*end && *end != ',') || n < 1 || o->n_batches == AERIE_BENCH_BATCHES) {
            *code = cli_misused("--batch wants up to %d whole numbers with commas between, not "
                                "'%s'",
                                AERIE_BENCH_BATCHES, text);
            return false;
        }
        o->batches[o->n_batches++] = n;
        at = *end ? end + 1 : end;
    }
    return true;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The longest context of the run, and the most sequences. */
static aerie_memory_plan plan_of(const aerie_bench_options *o)
{
    int64_t windows = o->depth > 0 ? o->repetitions : 1;
    aerie_memory_plan plan = { .n_ctx = most(o->n_prompt, o->depth + windows * o->n_reply) + 8 };
    for (int i = 0; i < o->n_batches; i++) plan.parallel = most(plan.parallel, o->batches[i]);
    return plan;
}

static aerie_status measure(bench_run *b, const char *model, cli_common *common, aerie_model **m,
                            aerie_error *err)
{
    const aerie_memory_plan plan = plan_of(&b->options);
    common->plan = &plan;
    double start = ae_clock_seconds();
    aerie_status status = cli_open(m, model, common, err);
    b->load_seconds = ae_clock_seconds() - start;
    if (!status && b->first_token) {
        status = aerie_bench_first_token(*m, FIRST_TOKEN_PROMPT, err);
        b->first_token_seconds = ae_clock_process_seconds();
    }
    if (!status && b->options.n_prompt + b->options.n_reply != 0)
        status = aerie_bench(*m, &b->options, &b->result, err);
    b->peak_bytes = aerie_peak_memory();
    if (!status && b->measure_limits) status = aerie_bench_measure_limits(*m, &b->limits, err);
    if (!status && b->profile)
        status =
            aerie_bench_profiles(*m, &b->options, &b->limits, &b->of_prompt, &b->of_reply, err);
    cli_progress_end(&b->bar);
    return status;
}

int cli_bench(int argc, char **argv)
{
    cli_common common = { 0 };
    static bench_run b = { .options = {
                               .n_prompt = 512, .n_reply = 64, .progress = show_progress } };
    aerie_bench_options *o = &b.options;
    int64_t repeat = 3;
    const char *batches = NULL;
    const cli_option options[] = {
        { "--prompt", 'p', CLI_COUNT, &o->n_prompt, "N", "tokens of the prompt; 0: none (512)" },
        { "--reply", 'n', CLI_COUNT, &o->n_reply, "N", "tokens decoded; 0: none (64)" },
        { "--depth", 'd', CLI_COUNT, &o->depth, "N", "decode after a context of N tokens (0)" },
        { "--batch", 'b', CLI_TEXT, &batches, "N,N..", "sequences that decode together (1)" },
        { "--repeat", 'r', CLI_COUNT, &repeat, "N", "runs; the median counts (3)" },
        CLI_EXACT(&common),
        { "--first-token", 0, CLI_FLAG, &b.first_token, NULL,
          "first of all, seconds from the program's start to a reply's first token" },
        { "--profile", 0, CLI_FLAG, &b.profile, NULL,
          "where the time of a prompt and of a reply goes, by op, each beside its limit" },
        { "--limits", 0, CLI_FLAG, &b.measure_limits, NULL,
          "also what this machine can do at best: memory, bytes, floats" },
        CLI_KV(&common),
        { 0 },
    };
    cli_call call = { .usage = "aerie bench MODEL [-p 512] [-n 64] [options]",
                      .about = "Measures tokens per second, over random tokens.",
                      .options = options,
                      .min_words = 1,
                      .max_words = 1 };
    aerie_error err = { 0 };
    aerie_model *m = NULL;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (!read_batches(batches, o, &code)) return code;
    if (!b.first_token && !b.measure_limits && o->n_prompt == 0 && o->n_reply == 0)
        return cli_misused("nothing to measure: give -p, -n, --first-token or --limits");
    if (repeat < 1 || repeat > 64) return cli_misused("--repeat wants a number from 1 to 64");
    o->repetitions = (int)repeat;
    b.measure_limits |= b.profile;
    o->user = &b;
    b.bar.off = common.quiet;
    cli_catch_interrupt();
    aerie_status status = measure(&b, call.words[0], &common, &m, &err);
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

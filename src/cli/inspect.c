/* inspect.c -- `aerie inspect`: what is in a model, an adapter or a data file. */
#include "cli/inspect.h"
#include "aerie/train.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    cli_common common;
    const char *recipe, *against;
    cli_list settings;
    const char *draft;
    int64_t context, parallel, batch, prefix, limit;
    bool tensors, check, reward;
    const char *data, *prompt;
    cli_list replies;
} inspect_call;

/* ---- a data file, as training would read it ---- */

/* Learned tokens stand out: bright on a terminal, between brackets elsewhere. */
static int show_sample(void *user, int64_t index, const char *part, const aerie_train_token *tokens,
                       int64_t n)
{
    const inspect_call *c = user;
    if (!c->common.json) printf("--- %s %lld: %lld tokens\n", part, (long long)index, (long long)n);
    for (int64_t i = 0; i < n; i++) {
        json_t *text = json_stringn(tokens[i].text, tokens[i].text_len);
        if (!text) text = json_string("\xef\xbf\xbd");
        if (c->common.json) {
            json_t *o =
                json_pack("{s:I, s:s, s:i, s:f, s:o}", "sample", (json_int_t)index, "part", part,
                          "id", tokens[i].id, "weight", (double)tokens[i].weight, "text", text);
            json_dumpf(o, stdout, JSON_COMPACT);
            putchar('\n');
            json_decref(o);
        } else {
            printf("%7d  %4.2f  ", tokens[i].id, (double)tokens[i].weight);
            json_dumpf(text, stdout, JSON_ENCODE_ANY);
            putchar('\n');
            json_decref(text);
        }
    }
    return 0;
}

static aerie_status inspect_data(inspect_call *c, const char *path, aerie_error *err)
{
    aerie_train_options o = { .settings = c->settings.items,
                              .n_settings = (size_t)c->settings.n,
                              .cpu = c->common.cpu,
                              .threads = (int)c->common.threads,
                              .places = cli_places() };
    if (!c->recipe && c->settings.n == 0)
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s is no model; to see it as training data give --recipe RECIPE.yaml",
                          path);
    return aerie_train_samples(c->recipe, &o, path, c->limit, show_sample, c, err);
}

/* ---- a model or an adapter ---- */

static double number_at(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void print_memory(const json_t *o)
{
    static const struct {
        const char *key, *name;
    } parts[] = {
        { "weight_bytes", "weights" }, { "mapped_bytes", "read from the file" },
        { "cache_bytes", "cache" },    { "prefix_bytes", "kept prompts" },
        { "draft_bytes", "draft" },    { "scratch_bytes", "scratch" },
        { "base_bytes", "program" },
    };
    const json_t *m = json_object_get(o, "memory");
    char size[32];
    if (!m) return;
    printf("memory at a context of %lld for %lld:",
           (long long)json_integer_value(json_object_get(m, "ctx")),
           (long long)json_integer_value(json_object_get(m, "parallel")));
    for (size_t i = 0; i < AE_COUNT(parts); i++)
        if (number_at(m, parts[i].key) > 0 || i < 3)
            printf("%s %s %s", i ? " +" : "", cli_bytes(size, number_at(m, parts[i].key)),
                   parts[i].name);
    printf(" = %s", cli_bytes(size, number_at(m, "total_bytes")));
    printf(" (%s can be had)\n", cli_bytes(size, number_at(m, "available_bytes")));
}

static void print_value(const char *key, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    size_t len = text ? strlen(text) : 0;
    printf("  %-36s %.*s%s\n", key, len > 96 ? 96 : (int)len, text ? text : "",
           len > 96 ? " ..." : "");
    free(text);
}

static void print_tensors(const json_t *tensors)
{
    size_t i;
    json_t *t;
    char size[32];
    json_array_foreach(tensors, i, t)
        printf("  %-44s %-7s %8lld x %-6lld %9s\n", json_string_value(json_object_get(t, "name")),
               json_string_value(json_object_get(t, "type")),
               (long long)json_integer_value(json_object_get(t, "rows")),
               (long long)json_integer_value(json_object_get(t, "cols")),
               cli_bytes(size, number_at(t, "bytes")));
}

static void print_types(const json_t *types)
{
    const char *name;
    const json_t *t;
    char size[32];
    json_object_foreach((json_t *)types, name, t)
        printf("  %-7s %4.0f tensors %9s  %7.3f bits a weight\n", name, number_at(t, "tensors"),
               cli_bytes(size, number_at(t, "bytes")),
               8 * number_at(t, "bytes") / number_at(t, "parameters"));
}

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void print_links(const json_t *list, const char *what)
{
    size_t i;
    json_t *link;
    json_array_foreach(list, i, link)
    {
        const json_t *scale = json_object_get(link, "scale");
        printf("  %-12s %.16s...  %s", what, text_at(link, "hash"), text_at(link, "name"));
        if (scale && json_number_value(scale) != 1) printf(" x %g", json_number_value(scale));
        putchar('\n');
    }
}

/* From the base up: what an adapter was trained over and on, or what was merged. */
static void print_chain(const json_t *o)
{
    const json_t *chain = json_object_get(o, "chain"), *base = json_object_get(chain, "base");
    bool merged = !strcmp(text_at(o, "kind"), "model");
    if (!chain) {
        if (!strcmp(text_at(o, "kind"), "adapter"))
            puts("  no chain: it does not say which model it was trained over");
        return;
    }
    puts(merged ? "merged from" : "trained over and on");
    if (base)
        printf("  %-12s %.16s...  %s\n", "base", text_at(base, "hash"), text_at(base, "name"));
    if (text_at(chain, "load_in")[0])
        printf("  %-12s %s\n", "loaded in", text_at(chain, "load_in"));
    print_links(json_object_get(chain, "parents"), "adapter");
    if (text_at(chain, "recipe")[0])
        printf("  %-12s %.16s...  %s\n", "recipe", text_at(chain, "recipe"),
               text_at(chain, "method"));
    print_links(json_object_get(chain, "data"), "data");
}

static void print_people(json_t *o, const inspect_call *c)
{
    const char *key;
    json_t *value;
    printf("%s\n", json_string_value(json_object_get(o, "kind")));
    json_object_foreach(o, key, value) if (!json_is_object(value) && !json_is_array(value))
        print_value(key, value);
    json_t *config = json_object_get(o, "config");
    json_object_foreach(config, key, value) print_value(key, value);
    print_chain(o);
    print_types(json_object_get(o, "types"));
    print_memory(o);
    if (c->tensors)
        print_tensors(json_object_get(o, "tensors"));
    else
        printf("%zu tensors; --tensors lists them\n",
               json_array_size(json_object_get(o, "tensors")));
}

/* Adds what a context of this size would take. */
static void add_memory(json_t *o, const aerie_memory_need *need)
{
    json_t *m =
        json_pack("{s:I, s:I, s:I}", "ctx", (json_int_t)need->plan.n_ctx, "parallel",
                  (json_int_t)need->plan.parallel, "batch", (json_int_t)need->plan.max_batch);
    json_object_set_new(m, "weight_bytes", json_integer((json_int_t)need->weight_bytes));
    json_object_set_new(m, "mapped_bytes", json_integer((json_int_t)need->mapped_bytes));
    json_object_set_new(m, "cache_bytes", json_integer((json_int_t)need->cache_bytes));
    json_object_set_new(m, "prefix_bytes", json_integer((json_int_t)need->prefix_bytes));
    json_object_set_new(m, "draft_bytes", json_integer((json_int_t)need->draft_bytes));
    json_object_set_new(m, "scratch_bytes", json_integer((json_int_t)need->scratch_bytes));
    json_object_set_new(m, "base_bytes", json_integer((json_int_t)need->base_bytes));
    json_object_set_new(m, "total_bytes", json_integer((json_int_t)need->total_bytes));
    json_object_set_new(m, "available_bytes", json_integer((json_int_t)need->available_bytes));
    json_object_set_new(o, "memory", m);
}

static aerie_status inspect_model(inspect_call *c, const char *path, aerie_error *err)
{
    char *text = NULL;
    aerie_error no_model = { 0 };
    aerie_memory_need need;
    char *draft = NULL;
    aerie_memory_plan plan = { .n_ctx = c->context,
                               .parallel = c->parallel,
                               .max_batch = c->batch,
                               .prefix_tokens = c->prefix };
    aerie_model_options options = { .threads = (int)c->common.threads,
                                    .cpu = c->common.cpu,
                                    .exact = c->common.exact,
                                    .kv = c->common.kv };
    aerie_status status = c->draft ? cli_find(c->draft, &draft, err) : AERIE_OK;
    if (status) return status;
    plan.draft = draft;
    /* First, for what the process holds itself is part of it. */
    aerie_status unknown = aerie_model_memory(path, &options, &plan, &need, &no_model);
    status = aerie_inspect(path, &text, err);
    json_t *o = status ? NULL : json_loads(text, 0, NULL);
    if (!status && !strcmp(json_string_value(json_object_get(o, "kind")), "model")) {
        /* What this build cannot run can still be looked at. */
        if (unknown == AERIE_UNSUPPORTED)
            json_object_set_new(o, "problem", json_string(no_model.message));
        else if (unknown) {
            *err = no_model;
            status = unknown;
        } else
            add_memory(o, &need);
    }
    if (!status && c->common.json) {
        json_dumpf(o, stdout, JSON_REAL_PRECISION(9));
        putchar('\n');
    } else if (!status)
        print_people(o, c);
    json_decref(o);
    aerie_free(text);
    aerie_free(draft);
    return status;
}

static aerie_status compare(const inspect_call *c, const char *path, aerie_error *err)
{
    char *other = NULL;
    aerie_status status = cli_find(c->against, &other, err);
    if (!status) status = cli_compare_weights(path, other, &c->common, err);
    aerie_free(other);
    return status;
}

static aerie_status check(const inspect_call *c, const char *path, aerie_error *err)
{
    int64_t n = 0;
    aerie_status status = aerie_check_weights(path, (int)c->common.threads, &n, err);
    if (!status && c->common.json)
        printf("{\"ok\":true,\"tensors\":%lld}\n", (long long)n);
    else if (!status)
        printf("%s: the weights of all %lld tensors are numbers\n", path, (long long)n);
    return status;
}

static bool begins_as_gguf(const char *path)
{
    char magic[4] = { 0 };
    FILE *file = fopen(path, "rb");
    bool found =
        file && fread(magic, 1, sizeof magic, file) == sizeof magic && !memcmp(magic, "GGUF", 4);
    if (file) fclose(file);
    return found;
}

static bool is_model(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && (!strcmp(dot, ".gguf") || !strcmp(dot, ".safetensors"))) return true;
    return ae_file_is_folder(path) || begins_as_gguf(path);
}

int cli_inspect(int argc, char **argv)
{
    inspect_call c = { .parallel = 1, .limit = 3 };
    const cli_option options[] = {
        { "--ctx", 'c', CLI_COUNT, &c.context, "N", "memory for a context of N tokens" },
        { "--parallel", 0, CLI_COUNT, &c.parallel, "P", "... for P sequences at once (1)" },
        { "--batch", 0, CLI_COUNT, &c.batch, "N", "... in passes of N tokens (512)" },
        { "--prefix", 0, CLI_COUNT, &c.prefix, "N",
          "... and N tokens of earlier prompts kept (0)" },
        { "--draft", 0, CLI_TEXT, &c.draft, "MODEL", "... and a model that guesses ahead" },
        CLI_KV(&c.common),
        CLI_EXACT(&c.common),
        { "--tensors", 0, CLI_FLAG, &c.tensors, NULL, "list every tensor" },
        { "--check", 0, CLI_FLAG, &c.check, NULL,
          "read all weights: is any infinite or not a number?" },
        { "--against", 0, CLI_TEXT, &c.against, "OTHER",
          "what its weights have lost against those of another file of the model" },
        { "--recipe", 0, CLI_TEXT, &c.recipe, "RECIPE.yaml",
          "a data file's tokens, masks and weights as this recipe reads it" },
        { "--set", 0, CLI_LIST, &c.settings, "KEY=VALUE",
          "over the recipe's own; may be repeated" },
        { "--limit", 0, CLI_COUNT, &c.limit, "N", "samples of a data file to show (3); 0: all" },
        { "--reward", 0, CLI_FLAG, &c.reward, NULL,
          "a reward model's score at every token of replies: of --data, or of --prompt and "
          "--reply" },
        { "--data", 0, CLI_TEXT, &c.data, "FILE",
          "with --reward: rows as `aerie score` reads them" },
        { "--prompt", 0, CLI_TEXT, &c.prompt, "TEXT", "with --reward: what is replied to" },
        { "--reply", 0, CLI_LIST, &c.replies, "TEXT", "with --reward: a reply; may be repeated" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie inspect FILE [options]",
        .about =
            "Shows what is in a model (config, tensors, memory), an adapter (what it was trained\n"
            "over), a data file (each token, its mask and its weight), or in what a reward model\n"
            "makes of a reply (--reward: its score at every prefix).",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    char *path = NULL;
    int code;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    aerie_status status;
    if (c.reward && !c.data && (!c.prompt || c.replies.n == 0))
        return cli_misused("--reward wants --data FILE, or --prompt TEXT and --reply TEXT");
    if (c.reward) {
        const cli_reward what = { c.data, c.prompt, &c.replies, c.limit };
        status = cli_inspect_reward(call.words[0], &what, &c.common, &err);
        return status ? cli_fail(&err) : CLI_DONE;
    }
    if (ae_file_exists(call.words[0]) && !is_model(call.words[0]))
        status = inspect_data(&c, call.words[0], &err);
    else {
        status = cli_find(call.words[0], &path, &err);
        if (!status)
            status = c.against ? compare(&c, path, &err)
                     : c.check ? check(&c, path, &err)
                               : inspect_model(&c, path, &err);
    }
    aerie_free(path);
    return status ? cli_fail(&err) : CLI_DONE;
}

/* serve.c -- `aerie serve`: models over HTTP. */
#include "serve/serve.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { MAX_KEYS = 256, MAX_ADAPTERS = 64 };
#define AT_ONCE 1e-6 /* seconds that a model stays; 0 would be the default */

typedef struct {
    cli_list hosts, keys, names, origins, adapters;
    const char *key_file, *models;
    int64_t port, drain, ctx, parallel, cache, queue, most;
    double keep_alive, memory;
    bool no_key;
    char *file_keys[MAX_KEYS]; /* owned */
    int n_file_keys;
    const char *all_keys[MAX_KEYS + 64];
    ae_serve_adapter all_adapters[MAX_ADAPTERS]; /* names owned */
    size_t n_adapters;
} serve_words;

static aerie_status add_key(serve_words *w, ae_span line, aerie_error *err)
{
    while (line.len && strchr(" \t\r", line.data[line.len - 1])) line.len--;
    if (line.len == 0 || line.data[0] == '#') return AERIE_OK;
    if (w->n_file_keys == MAX_KEYS)
        return aerie_fail(err, AERIE_BAD_FILE, "%s: more than %d keys", w->key_file, MAX_KEYS);
    if (!(w->file_keys[w->n_file_keys] = ae_strndup(line.data, line.len)))
        return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the keys");
    w->n_file_keys++;
    return AERIE_OK;
}

/* A key a line; empty lines and those that begin with # are not keys. */
static aerie_status read_keys(serve_words *w, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, w->key_file, 1 << 20, err);
    ae_span rest = ae_span_of(&text);
    while (!status && rest.len) {
        const char *end = memchr(rest.data, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len, step = len + (end != NULL);
        status = add_key(w, (ae_span){ rest.data, len }, err);
        rest.data += step;
        rest.len -= step;
    }
    if (!status && !w->n_file_keys)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: there is no key in it", w->key_file);
    ae_bytes_free(&text);
    return status;
}

/* A mistake is told now, not to whoever first asks for it. */
static aerie_status check_adapter(const serve_words *w, const char *word, size_t len,
                                  aerie_error *err)
{
    const char *file = word + len + 1, *scale = strrchr(file, '=');
    for (size_t i = 0; i < w->n_adapters; i++)
        if (strlen(w->all_adapters[i].name) == len && !memcmp(w->all_adapters[i].name, word, len))
            return aerie_fail(err, AERIE_BAD_ARGUMENT, "--adapter %s: the name stands twice", word);
    char *bare = ae_strndup(file, scale ? (size_t)(scale - file) : strlen(file));
    if (!bare) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the adapters");
    bool there = ae_file_exists(file) || ae_file_exists(bare);
    ae_free(bare);
    return there ? AERIE_OK
                 : aerie_fail(err, AERIE_NOT_FOUND, "--adapter %s: there is no such file", word);
}

/* NAME=FILE, or NAME=FILE=SCALE. */
static aerie_status read_adapters(serve_words *w, aerie_error *err)
{
    for (int i = 0; i < w->adapters.n; i++) {
        const char *word = w->adapters.items[i], *file = strchr(word, '=');
        size_t len = file ? (size_t)(file - word) : 0;
        if (len == 0 || !file[1] || memchr(word, '+', len) || w->n_adapters == MAX_ADAPTERS)
            return aerie_fail(
                err, AERIE_BAD_ARGUMENT,
                "--adapter %s: give NAME=FILE, a name without '+', at most %d of them", word,
                MAX_ADAPTERS);
        aerie_status status = check_adapter(w, word, len, err);
        if (status) return status;
        char *name = ae_strndup(word, len);
        if (!name) return aerie_fail(err, AERIE_NO_MEMORY, "no memory for the adapters");
        w->all_adapters[w->n_adapters++] = (ae_serve_adapter){ name, file + 1 };
    }
    return AERIE_OK;
}

static void free_words(serve_words *w)
{
    for (int i = 0; i < w->n_file_keys; i++) ae_free(w->file_keys[i]);
    for (size_t i = 0; i < w->n_adapters; i++) ae_free((void *)(uintptr_t)w->all_adapters[i].name);
}

static void say_ready(void *user, const char *url)
{
    const cli_common *common = user;
    if (!common->quiet) fprintf(stderr, "aerie: serving at %s\n", url);
}

/* "https://chat.example.org", with a port perhaps; what browsers send has no path. */
static bool is_origin(const char *word)
{
    const char *name = strstr(word, "://");
    return !strcmp(word, "*") || (name && name > word && name[3] && !strchr(name + 3, '/'));
}

static bool has_empty(const cli_list *list)
{
    for (int i = 0; i < list->n; i++)
        if (!*list->items[i]) return true;
    return false;
}

/* What could only fail later, or never fit. CLI_DONE, or the exit code once the sentence is out. */
static int check_words(const serve_words *w)
{
    if (w->port > 65535)
        return cli_misused("there is no port %lld; they end at 65535", (long long)w->port);
    if (has_empty(&w->hosts)) return cli_misused("--host wants an address, not an empty word");
    if (has_empty(&w->keys))
        return cli_misused("--api-key wants a key, not an empty word; is its variable set?");
    if (has_empty(&w->names)) return cli_misused("--name wants a name, not an empty word");
    for (int i = 0; i < w->origins.n; i++)
        if (!is_origin(w->origins.items[i]))
            return cli_misused("--origin wants a page's scheme and name without a path, as "
                               "https://chat.example.org, not '%s'",
                               w->origins.items[i]);
    return CLI_DONE;
}

/* A folder that is made later is as good as one that is there, but a misspelt one looks the same.
 */
static aerie_status look_at_models(const char *folder, aerie_error *err)
{
    if (!folder || ae_file_is_folder(folder)) return AERIE_OK;
    if (ae_file_exists(folder))
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "--models %s: this is a file; give its folder",
                          folder);
    ae_log(AERIE_LOG_WARNING, "--models %s: there is no such folder yet, and no model in it",
           folder);
    return AERIE_OK;
}

static aerie_status serve(serve_words *w, const cli_common *common, aerie_error *err)
{
    aerie_places places = *cli_places();
    size_t n = 0;
    if (w->models) places.models = w->models;
    for (int i = 0; i < w->keys.n; i++) w->all_keys[n++] = w->keys.items[i];
    for (int i = 0; i < w->n_file_keys; i++) w->all_keys[n++] = w->file_keys[i];
    const ae_serve_options o = { .hosts = w->hosts.items,
                                 .n_hosts = (size_t)w->hosts.n,
                                 .port = w->port == 0 ? -1 : (int)w->port,
                                 .places = &places,
                                 .keys = w->all_keys,
                                 .n_keys = n,
                                 .no_key = w->no_key,
                                 .names = w->names.items,
                                 .n_names = (size_t)w->names.n,
                                 .origins = w->origins.items,
                                 .n_origins = (size_t)w->origins.n,
                                 .drain_seconds = w->drain ? (int)ae_min64(w->drain, 1 << 24) : -1,
                                 .threads = (int)common->threads,
                                 .cpu = common->cpu,
                                 .adapters = w->all_adapters,
                                 .n_adapters = w->n_adapters,
                                 .kv = common->kv,
                                 .context = w->ctx,
                                 .parallel = w->parallel,
                                 .cache_tokens = w->cache,
                                 .max_queue = w->queue,
                                 .memory_bytes = (uint64_t)(w->memory * 1e9),
                                 .max_models = w->most,
                                 .keep_alive = w->keep_alive != 0 ? w->keep_alive : AT_ONCE,
                                 .ready = say_ready,
                                 .user = (void *)(uintptr_t)common };
    return ae_serve(&o, err);
}

int cli_serve(int argc, char **argv)
{
    serve_words w = { .port = 11434, .drain = 30, .keep_alive = 300 };
    cli_common common = { 0 };
    aerie_error err = { 0 };
    int code;
    const cli_option options[] = {
        { "--host", 0, CLI_LIST, &w.hosts, "ADDRESS",
          "listen here (default 127.0.0.1); repeatable" },
        { "--port", 0, CLI_COUNT, &w.port, "N",
          "at this port (default 11434); 0: one that is free" },
        { "--api-key", 0, CLI_LIST, &w.keys, "KEY",
          "who asks must have it; repeatable. Others on this machine can read it in the list of "
          "processes" },
        { "--api-key-file", 0, CLI_TEXT, &w.key_file, "FILE", "the same, a key a line" },
        { "--no-api-key", 0, CLI_FLAG, &w.no_key, NULL,
          "listen at an address that others can reach without asking for a key" },
        { "--name", 0, CLI_LIST, &w.names, "NAME",
          "a name that it may be asked by, beside this machine's; repeatable" },
        { "--origin", 0, CLI_LIST, &w.origins, "URL",
          "a page that may ask, \"https://chat.example.org\", or \"*\", every page; repeatable" },
        { "--models", 0, CLI_TEXT, &w.models, "DIR",
          "the store, or a folder of .gguf files (default $AERIE_HOME/models)" },
        { "--ctx", 0, CLI_COUNT, &w.ctx, "N",
          "the most tokens of a prompt and its reply (default 4096)" },
        { "--parallel", 0, CLI_COUNT, &w.parallel, "N", "replies at once of a model (default 32)" },
        { "--cache", 0, CLI_COUNT, &w.cache, "TOKENS",
          "that those replies may take together (default: 4 contexts)" },
        { "--queue", 0, CLI_COUNT, &w.queue, "N",
          "requests that may wait for a model; more are told to come back (default 512)" },
        { "--adapter", 0, CLI_LIST, &w.adapters, "NAME=FILE",
          "requests may have it laid over a model, by its name; repeatable" },
        CLI_KV(&common),
        { "--memory", 0, CLI_AMOUNT, &w.memory, "GB",
          "for all open models (default: most of what there is)" },
        { "--max-models", 0, CLI_COUNT, &w.most, "N", "open at once (default: as memory allows)" },
        { "--keep-alive", 0, CLI_FLOAT, &w.keep_alive, "SECONDS",
          "that a model stays open unused (default 300); 0: not; negative: for ever" },
        { "--drain", 0, CLI_COUNT, &w.drain, "SECONDS",
          "for replies under way when it is to stop (default 30)" },
        { 0 },
    };
    cli_call call = { .usage = "aerie serve [options]",
                      .takes = CLI_TAKES_KERNELS,
                      .about = "Serves models over HTTP, for clients of Ollama and of OpenAI.",
                      .options = options };
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if ((code = check_words(&w))) return code;
    const aerie_model_options words = { .cpu = common.cpu, .kv = common.kv };
    aerie_status status = aerie_model_options_check(&words, &err);
    if (!status) status = look_at_models(w.models, &err);
    if (!status && w.key_file) status = read_keys(&w, &err);
    if (!status) status = read_adapters(&w, &err);
    if (!status) status = serve(&w, &common, &err);
    free_words(&w);
    return status ? cli_fail(&err) : CLI_DONE;
}

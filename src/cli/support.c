/* support.c -- failures, places, interrupts and progress, the same for every command. */
#include "cli/cli.h"

#include "aerie/text.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_fail(const aerie_error *err)
{
    if (err->status == AERIE_INTERRUPTED) {
        fprintf(stderr, "aerie: %s\n", err->message[0] ? err->message : "interrupted");
        return CLI_INTERRUPTED;
    }
    fprintf(stderr, "aerie: %s\n", err->message[0] ? err->message : aerie_status_name(err->status));
    return CLI_FAILED;
}

/* The folder of installed models: beside the program (PREFIX/bin/aerie -> PREFIX/share/aerie), or
 * the source tree's when run from a build folder. Overwrites `out` with an empty text when neither.
 */
static void find_share(char *out, size_t size)
{
    static const char *const tries[] = { "%s/../share/aerie", "%s/../../../recipes/nursery",
                                         "%s/../../recipes/nursery" };
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    out[0] = '\0';
    if (n <= 0) return;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash) return;
    *slash = '\0';
    for (size_t i = 0; i < AE_COUNT(tries); i++) {
        char folder[1100], model[1200];
        snprintf(folder, sizeof folder, tries[i], self);
        snprintf(model, sizeof model, "%s/nursery.gguf", folder);
        if (!access(model, R_OK)) {
            snprintf(out, size, "%s", folder);
            return;
        }
    }
}

/* $VARIABLE/below, or else the user's own folder/by_default. */
static void find_place(char out[1024], const char *variable, const char *below,
                       const char *by_default)
{
    const char *own = getenv(variable), *home = getenv("HOME");
    if (own && *own)
        snprintf(out, 1024, "%s%s", own, below);
    else
        snprintf(out, 1024, "%s/%s", home && *home ? home : ".", by_default);
}

const aerie_places *cli_places(void)
{
    static char store[1024], share[1200], ollama[1024], cache[1024];
    static aerie_places places;
    if (places.store) return &places;
    const char *hub = getenv("HF_HUB_CACHE");
    find_place(store, "AERIE_HOME", "", ".aerie");
    find_place(ollama, "OLLAMA_MODELS", "", ".ollama/models");
    find_place(cache, hub && *hub ? "HF_HUB_CACHE" : "HF_HOME", hub && *hub ? "" : "/hub",
               ".cache/huggingface/hub");
    find_share(share, sizeof share);
    places = (aerie_places){ .store = store,
                             .share = share[0] ? share : AERIE_SHARE,
                             .ollama = ollama,
                             .huggingface = cache };
    return &places;
}

const char *cli_judge_key(void)
{
    const char *key = getenv("AERIE_JUDGE_KEY");
    return key && *key ? key : NULL;
}

aerie_status cli_resolve(const aerie_stored **out, const char *model, aerie_error *err)
{
    return aerie_store_resolve(cli_places(), model, false, out, err);
}

aerie_status cli_find(const char *model, char **path, aerie_error *err)
{
    const aerie_stored *s = NULL;
    aerie_status status = cli_resolve(&s, model, err);
    *path = status ? NULL : ae_strdup(s->path);
    if (!status && !*path) status = aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    aerie_stored_free(s);
    return status;
}

aerie_status cli_find_whole(const char *model, char **path, aerie_error *err)
{
    return aerie_find_model(cli_places(), model, path, err);
}

aerie_status cli_all_adapters(cli_list *out, const aerie_stored *stored, const cli_common *common,
                              aerie_error *err)
{
    int most = (int)AE_COUNT(out->items);
    out->n = 0;
    if (stored->n_adapters + (size_t)common->adapters.n > (size_t)most)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "more than %d adapters", most);
    for (size_t i = 0; i < stored->n_adapters; i++) out->items[out->n++] = stored->adapters[i];
    for (int i = 0; i < common->adapters.n; i++) out->items[out->n++] = common->adapters.items[i];
    return AERIE_OK;
}

static bool show_loading(void *user, double share)
{
    cli_progress_draw(user, share, "loading");
    return !cli_interrupted();
}

aerie_status cli_open(aerie_model **out, const char *model, const cli_common *common,
                      aerie_error *err)
{
    const aerie_stored *stored = NULL;
    cli_list adapters = { .n = 0 };
    cli_progress bar = { .off = common->quiet };
    aerie_model_options o = { .threads = (int)common->threads,
                              .cpu = common->cpu,
                              .any_base = common->force,
                              .exact = common->exact,
                              .plan = common->force ? NULL : common->plan,
                              .pin = common->pin,
                              .kv = common->kv,
                              .on_load = show_loading,
                              .user = &bar };
    *out = NULL;
    aerie_status status = cli_resolve(&stored, model, err);
    if (!status) status = cli_all_adapters(&adapters, stored, common, err);
    o.adapters = adapters.items;
    o.n_adapters = adapters.n;
    if (!status) status = aerie_model_open(out, stored->path, &o, err);
    cli_progress_end(&bar);
    aerie_stored_free(stored);
    return status;
}

static aerie_status no_such_template(const char *word, aerie_error *err)
{
    const char *names[64];
    size_t n = 0;
    while (n < AE_COUNT(names) && aerie_template_name(n)) {
        names[n] = aerie_template_name(n);
        n++;
    }
    const char *near = ae_nearest(word, names, n);
    return aerie_fail(err, AERIE_NOT_FOUND,
                      "--template: '%s' is neither a known chat format nor a file nor Jinja%s%s%s",
                      word, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

aerie_status cli_read_template(ae_bytes *out, const char *word, aerie_error *err)
{
    for (size_t i = 0; aerie_template_name(i); i++)
        if (!strcmp(word, aerie_template_name(i))) {
            ae_bytes_add_text(out, word);
            return ae_bytes_status(out, err);
        }
    if (ae_file_exists(word)) {
        aerie_status status = ae_file_read(out, word, 1 << 20, err);
        if (!status && out->len == 0)
            status = aerie_fail(err, AERIE_BAD_FILE, "%s: the template is empty", word);
        return status;
    }
    /* A text without a brace would be the whole prompt, whatever the messages: a slip in a name. */
    if (!strchr(word, '{')) return no_such_template(word, err);
    ae_bytes_add_text(out, word);
    return ae_bytes_status(out, err);
}

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (interrupts++) _exit(CLI_INTERRUPTED);
}

void cli_catch_interrupt(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL); /* no SA_RESTART: a waiting read must return */
    sigaction(SIGTERM, &action, NULL);
}

bool cli_interrupted(void)
{
    return interrupts != 0;
}
void cli_forget_interrupt(void)
{
    interrupts = 0;
    clearerr(stdout); /* a write that the signal cut short is no full disk */
}

enum { BAR = 24 };

void cli_progress_draw(cli_progress *p, double fraction, const char *format, ...)
{
    double now = ae_clock_seconds();
    if (p->off || !isatty(STDERR_FILENO) || (p->shown && fraction < 1 && now - p->drawn_at < 0.1))
        return;
    int filled = (int)(fraction * BAR + 0.5);
    char bar[BAR + 1], text[160];
    va_list args;
    for (int i = 0; i < BAR; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR] = '\0';
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "\r\033[K[%s] %3d %% %s", bar, (int)(fraction * 100), text);
    fflush(stderr);
    p->shown = true;
    p->drawn_at = now;
}

void cli_progress_spin(cli_progress *p, const char *what)
{
    double now = ae_clock_seconds();
    if (p->off || !isatty(STDERR_FILENO) || (p->shown && now - p->drawn_at < 0.1)) return;
    fprintf(stderr, "\r\033[K%c %s", "|/-\\"[(int64_t)(now * 10) % 4], what);
    fflush(stderr);
    p->shown = true;
    p->drawn_at = now;
}

void cli_progress_end(cli_progress *p)
{
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

const char *cli_bytes(char out[32], double bytes)
{
    static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
    size_t u = 0;
    while (bytes >= 1000 && u + 1 < AE_COUNT(units)) {
        bytes /= 1000;
        u++;
    }
    snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return out;
}

const char *cli_seconds(char out[32], double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s < 120)
        snprintf(out, 32, "%ld s", s);
    else if (s < 7200)
        snprintf(out, 32, "%ld min %ld s", s / 60, s % 60);
    else
        snprintf(out, 32, "%ld h %ld min", s / 3600, s % 3600 / 60);
    return out;
}

const char *cli_write_span(char out[48], int64_t seconds, const char *direction)
{
    static const struct {
        int64_t most, seconds;
        const char *unit;
    } units[] = { { 60, 1, "seconds" },
                  { 60 * 60, 60, "minutes" },
                  { 48 * 3600, 3600, "hours" },
                  { 14 * 86400, 86400, "days" },
                  { 60 * 86400, 7 * 86400, "weeks" },
                  { 730 * 86400, 30 * 86400, "months" },
                  { INT64_MAX, 365 * 86400, "years" } };
    size_t i = 0;
    while (seconds >= units[i].most) i++;
    long long n = seconds < 0 ? 0 : seconds / units[i].seconds;
    snprintf(out, 48, "%lld %.*s %s", n, (int)strlen(units[i].unit) - (n == 1), units[i].unit,
             direction);
    return out;
}

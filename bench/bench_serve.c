/* bench_serve.c -- many streamed chats at once with servers of OpenAI's API, in turns: tokens a
 * second, how soon a reply begins and how evenly it flows.
 *
 *   bench_serve NAME=PORT/MODEL... [chats at once]... [--tokens N] [--words N] [--rounds N]
 *               [--system N] [--own-systems] [--temperature T] [--turns N]
 *
 * Of each number of chats at once (1 4 16 64) so many begin together with each server, of --rounds
 * (2) questions each: a chat asks again as soon as it is answered, with a prompt of its own of
 * about
 * --words (60) after a system prompt of --system (0), which all have in common, or which is
 * everybody's own (--own-systems: what sharing saves is the difference). Replies have --tokens (64)
 * at the most; 0: nothing is said of that, as most clients do. All servers get the same words; one
 * works while the others rest. A line of JSON for each turn, with the server's own counts where it
 * has /metrics as aerie's; at the end the medians of --turns (1), and how the first server compares
 * with the others, turn by turn.
 *
 * bench/load starts the servers. */
#include "chat_stream.h"
#include "times.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_SERVERS = 4, MOST_COUNTS = 16, MOST_TURNS = 64, MOST_CHATS = 4096 };

typedef struct {
    char name[32], model[128];
    int port;
} server;

typedef struct {
    double tokens_a_second, first_p50, first_p95, between_p50, between_p95, between_most;
} result;

typedef struct {
    server servers[MOST_SERVERS];
    int n_servers, n_counts;
    int64_t counts[MOST_COUNTS], tokens, words, rounds, system, turns;
    double temperature;
    bool own_systems;
    result results[MOST_COUNTS][MOST_SERVERS][MOST_TURNS];
} bench;

typedef struct crowd crowd;

typedef struct {
    crowd *of;
    chat_stream stream;
    int64_t number, round;
    double asked, last;
} chat;

struct crowd {
    const bench *b;
    const server *s;
    chat *chats;
    struct pollfd *polled;
    int64_t n, left, tokens, turn;
    times first, between;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- what is asked */

static const char *one_of(ae_rng *rng, const char *const *words, size_t n)
{
    return words[ae_rng_below(rng, n)];
}

/* Sentences of about so many words, decided by the seed. */
static void add_prose(ae_bytes *out, uint64_t seed, int64_t words)
{
    static const char *const nouns[] = { "river",  "engine",  "teacher", "market",  "garden",
                                         "letter", "bridge",  "harbour", "doctor",  "window",
                                         "forest", "machine", "village", "painter", "library",
                                         "winter", "island",  "kitchen", "captain", "mountain" };
    static const char *const kinds[] = { "old",    "quiet",   "heavy",   "bright",
                                         "narrow", "strange", "early",   "green",
                                         "broken", "careful", "distant", "simple" };
    static const char *const verbs[] = { "carries", "finds", "repairs", "follows",   "answers",
                                         "builds",  "keeps", "crosses", "describes", "waits for" };
    ae_rng rng;
    ae_rng_seed(&rng, seed);
    for (int64_t n = 0; n < words; n += 7)
        ae_bytes_printf(out, "The %s %s %s the %s %s. ", one_of(&rng, kinds, AE_COUNT(kinds)),
                        one_of(&rng, nouns, AE_COUNT(nouns)), one_of(&rng, verbs, AE_COUNT(verbs)),
                        one_of(&rng, kinds, AE_COUNT(kinds)), one_of(&rng, nouns, AE_COUNT(nouns)));
}

static void add_question(ae_bytes *out, const chat *c)
{
    const bench *b = c->of->b;
    /* Nobody asks what was asked before: earlier turns shall not have warmed a cache. */
    uint64_t seed =
        (uint64_t)(((c->of->n * 100 + c->of->turn) * MOST_CHATS + c->number) * 1000 + c->round);
    ae_bytes_printf(out,
                    "{\"model\":\"%s\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
                    "\"temperature\":%g,\"seed\":%lld,",
                    c->of->s->model, b->temperature, (long long)seed);
    if (b->tokens > 0) ae_bytes_printf(out, "\"max_tokens\":%lld,", (long long)b->tokens);
    ae_bytes_add_text(out, "\"messages\":[");
    if (b->system > 0) {
        ae_bytes_add_text(out, "{\"role\":\"system\",\"content\":\"");
        add_prose(out, b->own_systems ? seed + 500 : (uint64_t)(c->of->n * 100 + c->of->turn),
                  b->system);
        ae_bytes_add_text(out, "\"},");
    }
    ae_bytes_add_text(out, "{\"role\":\"user\",\"content\":\"");
    add_prose(out, seed, b->words - 12);
    ae_bytes_add_text(out, "Go on with this story, and tell how all of it ends.\"}]}");
}

/* ---- chats */

static void on_piece(void *user, ae_span text)
{
    chat *c = user;
    double now = ae_clock_seconds();
    (void)text;
    times_note(c->last > 0 ? &c->of->between : &c->of->first,
               now - (c->last > 0 ? c->last : c->asked));
    c->last = now;
}

static void ask(chat *c)
{
    ae_bytes body = { 0 };
    add_question(&body, c);
    chat_stream_close(&c->stream);
    c->last = 0;
    c->asked = ae_clock_seconds();
    if (!chat_stream_open(&c->stream, c->of->s->port)) die(c->of->s->name);
    chat_stream_ask(&c->stream, "/v1/chat/completions", ae_span_of(&body), on_piece, c);
    ae_bytes_free(&body);
}

static void end(chat *c)
{
    const chat_stream *s = &c->stream;
    if (s->status != 200) {
        fprintf(stderr, "%s: status %d: %s\n", c->of->s->name, s->status,
                s->line.data ? s->line.data : "the connection broke off");
        exit(1);
    }
    c->of->tokens += s->n_tokens;
    if (++c->round < c->of->b->rounds)
        ask(c);
    else {
        chat_stream_close(&c->stream);
        c->of->left--;
    }
}

static void go_on(crowd *all)
{
    nfds_t n = 0;
    for (int64_t i = 0; i < all->n; i++) {
        const chat_stream *s = &all->chats[i].stream;
        all->polled[n++] =
            (struct pollfd){ .fd = s->is_open ? s->fd : -1, .events = chat_stream_wants(s) };
    }
    if (poll(all->polled, n, 60000) <= 0) die("a minute without a word");
    for (int64_t i = 0; i < all->n; i++) {
        chat *c = &all->chats[i];
        if (!all->polled[i].revents) continue;
        bool open = chat_stream_go_on(&c->stream);
        if (c->stream.is_done || !open) end(c);
    }
}

/* ---- a turn */

/* The sum of a counter over a server's models. */
static double counted(const char *metrics, const char *name)
{
    double sum = 0;
    size_t len = strlen(name);
    for (const char *at = metrics; at && (at = strstr(at, name)); at += len)
        if ((at == metrics || at[-1] == '\n') && at[len] == '{') {
            const char *end = strchr(at, '}');
            if (end) sum += atof(end + 1);
        }
    return sum;
}

static void show_counts(const char *before, const char *after)
{
    static const char *const names[] = { "prompt_tokens_total",   "prompt_tokens_reused_total",
                                         "reply_tokens_total",    "drafted_tokens_total",
                                         "accepted_tokens_total", "passes_total",
                                         "prompt_seconds_total",  "reply_seconds_total" };
    char name[64];
    if (!before || !after || !strstr(after, "aerie_")) return;
    for (size_t i = 0; i < AE_COUNT(names); i++) {
        snprintf(name, sizeof name, "aerie_%s", names[i]);
        printf(",\"%s\":%.6g", names[i], counted(after, name) - counted(before, name));
    }
}

static result run(const bench *b, const server *s, int64_t n, int64_t turn)
{
    crowd all = { .b = b, .s = s, .n = n, .left = n, .turn = turn };
    char *before = chat_get(s->port, "/metrics");
    all.chats = ae_alloc((size_t)n, sizeof *all.chats);
    all.polled = ae_alloc((size_t)n, sizeof *all.polled);
    if (!all.chats || !all.polled) die("memory");
    double start = ae_clock_seconds();
    for (int64_t i = 0; i < n; i++) {
        all.chats[i] = (chat){ .of = &all, .number = i };
        ask(&all.chats[i]);
    }
    while (all.left > 0) go_on(&all);
    double seconds = ae_clock_seconds() - start;
    char *after = chat_get(s->port, "/metrics");
    result r = { (double)all.tokens / seconds,       times_quantile(&all.first, 0.5),
                 times_quantile(&all.first, 0.95),   times_quantile(&all.between, 0.5),
                 times_quantile(&all.between, 0.95), times_quantile(&all.between, 1) };
    printf("{\"server\":\"%s\",\"at_once\":%lld,\"turn\":%lld,\"seconds\":%.2f,\"tokens\":%lld,"
           "\"tok_s\":%.1f,\"first_s\":{\"p50\":%.3f,\"p95\":%.3f},"
           "\"between_ms\":{\"p50\":%.1f,\"p95\":%.1f,\"max\":%.1f}",
           s->name, (long long)n, (long long)turn, seconds, (long long)all.tokens,
           r.tokens_a_second, r.first_p50, r.first_p95, 1e3 * r.between_p50, 1e3 * r.between_p95,
           1e3 * r.between_most);
    show_counts(before, after);
    puts("}");
    fflush(stdout);
    ae_free(before);
    ae_free(after);
    ae_free(all.chats);
    ae_free(all.polled);
    ae_free(all.first.at);
    ae_free(all.between.at);
    return r;
}

/* ---- what it comes to */

static double median(double *x, int64_t n)
{
    qsort(x, (size_t)n, sizeof *x, times_by_size);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static double median_at(const result *r, int64_t n, size_t offset)
{
    double x[MOST_TURNS];
    for (int64_t i = 0; i < n; i++) memcpy(&x[i], (const char *)&r[i] + offset, sizeof *x);
    return median(x, n);
}

static void compare(const bench *b, int count, int other)
{
    const result *ours = b->results[count][0], *theirs = b->results[count][other];
    double faster[MOST_TURNS], sooner[MOST_TURNS];
    for (int64_t t = 0; t < b->turns; t++) {
        faster[t] = ours[t].tokens_a_second / theirs[t].tokens_a_second;
        sooner[t] = theirs[t].first_p95 / ours[t].first_p95;
    }
    double f = median(faster, b->turns), s = median(sooner, b->turns);
    printf("| %lld | %s / %s: %.2f times the tokens (%.2f to %.2f), p95 of the first %.2f times as "
           "soon (%.2f to %.2f) | | | |\n",
           (long long)b->counts[count], b->servers[0].name, b->servers[other].name, f, faster[0],
           faster[b->turns - 1], s, sooner[0], sooner[b->turns - 1]);
}

static void show_medians(const bench *b)
{
    puts("\n| chats | server | tokens/s | first token, s: p50, p95 | between tokens, ms: p50, p95 "
         "|\n|---|---|---|---|---|");
    for (int c = 0; c < b->n_counts; c++) {
        for (int s = 0; s < b->n_servers; s++) {
            const result *r = b->results[c][s];
            printf("| %lld | %s | %.1f | %.3f, %.3f | %.1f, %.1f |\n", (long long)b->counts[c],
                   b->servers[s].name, median_at(r, b->turns, offsetof(result, tokens_a_second)),
                   median_at(r, b->turns, offsetof(result, first_p50)),
                   median_at(r, b->turns, offsetof(result, first_p95)),
                   1e3 * median_at(r, b->turns, offsetof(result, between_p50)),
                   1e3 * median_at(r, b->turns, offsetof(result, between_p95)));
        }
        for (int s = 1; s < b->n_servers; s++) compare(b, c, s);
    }
}

static bool read_server(bench *b, const char *word)
{
    server *s = &b->servers[b->n_servers];
    if (b->n_servers == MOST_SERVERS ||
        sscanf(word, "%31[^=]=%d/%127s", s->name, &s->port, s->model) != 3)
        return false;
    b->n_servers++;
    return true;
}

static bool read_words(bench *b, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        struct {
            const char *name;
            int64_t *value;
        } numbers[] = { { "--tokens", &b->tokens },
                        { "--words", &b->words },
                        { "--rounds", &b->rounds },
                        { "--system", &b->system },
                        { "--turns", &b->turns } };
        size_t k = 0;
        while (k < AE_COUNT(numbers) && strcmp(argv[i], numbers[k].name)) k++;
        if (k < AE_COUNT(numbers) && next)
            *numbers[k].value = atoll(argv[++i]);
        else if (!strcmp(argv[i], "--temperature") && next)
            b->temperature = atof(argv[++i]);
        else if (!strcmp(argv[i], "--own-systems"))
            b->own_systems = true;
        else if (strchr(argv[i], '=')) {
            if (!read_server(b, argv[i])) return false;
        } else if (atoll(argv[i]) > 0 && b->n_counts < MOST_COUNTS)
            b->counts[b->n_counts++] = atoll(argv[i]);
        else
            return false;
    }
    return b->n_servers > 0 && b->turns >= 1 && b->turns <= MOST_TURNS;
}

/* A port that nobody listens at, for a server that cannot choose one. */
static int say_free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, len) || getsockname(fd, (struct sockaddr *)&a, &len))
        die("bind");
    printf("%d\n", ntohs(a.sin_port));
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--free-port")) return say_free_port();
    static bench b = { .tokens = 64, .words = 60, .rounds = 2, .turns = 1 };
    static const int64_t counts[] = { 1, 4, 16, 64 };
    if (!read_words(&b, argc, argv)) {
        fprintf(stderr, "bench_serve NAME=PORT/MODEL... [chats at once]...; its first comment says "
                        "more\n");
        return 2;
    }
    if (b.n_counts == 0)
        for (size_t i = 0; i < AE_COUNT(counts); i++) b.counts[b.n_counts++] = counts[i];
    for (int c = 0; c < b.n_counts; c++)
        for (int64_t t = 0; t < b.turns; t++)
            for (int s = 0; s < b.n_servers; s++)
                b.results[c][s][t] = run(&b, &b.servers[s], b.counts[c], t);
    show_medians(&b);
    return 0;
}

/* bench_idle.c -- what connections cost that nothing goes over.
 *
 *   bench_idle PORT/MODEL PROCESS [connections]
 *
 * So many (1000) connections each ask for a short streamed chat and stay open; then so many begin
 * streams all at once, most of which wait their turn (the server has to allow that: aerie serve
 * --queue), and leave unanswered. Prints the server's resident memory before, with them, and after,
 * and the time to the first token of one more chat. PROCESS: the server's, on this machine. */
#include "chat_stream.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 20000 };

static int port;
static char model[128];
static chat_stream streams[MOST];
static struct pollfd polled[MOST];
static double first_text;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Of a process, in KiB. */
static long resident(int process)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", process);
    FILE *f = fopen(path, "r");
    if (!f) die(path);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "VmRSS:", 6)) kib = atol(line + 6);
    fclose(f);
    return kib;
}

static void on_text(void *user, ae_span text)
{
    (void)user, (void)text;
    if (first_text <= 0) first_text = ae_clock_seconds();
}

static void ask(chat_stream *s, int n, int tokens)
{
    ae_bytes body = { 0 };
    ae_bytes_printf(&body,
                    "{\"model\":\"%s\",\"stream\":true,\"max_tokens\":%d,\"messages\":[{\"role\":"
                    "\"user\",\"content\":\"Count from %d.\"}]}",
                    model, tokens, n);
    chat_stream_ask(s, "/v1/chat/completions", ae_span_of(&body), on_text, NULL);
    ae_bytes_free(&body);
}

/* Goes on with all until `enough` of them are done, or nothing comes for `quiet_ms`. */
static void go_on(int n, int enough, int quiet_ms)
{
    int done = 0;
    for (int i = 0; i < n; i++) done += streams[i].is_done;
    while (done < enough) {
        for (int i = 0; i < n; i++)
            polled[i] = (struct pollfd){ .fd = streams[i].is_done ? -1 : streams[i].fd,
                                         .events = chat_stream_wants(&streams[i]) };
        if (poll(polled, (nfds_t)n, quiet_ms) <= 0) return;
        for (int i = 0; i < n; i++) {
            if (!polled[i].revents) continue;
            if (!chat_stream_go_on(&streams[i])) die("a connection broke off");
            if (!streams[i].is_done) continue;
            if (streams[i].status != 200) {
                fprintf(stderr, "status %d\n", streams[i].status);
                exit(1);
            }
            done++;
        }
    }
}

/* A chat over a connection of its own, in the last place. */
static double time_one(int at)
{
    double start = ae_clock_seconds();
    if (!chat_stream_open(&streams[at], port)) die("connect");
    ask(&streams[at], at, 8);
    first_text = 0;
    chat_stream *s = &streams[at];
    while (!s->is_done) {
        struct pollfd p = { .fd = s->fd, .events = chat_stream_wants(s) };
        if (poll(&p, 1, 60000) <= 0 || !chat_stream_go_on(s)) die("one more chat");
    }
    chat_stream_close(s);
    return first_text - start;
}

/* Connections that have had a short answer each. */
static void ask_all(int n)
{
    for (int i = 0; i < n; i++) {
        if (!chat_stream_open(&streams[i], port)) die("connect");
        ask(&streams[i], i, 1);
        if (i % 16 == 15 || i == n - 1) go_on(i + 1, i + 1, 60000);
    }
}

int main(int argc, char **argv)
{
    int process = argc > 2 ? atoi(argv[2]) : 0, n = argc > 3 ? atoi(argv[3]) : 1000;
    if (argc < 3 || sscanf(argv[1], "%d/%127s", &port, model) != 2 || n < 1 || n >= MOST) {
        fprintf(stderr, "bench_idle PORT/MODEL PROCESS [connections]\n");
        return 2;
    }
    /* Once for what the server keeps of texts, which is no connection's. */
    ask_all(n);
    for (int i = 0; i < n; i++) chat_stream_close(&streams[i]);
    double alone = time_one(n);
    long before = resident(process);
    ask_all(n);
    long idle = resident(process);
    double beside = time_one(n);
    printf("{\"connections\":%d,\"before_mb\":%.1f,\"idle_mb\":%.1f,\"idle_kb_each\":%.1f,"
           "\"first_s_alone\":%.3f,\"first_s_beside\":%.3f",
           n, (double)before / 1024, (double)idle / 1024, (double)(idle - before) / n, alone,
           beside);
    fflush(stdout);
    for (int i = 0; i < n; i++) ask(&streams[i], i, 2000);
    go_on(n, 1, 300); /* most wait: their streams have not begun */
    long waiting = resident(process);
    for (int i = 0; i < n; i++) chat_stream_close(&streams[i]);
    sleep(2);
    printf(",\"waiting_mb\":%.1f,\"waiting_kb_each\":%.1f,\"afterwards_mb\":%.1f,"
           "\"first_s_afterwards\":%.3f}\n",
           (double)waiting / 1024, (double)(waiting - idle) / n, (double)resident(process) / 1024,
           time_one(n));
    return 0;
}

/* clock.c -- time and the process's size. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double ae_clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t ae_clock_unix_seconds(void)
{
    return (int64_t)time(NULL);
}

/* The 22nd word of /proc/self/stat is the start in clock ticks since the machine's; the second is
 * the program's name in parentheses and may hold anything, so words are counted from its end. */
double ae_clock_process_seconds(void)
{
    char text[1024];
    unsigned long long start = 0;
    struct timespec now;
    FILE *file = fopen("/proc/self/stat", "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    long ticks = sysconf(_SC_CLK_TCK);

    if (file) fclose(file);
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    for (int word = 2; at && word < 22; word++) at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%llu", &start) != 1 || ticks <= 0) return 0;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - (double)start / (double)ticks;
}

size_t ae_peak_rss_bytes(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage)) return 0;
    return (size_t)usage.ru_maxrss * 1024; /* Linux counts in KiB */
}

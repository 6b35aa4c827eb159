/* clock.c -- time and the process's size. */
#include "base/clock.h"

#include <sys/resource.h>
#include <time.h>

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

size_t ae_peak_rss_bytes(void)
{
    struct rusage usage;

    if (getrusage(RUSAGE_SELF, &usage)) return 0;
    return (size_t)usage.ru_maxrss * 1024; /* Linux counts in KiB */
}

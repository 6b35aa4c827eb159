/* processors.c -- which processors this process may use: the system's list, a container's quota. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/processors.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/* Processors that a container's quota pays for, from "max 100000" or "200000 100000"; 0: no quota.
 */
static int quota_processors(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    double quota = 0.0, period = 0.0;

    if (!file) return 0;
    if (fscanf(file, "%lf %lf", &quota, &period) != 2 || period <= 0.0) quota = 0.0;
    fclose(file);
    return quota > 0.0 && quota / period < CPU_SETSIZE ? (int)(quota / period + 0.999) : 0;
}

int ae_processors_usable(void)
{
    cpu_set_t set;
    int n = 1, quota = quota_processors();

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
    if (quota && quota < n) n = quota;
    return n < 1 ? 1 : n;
}

/* The lowest processor of the core that `processor` is a thread of. */
static int core_of(int processor)
{
    char path[96];
    int first = processor;
    FILE *file;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
             processor);
    file = fopen(path, "r");
    if (!file) return processor;
    if (fscanf(file, "%d", &first) != 1 || first < 0) first = processor;
    fclose(file);
    return first;
}

int ae_processors_list(int *out, int most)
{
    cpu_set_t set, cores;
    int n = 0;

    CPU_ZERO(&set);
    CPU_ZERO(&cores);
    if (sched_getaffinity(0, sizeof set, &set)) return 0;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < CPU_SETSIZE; i++) {
            if (!CPU_ISSET(i, &set)) continue;
            int core = core_of(i);
            if (round == 0 && CPU_ISSET(core, &cores)) continue;
            CPU_SET(core, &cores);
            CPU_CLR(i, &set);
            if (n < most) out[n] = i;
            n++;
        }
    return n < most ? n : most;
}

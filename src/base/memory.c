/* memory.c -- what Linux says about memory: /proc/meminfo, control groups (both versions), limits.
 */
#include "base/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number that follows `key` at the beginning of a line, or (key "") the first of the file. */
static bool read_number(uint64_t *out, const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    char line[256];
    unsigned long long value;
    size_t len = strlen(key);
    bool found = false;

    while (file && !found && fgets(line, sizeof line, file))
        found = !strncmp(line, key, len) && sscanf(line + len, "%llu", &value) == 1;
    if (file) fclose(file);
    if (found) *out = value;
    return found;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a group's limit leaves: its files in the cache can be dropped. UINT64_MAX: no limit. */
static uint64_t group_left(const char *folder, const char *limit_name, const char *used_name,
                           const char *cache_key)
{
    char path[1024];
    uint64_t limit, used, cache = 0;

    snprintf(path, sizeof path, "%s/%s", folder, limit_name);
    if (!read_number(&limit, path, "")) return UINT64_MAX; /* "max" */
    snprintf(path, sizeof path, "%s/%s", folder, used_name);
    if (!read_number(&used, path, "")) return UINT64_MAX;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    read_number(&cache, path, cache_key);
    used -= least(cache, used);
    return limit > used ? limit - used : 0;
}

/* The group of this process in the unified hierarchy and every group above it. */
static uint64_t groups_left(void)
{
    enum { LONGEST = 700 };
    static const char root[] = "/sys/fs/cgroup";
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[LONGEST], folder[sizeof root + LONGEST];
    uint64_t left = group_left("/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                               "memory.usage_in_bytes", "total_cache ");

    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "0::", 3) != 0) continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(folder, sizeof folder, "%s%s", root, line + 3);
        for (char *slash; strlen(folder) >= sizeof root - 1; *slash = '\0') {
            left = least(left, group_left(folder, "memory.max", "memory.current", "file "));
            slash = strrchr(folder, '/');
        }
    }
    if (file) fclose(file);
    return left;
}

static uint64_t limit_left(int resource, uint64_t used)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

ae_memory_room ae_memory_left(void)
{
    ae_memory_room room = { UINT64_MAX, UINT64_MAX };
    uint64_t kilobytes, mapped = 0, data = 0;

    if (read_number(&kilobytes, "/proc/meminfo", "MemAvailable:")) room.resident = kilobytes * 1024;
    room.resident = least(room.resident, groups_left());
    if (read_number(&kilobytes, "/proc/self/status", "VmSize:")) mapped = kilobytes * 1024;
    if (read_number(&kilobytes, "/proc/self/status", "VmData:")) data = kilobytes * 1024;
    room.address = least(limit_left(RLIMIT_AS, mapped), limit_left(RLIMIT_DATA, data));
    return room;
}

uint64_t ae_memory_resident(void)
{
    uint64_t kilobytes = 0;

    read_number(&kilobytes, "/proc/self/status", "VmRSS:");
    return kilobytes * 1024;
}

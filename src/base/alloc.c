/* alloc.c -- blocks of zeroed memory that know their size, so that what is held can be counted and
 * so that tests can make any one of them fail. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64, LAZY_BYTES = 256 * 1024, MAPPED_BYTES = 1024 * 1024, PAGE = 64 * 1024 };

/* A sanitizer watches over what the C library gives, and over nothing else. */
#if defined(__SANITIZE_ADDRESS__)
#define MAPS_LARGE_BLOCKS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define MAPS_LARGE_BLOCKS 0
#endif
#endif
#ifndef MAPS_LARGE_BLOCKS
#define MAPS_LARGE_BLOCKS 1
#endif

/* Lies right before the caller's block. */
typedef struct {
    void *raw; /* what the C library gave */
    size_t size;
} block_header;

static atomic_size_t held_bytes, peak_bytes;
static atomic_long fail_countdown; /* allocations until the failure asked for; 0: none */
static atomic_bool has_failed;

static bool must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0) return false;
    if (atomic_fetch_sub(&fail_countdown, 1) != 1) return false;
    atomic_store(&has_failed, true);
    return true;
}

static void count_bytes(size_t size)
{
    size_t now = atomic_fetch_add(&held_bytes, size) + size;
    size_t peak = atomic_load(&peak_bytes);

    while (now > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, now)) {}
}

/* A large block is mapped by itself: it takes memory only where it is written, and none when it is
 * freed. glibc does so too, but only until the first such block is freed: from then on blocks of
 * its size lie in the heap, where calloc() writes them all and what is freed below others stays. A
 * pass of 14 MB then cost up to 10 MB more than it touched. */
static bool is_mapped(size_t size)
{
    return MAPS_LARGE_BLOCKS && size >= MAPPED_BYTES;
}

static void *map_zeroed(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return pages == MAP_FAILED ? NULL : pages;
}

/* A small block ends exactly where its memory ends, so that a sanitizer sees the first byte past
 * it. One of some size comes from calloc(), which may get zeroed pages without touching them. */
static char *take_block(void **raw, size_t size)
{
    size_t total;

    if (size < LAZY_BYTES) {
        if (posix_memalign(raw, ALIGNMENT, ALIGNMENT + size)) return NULL;
        memset(*raw, 0, ALIGNMENT + size);
        return (char *)*raw + ALIGNMENT;
    }
    if (!ae_add_size(&total, size, 2 * ALIGNMENT)) return NULL;
    *raw = is_mapped(size) ? map_zeroed(total) : calloc(1, total);
    if (!*raw) return NULL;
    return (char *)*raw + 2 * ALIGNMENT - (uintptr_t)*raw % ALIGNMENT;
}

void *ae_alloc(size_t count, size_t size)
{
    size_t bytes;
    void *raw;
    char *block;

    if (!ae_mul_size(&bytes, count, size) || must_fail()) return NULL;
    block = take_block(&raw, bytes);
    if (!block) return NULL;
    ((block_header *)(void *)block)[-1] = (block_header){ raw, bytes };
    count_bytes(bytes);
    return block;
}

void *ae_realloc(void *block, size_t old_count, size_t count, size_t size)
{
    void *grown = ae_alloc(count, size);
    size_t kept = old_count < count ? old_count : count;

    if (!grown) return NULL;
    if (block && kept) memcpy(grown, block, kept * size);
    ae_free(block);
    return grown;
}

void ae_free(void *block)
{
    block_header *header;

    if (!block) return;
    header = (block_header *)block - 1;
    atomic_fetch_sub(&held_bytes, header->size);
    if (is_mapped(header->size))
        munmap(header->raw, header->size + 2 * ALIGNMENT);
    else
        free(header->raw);
}

static bool whole_pages(size_t *bytes)
{
    if (!ae_add_size(bytes, *bytes, PAGE - 1)) return false;
    *bytes -= *bytes % PAGE;
    if (!*bytes) *bytes = PAGE;
    return true;
}

void *ae_pages_take(size_t bytes)
{
    void *pages;

    if (!whole_pages(&bytes) || must_fail()) return NULL;
    /* Huge pages are not asked for: on a virtual machine the first touch of 4 GiB took 6.9 s
     * and 1.4 s with them, 1.1 s and 1.3 s without, and 7B loads went from about 8 s to 3 s.
     * Whether products would read faster from huge pages has not been measured on a machine at
     * rest. */
    pages = map_zeroed(bytes);
    if (!pages) return NULL;
    count_bytes(bytes);
    return pages;
}

void ae_pages_touch(void *part, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)part / page * page;

    madvise((void *)from, (uintptr_t)part + bytes - from, MADV_POPULATE_WRITE);
#else
    (void)part, (void)bytes;
#endif
}

void ae_pages_free(void *pages, size_t bytes)
{
    if (!pages || !whole_pages(&bytes)) return;
    atomic_fetch_sub(&held_bytes, bytes);
    munmap(pages, bytes);
}

char *ae_strndup(const char *text, size_t len)
{
    size_t bytes;
    char *copy = ae_add_size(&bytes, len, 1) ? ae_alloc(bytes, 1) : NULL;

    if (copy && len) memcpy(copy, text, len);
    return copy;
}

char *ae_strdup(const char *text)
{
    return ae_strndup(text, strlen(text));
}

void ae_alloc_fail_at(long n)
{
    atomic_store(&has_failed, false);
    atomic_store(&fail_countdown, n);
}

bool ae_alloc_has_failed(void)
{
    return atomic_load(&has_failed);
}

size_t ae_alloc_bytes(void)
{
    return atomic_load(&held_bytes);
}

size_t ae_alloc_peak_bytes(void)
{
    return atomic_load(&peak_bytes);
}

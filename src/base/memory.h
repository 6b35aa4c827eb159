/* memory.h -- how much memory the process has, and may still take. */
#ifndef AE_MEMORY_H
#define AE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t resident; /* bytes that fit into the machine, or the process's control group, beside
                        * what is in use; cached files give way */
    uint64_t address;  /* bytes that the process's limits let it map; UINT64_MAX: no limit */
} ae_memory_room;

/* UINT64_MAX where the system does not tell. */
ae_memory_room ae_memory_left(void);

/* Bytes of this process that lie in memory now, mapped files included; 0 where the system does not
 * tell. */
uint64_t ae_memory_resident(void);

#endif

/* log.h -- where the library's remarks go. The library itself never prints. */
#ifndef AERIE_LOG_H
#define AERIE_LOG_H

#include "aerie/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { AERIE_LOG_WARNING, AERIE_LOG_INFO, AERIE_LOG_DEBUG } aerie_log_level;

/* `message` is one line without its end, borrowed until this returns. Called on whatever thread has
 * the remark, maybe on several at once. */
typedef void aerie_log_fn(void *user, aerie_log_level level, const char *message);

/* Sets the process's log. NULL (the default) drops every remark. Call before other threads run. */
AERIE_API void aerie_log_set(aerie_log_fn *log, void *user);

#ifdef __cplusplus
}
#endif
#endif

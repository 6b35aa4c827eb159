/* log.h -- the library's side of aerie/log.h. */
#ifndef AE_LOG_H
#define AE_LOG_H

#include "aerie/log.h"

void ae_log(aerie_log_level level, const char *format, ...) AERIE_PRINTF(2, 3);

#endif

/* log.c -- hands remarks to whoever asked for them. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static aerie_log_fn *log_fn;
static void *log_user;

void aerie_log_set(aerie_log_fn *log, void *user)
{
    log_fn = log;
    log_user = user;
}

void ae_log(aerie_log_level level, const char *format, ...)
{
    char message[1024];
    va_list args;

    if (!log_fn) return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    log_fn(log_user, level, message);
}

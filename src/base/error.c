/* error.c -- the first failure, kept as a status and a sentence. */
#include "aerie/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

aerie_status aerie_fail(aerie_error *err, aerie_status status, const char *format, ...)
{
    va_list args;

    if (!err || err->status != AERIE_OK) return status;
    err->status = status;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

void aerie_error_prefix(aerie_error *err, const char *format, ...)
{
    char sentence[sizeof err->message];
    va_list args;
    size_t len;

    if (!err || err->status == AERIE_OK) return;
    memcpy(sentence, err->message, sizeof sentence);
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    len = strlen(err->message);
    snprintf(err->message + len, sizeof err->message - len, ": %s", sentence);
}

const char *aerie_status_name(aerie_status status)
{
    switch (status) {
    case AERIE_OK:
        return "ok";
    case AERIE_NO_MEMORY:
        return "no memory";
    case AERIE_BAD_ARGUMENT:
        return "bad argument";
    case AERIE_BAD_FILE:
        return "bad file";
    case AERIE_NOT_FOUND:
        return "not found";
    case AERIE_UNSUPPORTED:
        return "unsupported";
    case AERIE_IO:
        return "input/output error";
    case AERIE_BAD_TEXT:
        return "bad text";
    case AERIE_BAD_NUMBER:
        return "bad number";
    case AERIE_INTERRUPTED:
        return "interrupted";
    case AERIE_BAD_SHAPE:
        return "bad shape";
    case AERIE_BUSY:
        return "busy";
    case AERIE_TOO_LONG:
        return "too long";
    }
    return "unknown status";
}

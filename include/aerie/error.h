/* error.h -- how every call of the library says that it failed.
 *
 * A failing call returns a status and, when the caller gave it an aerie_error, a sentence that
 * says what is wrong, where, and what to do about it. The first failure wins: a later one does
 * not overwrite the sentence.
 *
 * Of all headers, where a declaration says nothing else:
 * - texts are UTF-8 and '\0'-terminated; lengths are bytes, and text with a length needs no end;
 * - what is passed in is borrowed until the call returns, callbacks' arguments until they return,
 *   and `user` is handed back to callbacks as it came;
 * - a handle in *out is the caller's, to be closed with the function beside it, and NULL after a
 *   failure; closing NULL does nothing;
 * - tensors are row-major, the last dimension dense; times are seconds, sizes bytes;
 * - a handle is used by one thread at a time (an engine and a host by any number), different ones
 *   at once; a model computes for one caller at a time;
 * - `err` may be NULL, and of what else may be the declaration says so. */
#ifndef AERIE_ERROR_H
#define AERIE_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AERIE_API                        __attribute__((visibility("default")))
#define AERIE_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define AERIE_API
#define AERIE_PRINTF(format_at, args_at)
#endif

typedef enum {
    AERIE_OK = 0,
    AERIE_NO_MEMORY,    /* the machine, or a limit the caller set, has no room */
    AERIE_BAD_ARGUMENT, /* an option or a call that makes no sense */
    AERIE_BAD_FILE,     /* a file whose content is damaged or not what its name says */
    AERIE_NOT_FOUND,    /* no such file, model, column, key */
    AERIE_UNSUPPORTED,  /* well-formed, but this build does not know it */
    AERIE_IO,           /* reading or writing failed: disk full, permissions */
    AERIE_BAD_TEXT,     /* a template, recipe or record that does not parse or render */
    AERIE_BAD_NUMBER,   /* a loss or gradient that is not finite */
    AERIE_INTERRUPTED,  /* the caller asked to stop */
    AERIE_BAD_SHAPE,    /* tensors that do not fit together */
    AERIE_BUSY,         /* too many wait already: the same may succeed later */
    AERIE_TOO_LONG      /* a prompt that the context does not hold */
} aerie_status;

typedef struct {
    aerie_status status;
    char message[480];
} aerie_error;

/* Records a failure and returns `status`, so that `return aerie_fail(err, ...)` reads well.
 * `err` may be NULL. Keeps the first failure. */
AERIE_API aerie_status aerie_fail(aerie_error *err, aerie_status status, const char *format, ...)
    AERIE_PRINTF(3, 4);

/* Puts "prefix: " before the sentence: a caller that knows the file or line adds it. */
AERIE_API void aerie_error_prefix(aerie_error *err, const char *format, ...) AERIE_PRINTF(2, 3);

/* A short constant name, "bad file". */
AERIE_API const char *aerie_status_name(aerie_status status);

#ifdef __cplusplus
}
#endif
#endif

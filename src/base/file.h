/* file.h -- files: mapped for reading, written so that nobody ever sees half of one. */
#ifndef AE_FILE_H
#define AE_FILE_H

#include "base/bytes.h"

#include <stdio.h>

/* A file mapped read-only. A zeroed ae_file is closed; closing it does nothing. */
typedef struct {
    const uint8_t *data;
    size_t size;
    char *path; /* owned copy, for messages */
} ae_file;

aerie_status ae_file_open(ae_file *file, const char *path, aerie_error *err);
void ae_file_close(ae_file *file);
/* Gives back the memory of the whole pages in [data, data + bytes) of the mapping: for what will
 * hardly be read again. data NULL: all of it. The mapping stays: who reads there gets the same
 * bytes from the file. */
void ae_file_forget(const ae_file *file, const void *data, size_t bytes);

/* Reads a whole file into memory; gunzips it when it starts with gzip's magic bytes.
 * Fails with AERIE_BAD_FILE past max_bytes (unpacked; 0: 4 GiB). */
aerie_status ae_file_read(ae_bytes *out, const char *path, size_t max_bytes, aerie_error *err);

/* A file read a part at a time, unpacked like that. A zeroed reader is closed. */
typedef struct {
    void *gz;
    char *path;     /* owned copy, for messages */
    uint64_t bytes; /* unpacked so far */
    bool ended;
} ae_file_reader;

aerie_status ae_file_reader_open(ae_file_reader *r, const char *path, aerie_error *err);
/* Appends at most `most` bytes; fewer at the end, where `ended` is set. */
aerie_status ae_file_reader_more(ae_file_reader *r, ae_bytes *out, size_t most, aerie_error *err);
void ae_file_reader_close(ae_file_reader *r);

/* A file being written beside its final place. Nothing appears at `path` before commit, which
 * flushes to the disk and renames; abandon removes what was written. Errors of any write are kept
 * and reported by commit, so callers may write without looking. */
typedef struct {
    FILE *stream;
    char *path, *temporary;
    uint64_t written; /* bytes so far */
    int error;        /* first errno */
} ae_file_writer;

aerie_status ae_file_writer_open(ae_file_writer *w, const char *path, aerie_error *err);
void ae_file_writer_add(ae_file_writer *w, const void *data, size_t len);
void ae_file_writer_pad(ae_file_writer *w, size_t alignment); /* zero bytes up to a multiple */
/* Another final place in the same file system, for a file whose name depends on its content. */
aerie_status ae_file_writer_move(ae_file_writer *w, const char *path, aerie_error *err);
aerie_status ae_file_writer_commit(ae_file_writer *w, aerie_error *err);
void ae_file_writer_abandon(ae_file_writer *w); /* also fine after commit */

/* Writes the whole of a small file through a writer. */
aerie_status ae_file_write(const char *path, const void *data, size_t len, aerie_error *err);

/* The SHA-256 of a whole file, 64 lower-case hexadecimal digits and '\0'. Its pages are given back
 * as they have been read. `told` (or NULL) hears of every MiB, bytes done and in all; false:
 * AERIE_INTERRUPTED. */
typedef bool ae_file_hash_fn(void *user, uint64_t done, uint64_t total);
aerie_status ae_file_sha256(char out[65], const char *path, ae_file_hash_fn *told, void *user,
                            aerie_error *err);

bool ae_file_exists(const char *path);
bool ae_file_is_folder(const char *path);
aerie_status ae_file_make_folder(const char *path, aerie_error *err); /* with parents; may exist */
/* Appends size and time of the last change of a file, to the nanosecond; of a folder those of every
 * file in it, by name. Another text: another content, most likely. Nothing is appended of what is
 * not there, but that FILE=SCALE, as adapters are named, stands for FILE. */
void ae_file_stamp(ae_bytes *out, const char *path);
/* "a" + "b" -> "a/b"; owned by the caller (ae_free). */
char *ae_path_join(const char *folder, const char *name);

#endif

/* files.h -- data files written by a test and read back. */
#ifndef AE_TEST_DATA_FILES_H
#define AE_TEST_DATA_FILES_H

#include "scratch.h"

#include "data/data.h"

typedef struct {
    char *folder, *path;
    ae_dataset *dataset;
    aerie_status status;
    aerie_error err;
} data_file;

static inline data_file data_open_as(const char *name, const char *text,
                                     const ae_dataset_options *options)
{
    data_file f = { .folder = scratch_make() };
    f.path = ae_path_join(f.folder, name);
    assert_int_equal(ae_file_write(f.path, text, strlen(text), NULL), AERIE_OK);
    const char *paths[] = { f.path };
    f.status = ae_dataset_open(&f.dataset, paths, 1, options, &f.err);
    return f;
}

/* A file that must read well. */
static inline data_file data_open(const char *name, const char *text, ae_example_kind kind)
{
    ae_dataset_options options = { .kind = kind };
    data_file f = data_open_as(name, text, &options);
    if (f.status) fail_msg("%s", f.err.message);
    return f;
}

static inline void data_close(data_file *f)
{
    ae_dataset_close(f->dataset);
    ae_free(f->path);
    scratch_remove(f->folder);
}

/* `messages` is what the text says. */
static inline void assert_messages(json_t *messages, const char *expected)
{
    json_t *want = json_loads(expected, 0, NULL);
    assert_non_null(want);
    if (!messages || !json_equal(messages, want)) {
        char *got = messages ? json_dumps(messages, 0) : NULL;
        print_error("wanted %s\ngot    %s\n", expected, got ? got : "nothing");
        free(got);
        fail();
    }
    json_decref(want);
}

#endif

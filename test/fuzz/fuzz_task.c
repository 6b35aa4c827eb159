/* fuzz_task.c -- reads bytes as a task's file, and asks it of two rows; and as a table of text. */
#include "task/task.h"

#include "as_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *two_rows(void)
{
    return json_pack("[{s:s, s:[s,s], s:i}, {s:s, s:[s,s], s:i}]", "q", "one", "choices", "x", "y",
                     "a", 0, "q", "two", "choices", "x", "y", "a", 1);
}

/* What was built has requests, whose hash can be told; a refusal is a sentence. */
static void ask(ae_task *t)
{
    json_t *rows = two_rows();
    ae_task_options options = { .docs = rows, .train = rows, .shots = -1 };
    ae_task_set *set;
    aerie_error err = { 0 };
    char hash[65];

    if (ae_task_shots(t) > 8) options.shots = 1;
    if (ae_task_set_build(&set, t, &options, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else {
        for (size_t i = 0; i < ae_task_set_len(set); i++)
            if (!ae_task_set_at(set, i)->n_requests) __builtin_trap();
        if (ae_task_set_sha256(set, hash, NULL)) __builtin_trap();
    }
    ae_task_set_free(set);
    json_decref(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_span text = { (const char *)data, size };
    const ae_protocol *p;
    aerie_error err = { 0 };
    json_t *rows = json_array();
    ae_task *t;

    for (size_t i = 0; (p = ae_protocol_at(i)); i++) {
        if (p->chat) continue;
        err = (aerie_error){ 0 };
        if (!ae_task_open_text(&t, "fuzz", text, p, &err))
            ask(t);
        else if (!err.message[0])
            __builtin_trap();
        ae_task_close(t);
    }
    err = (aerie_error){ 0 };
    if (ae_task_read_rows(rows, as_file(data, size), 100, &err) && !err.message[0])
        __builtin_trap();
    json_decref(rows);
    return 0;
}

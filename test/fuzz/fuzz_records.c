/* fuzz_records.c -- opens bytes as a file of training records, asked for in every way. */
#include "data/data.h"

#include "as_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read is whole: messages have a role and a text, unless they call a tool. */
static void look_at(const json_t *messages)
{
    size_t i;
    json_t *message;

    json_array_foreach(messages, i, message) if (!json_is_string(json_object_get(message, "role")))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ae_column renamed = { "messages", "talk" };
    const char *path = as_file(data, size);

    for (int kind = 0; kind <= AE_EXAMPLE_UNPAIRED; kind++) {
        ae_dataset_options o = { .kind = (ae_example_kind)kind };
        aerie_error err = { 0 };
        ae_dataset *d;
        if (kind == AE_EXAMPLE_CHAT) o.columns = &renamed, o.n_columns = 1;
        if (ae_dataset_open(&d, &path, 1, &o, &err)) {
            if (!err.message[0]) __builtin_trap();
            continue;
        }
        for (size_t i = 0; i < ae_dataset_len(d); i++) {
            ae_example e = ae_dataset_at(d, i);
            look_at(e.messages);
            look_at(e.chosen);
            look_at(e.rejected);
            size_t k;
            json_t *reply;
            json_array_foreach(e.replies, k, reply) look_at(reply);
            if (json_array_size(e.replies) != json_array_size(e.ranks)) __builtin_trap();
        }
        ae_dataset_close(d);
    }
    return 0;
}

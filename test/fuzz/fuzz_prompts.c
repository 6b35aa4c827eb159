/* fuzz_prompts.c -- reads bytes as records whose replies are to be sampled. */
#include "../data/tiny_vocab.h"
#include "as_file.h"
#include "data/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A prompt has tokens and the record that it came from, in which it is found again. */
static void look(const ae_samples *prompts)
{
    for (size_t i = 0; i < prompts->n; i++) {
        const ae_sample *s = &prompts->items[i];
        json_t *row = s->row ? json_loads(s->row, JSON_ALLOW_NUL, NULL) : NULL, *messages = NULL;
        if (s->n < 1 || s->n != s->n_prompt || !row) __builtin_trap();
        if (ae_prompt_messages(&messages, row, NULL, NULL) || json_array_size(messages) < 1)
            __builtin_trap();
        json_decref(messages);
        json_decref(row);
    }
}

static aerie_status read_prompts(ae_samples *out, const char *path,
                                 const ae_encode_options *options, aerie_error *err)
{
    const ae_dataset_options prompts = { .kind = AE_EXAMPLE_PROMPT };
    ae_dataset *d = NULL;
    aerie_status status = ae_dataset_start(&d, &path, 1, &prompts, err);

    if (!status) status = ae_samples_encode(out, d, options, NULL, err);
    ae_dataset_close(d);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ae_tokenizer *tokenizer;
    static ae_template *format;
    ae_encode_options options;
    ae_samples prompts;
    aerie_error err = { 0 };

    if (!tokenizer) tokenizer = tiny_vocab(true);
    if (!format) ae_template_parse(&format, ae_span_text(ae_template_known("zephyr")), NULL);
    options = (ae_encode_options){ .tokenizer = tokenizer,
                                   .chat_template = format,
                                   .max_prompt_length = size & 1 ? 40 : 0 };
    if (read_prompts(&prompts, as_file(data, size), &options, &err)) {
        if (!err.message[0]) __builtin_trap();
        return 0;
    }
    look(&prompts);
    ae_samples_free(&prompts);
    return 0;
}

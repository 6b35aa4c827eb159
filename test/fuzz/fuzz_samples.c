/* fuzz_samples.c -- reads bytes as records and makes training samples of what they hold: rendered,
 * encoded, cut, glued into blocks, shown. */
#include "../data/tiny_vocab.h"
#include "data/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const ae_samples *samples, const ae_tokenizer *t)
{
    ae_bytes out = { 0 };

    for (size_t i = 0; i < samples->n; i++)
        ae_sample_print(&out, &samples->items[i], t, i & 1, NULL);
    ae_bytes_free(&out);
}

static void encode_all(ae_dataset *d, const ae_encode_options *options)
{
    ae_samples samples, blocks;

    if (ae_samples_encode(&samples, d, options, NULL, NULL)) return;
    show(&samples, options->tokenizer);
    if (samples.n > 0 && (samples.items[0].kind == AE_EXAMPLE_PAIR ||
                          samples.items[0].kind == AE_EXAMPLE_UNPAIRED)) {
        if (ae_samples_unpair(&samples, options->append_eos, options->max_length, NULL) == AERIE_OK)
            show(&samples, options->tokenizer);
    }
    if (ae_samples_wrap(&blocks, &samples, 16, NULL) == AERIE_OK) {
        show(&blocks, options->tokenizer);
        ae_samples_free(&blocks);
    }
    ae_samples_free(&samples);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ae_tokenizer *tokenizer;
    static ae_template *format;
    static const ae_class classes[] = { { "a", "A", 0.1f }, { "b", "B", 1 } };
    ae_conditions conditions = { .classes = size & 8 ? classes : NULL,
                                 .n_classes = size & 8 ? 2 : 0,
                                 .in_system = size & 16,
                                 .end_of_turn = "</s>",
                                 .by_message = size & 32,
                                 .bfloat16 = size & 64 };
    ae_encode_options options;

    if (!tokenizer) tokenizer = tiny_vocab(true);
    if (!format) ae_template_parse(&format, ae_span_text(ae_template_known("zephyr")), NULL);
    options = (ae_encode_options){ .tokenizer = tokenizer,
                                   .chat_template = format,
                                   .append_eos = size & 1,
                                   .conditions = size & 4 ? &conditions : NULL,
                                   .max_length = size & 2 ? 40 : 0 };
    for (int kind = 0; kind <= AE_EXAMPLE_UNPAIRED; kind++) {
        ae_dataset_options as = { .kind = (ae_example_kind)kind };
        ae_span text = { (const char *)data, size };
        ae_dataset *d;
        if (ae_dataset_open_text(&d, "fuzz.jsonl", text, &as, NULL)) continue;
        encode_all(d, &options);
        ae_dataset_close(d);
    }
    return 0;
}

/* fuzz_template.c -- parses bytes as a chat template and renders it over a small conversation. */
#include "text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conversation[] = "[{\"role\":\"system\",\"content\":\"Be "
                                   "kind.\"},{\"role\":\"user\",\"content\":\"Gr\\u00fc\\u00dfe\"},"
                                   "{\"role\":\"assistant\",\"content\":\"Hello\",\"tool_calls\":[{"
                                   "\"name\":\"f\",\"arguments\":{\"a\":1.5}}]}]";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_template *t;
    aerie_error err = { 0 };
    ae_bytes out = { 0 };
    ae_span source = { (const char *)data, size };

    if (ae_template_parse(&t, source, &err) == AERIE_OK) {
        json_t *messages = json_loads(conversation, 0, NULL);
        ae_template_input in = { .messages = messages,
                                 .bos_token = "<s>",
                                 .eos_token = "</s>",
                                 .add_generation_prompt = true,
                                 .now_unix = 1721995200,
                                 .max_steps = 20000,
                                 .max_output = 1 << 16 };
        ae_template_render(t, &in, &out, &err);
        json_decref(messages);
        ae_template_free(t);
    }
    ae_bytes_free(&out);
    return 0;
}

/* fuzz_tool_reader.c -- reads bytes as a reply with calls of tools, at once and byte by byte. */
#include "serve/tool_reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_reply(ae_bytes *out, const ae_tools *tools, ae_span reply, size_t step)
{
    ae_tool_reader r = { .tools = tools };
    json_t *calls = json_array();
    for (size_t at = 0; at < reply.len; at += step) {
        ae_span more = { reply.data + at, reply.len - at < step ? reply.len - at : step };
        ae_tool_reader_add(&r, more, out, calls);
    }
    ae_tool_reader_end(&r, out);
    ae_tool_reader_free(&r);
    char *text = json_dumps(calls, JSON_COMPACT);
    ae_bytes_add_text(out, text ? text : "");
    free(text);
    json_decref(calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char request[] = "{\"tools\":[{\"function\":{\"name\":\"f\"}}]}";
    json_t *json = json_loads(request, 0, NULL);
    ae_bytes whole = { 0 }, pieces = { 0 };
    ae_tools tools;
    if (ae_tools_read(&tools, json, NULL)) __builtin_trap();
    read_reply(&whole, &tools, (ae_span){ (const char *)data, size }, size + 1);
    read_reply(&pieces, &tools, (ae_span){ (const char *)data, size }, 1);
    if (!ae_span_equal(ae_span_of(&whole), ae_span_of(&pieces))) __builtin_trap();
    ae_bytes_free(&whole);
    ae_bytes_free(&pieces);
    ae_tools_free(&tools);
    json_decref(json);
    return 0;
}

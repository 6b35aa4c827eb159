/* fuzz_modelfile.c -- a Modelfile of any bytes: read or refused; what is read can be printed and
 * read again. Its bytes are also taken for a manifest, for a name and for a digest. */
#include "hub/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_names(const char *text)
{
    char hex[AE_HEX], shown[AE_NAME_TEXT], again[AE_NAME_TEXT];
    ae_name name;

    if (ae_digest_parse(hex, text) && strlen(hex) != AE_HEX - 1) abort();
    if (!ae_name_parse(&name, text)) return;
    ae_name_full(&name, shown);
    if (strstr(shown, "..") == shown || strstr(shown, "/../") || strstr(shown, "/.")) abort();
    if (!ae_name_parse(&name, shown)) abort();
    ae_name_full(&name, again);
    if (strcmp(shown, again) != 0) abort();
}

static void try_printed(const ae_modelfile *f)
{
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    ae_modelfile again;

    for (size_t i = 0; i < f->n; i++) {
        /* There are no escapes: such a value cannot be written. */
        if (strstr(f->lines[i].value, "\"\"\"") || strchr(f->lines[i].value, '\r')) goto done;
        ae_modelfile_print(&text, f->lines[i].key, f->lines[i].name, f->lines[i].value);
    }
    if (ae_modelfile_parse(&again, &arena, text.data, text.len, NULL)) abort();
    if (again.n != f->n) abort();
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(again.lines[i].value, f->lines[i].value) != 0) abort();
done:
    ae_bytes_free(&text);
    ae_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ae_arena arena = { 0 };
    ae_bytes text = { 0 };
    aerie_error err = { 0 };
    ae_manifest manifest;
    ae_modelfile file;

    ae_bytes_add(&text, data, size);
    ae_bytes_add(&text, "", 0);
    if (!ae_modelfile_parse(&file, &arena, text.data ? text.data : "", size, &err)) {
        try_printed(&file);
        for (size_t i = 0; i < file.n; i++) {
            json_t *value = NULL;
            if (file.lines[i].name)
                ae_parameter_parse(&value, file.lines[i].name, file.lines[i].value, NULL);
            json_decref(value);
            try_names(file.lines[i].value);
        }
    } else if (!err.message[0]) {
        abort();
    }
    if (!ae_manifest_parse(&manifest, &arena, text.data ? text.data : "", size, "fuzz", NULL))
        ae_manifest_bytes(&manifest);
    ae_bytes_add_char(&text, '\0');
    if (!text.failed) try_names(text.data);
    ae_bytes_free(&text);
    ae_arena_free(&arena);
    return 0;
}

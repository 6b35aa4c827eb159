/* convert.c -- `aerie convert`: Hugging Face folder to GGUF, and back. */
#include "cli/cli.h"

#include <stdio.h>

int cli_convert(int argc, char **argv)
{
    cli_common common = { 0 };
    const char *out_path = NULL, *to = NULL, *type = NULL, *over = NULL;
    const cli_option options[] = {
        { "--output", 'o', CLI_TEXT, &out_path, "OUT", "the file (gguf) or folder (hf) to write" },
        { "--type", 0, CLI_TEXT, &type, "TYPE", "f32, f16 (default), bf16, q8_0 (gguf)" },
        { "--to", 0, CLI_TEXT, &to, "gguf|hf", "the format to write (default gguf)" },
        { "--over", 0, CLI_TEXT, &over, "MODEL",
          "what is written is an adapter, of this model: GGUF, or PEFT's folder" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie convert MODEL -o OUT [--to gguf|hf] [--type f16]",
        .takes = CLI_TAKES_KERNELS | CLI_TAKES_FORCE,
        .about =
            "Writes a model as a GGUF file, or as a Hugging Face folder with --to hf. With --over\n"
            "MODEL an adapter, as llama.cpp and Ollama read it, or as PEFT does.",
        .options = options,
        .min_words = 1,
        .max_words = 1
    };
    aerie_error err = { 0 };
    char *path = NULL, *model = NULL;
    int code;
    if (!cli_read(&call, &common, argc, argv, &code)) return code;
    if (!out_path) return cli_misused("give -o OUT; usage: %s", call.usage);
    aerie_status status = over ? cli_find(over, &model, &err) : AERIE_OK;
    if (!status && over)
        status = aerie_convert_adapter(call.words[0], model, out_path, to, common.force, &err);
    if (!status && !over) status = cli_find_whole(call.words[0], &path, &err);
    if (!status && !over) status = aerie_convert(path, out_path, to, type, &err);
    aerie_free(path);
    aerie_free(model);
    if (status) return cli_fail(&err);
    if (!common.quiet) fprintf(stderr, "wrote %s\n", out_path);
    return CLI_DONE;
}

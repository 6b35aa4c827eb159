/* tokenize.c -- `aerie tokenize`: text to token ids. */
#include "cli/cli.h"
#include "cli/jsonl.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    cli_common common;
    const char *file;
    bool no_bos, special, no_special, jsonl;
    aerie_tokenizer *tokenizer;
} tokenize_call;

static json_t *piece_json(const aerie_tokenizer *t, int32_t id)
{
    size_t len;
    const char *piece = aerie_token_piece(t, id, &len);
    json_t *text = json_stringn(piece, len);
    return text ? text : json_string("\xef\xbf\xbd"); /* a piece of bytes that are no UTF-8 */
}

static void print_ids(const tokenize_call *c, const int32_t *ids, size_t n)
{
    if (c->common.json) {
        json_t *pieces = json_array();
        for (size_t i = 0; i < n; i++)
            json_array_append_new(pieces, piece_json(c->tokenizer, ids[i]));
        cli_print_json(json_pack("{s:o, s:o}", "ids", cli_ids_json(ids, n), "pieces", pieces));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *piece = aerie_token_piece(c->tokenizer, ids[i], &len);
        printf("%6d  %.*s\n", ids[i], (int)len, piece);
    }
}

static aerie_status tokenize_text(const tokenize_call *c, const char *text, size_t len,
                                  aerie_error *err)
{
    aerie_tokenize_options o = { .no_bos = c->no_bos, .no_special = c->no_special };
    int32_t *ids = NULL;
    size_t n = 0;
    aerie_status status = aerie_tokenize(c->tokenizer, text, len, &o, &ids, &n, err);
    if (!status && c->jsonl)
        cli_print_json(json_pack("{s:o}", "ids", cli_ids_json(ids, n)));
    else if (!status)
        print_ids(c, ids, n);
    aerie_free(ids);
    return status;
}

static aerie_status tokenize_row(void *user, json_t *row, aerie_error *err)
{
    const json_t *text = json_object_get(row, "text");
    if (!json_is_string(text))
        return aerie_fail(err, AERIE_BAD_FILE, "the line has no \"text\" that is a string");
    return tokenize_text(user, json_string_value(text), json_string_length(text), err);
}

static aerie_status tokenize_file(tokenize_call *c, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status = ae_file_read(&text, c->file, 0, err);
    if (!status) status = tokenize_text(c, text.data ? text.data : "", text.len, err);
    ae_bytes_free(&text);
    return status;
}

static bool is_sentencepiece(const char *path)
{
    size_t n = strlen(path);
    return n >= 6 && !strcmp(path + n - 6, ".model");
}

int cli_tokenize(int argc, char **argv)
{
    tokenize_call c = { 0 };
    const cli_option options[] = {
        { "--file", 'f', CLI_TEXT, &c.file, "FILE", "tokenize this file's text" },
        { "--jsonl", 0, CLI_FLAG, &c.jsonl, NULL,
          "with --file: read {\"text\"} lines, print {\"ids\"} lines" },
        { "--no-bos", 0, CLI_FLAG, &c.no_bos, NULL, "leave out the beginning-of-sequence token" },
        { "--special", 0, CLI_FLAG, &c.special, NULL,
          "special tokens written in the text become those tokens (the default)" },
        { "--no-special", 0, CLI_FLAG, &c.no_special, NULL,
          "... stay text (the default for a bare tokenizer.model, as SentencePiece has it)" },
        { 0 },
    };
    cli_call call = {
        .usage = "aerie tokenize MODEL [TEXT] [options]",
        .takes = CLI_TAKES_KERNELS,
        .about =
            "Turns text into token ids. MODEL may be a bare tokenizer.model or tokenizer.json.",
        .options = options,
        .min_words = 1,
        .max_words = 2
    };
    aerie_error err = { 0 };
    char *path = NULL;
    int code;
    if (!cli_read(&call, &c.common, argc, argv, &code)) return code;
    if ((call.n_words > 1) == (c.file != NULL))
        return cli_misused("give a TEXT or --file FILE; usage: %s", call.usage);
    if (c.jsonl && !c.file) return cli_misused("--jsonl wants --file FILE");
    if (c.special && c.no_special) return cli_misused("--special and --no-special at once");
    if (!c.special && is_sentencepiece(call.words[0])) c.no_special = true;

    /* A bare tokenizer file is no model that the store could know. */
    aerie_status status = ae_file_exists(call.words[0])
                              ? aerie_tokenizer_open(&c.tokenizer, call.words[0], &err)
                              : cli_find(call.words[0], &path, &err);
    if (!status && path) status = aerie_tokenizer_open(&c.tokenizer, path, &err);
    if (!status) {
        if (!c.file)
            status = tokenize_text(&c, call.words[1], strlen(call.words[1]), &err);
        else
            status =
                c.jsonl ? cli_each_line(c.file, tokenize_row, &c, &err) : tokenize_file(&c, &err);
    }
    aerie_tokenizer_close(c.tokenizer);
    aerie_free(path);
    return status ? cli_fail(&err) : CLI_DONE;
}

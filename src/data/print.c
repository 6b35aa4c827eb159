/* print.c -- shows a sample's tokens, one by one, with what is learned of each. */
#include "data/data.h"

#include <stdio.h>
#include <string.h>

static const char *part_of(const ae_sample *s, int32_t i)
{
    bool pair = s->kind == AE_EXAMPLE_PAIR;
    if (s->kind == AE_EXAMPLE_RANKED)
        return i < s->n_prompt ? "prompt" : s->weight[i] != 0 ? "scored" : "reply";
    if (s->kind != AE_EXAMPLE_UNPAIRED && !pair) return s->weight[i] != 0 ? "learned" : "read";
    if (!pair && i >= s->n_prompt)
        return i >= s->n_prompt + s->n_chosen ? "other" : s->undesirable ? "unwanted" : "wanted";
    return i < s->n_prompt ? "prompt" : i < s->n_prompt + s->n_chosen ? "chosen" : "rejected";
}

/* The bytes of a token inside JSON quotes; what is no UTF-8 on its own is shown as U+FFFD. */
static void add_quoted(ae_bytes *out, ae_span text)
{
    ae_bytes_add_char(out, '"');
    for (size_t at = 0; at < text.len;) {
        size_t start = at;
        int32_t code = ae_utf8_next(text, &at);
        if (code == '"' || code == '\\')
            ae_bytes_printf(out, "\\%c", (char)code);
        else if (code == '\n')
            ae_bytes_add_text(out, "\\n");
        else if (code >= 0 && code < 32)
            ae_bytes_printf(out, "\\u%04x", (unsigned)code);
        else if (code < 0)
            ae_bytes_add_text(out, "\xef\xbf\xbd");
        else
            ae_bytes_add(out, text.data + start, at - start);
    }
    ae_bytes_add_char(out, '"');
}

static void print_token(ae_bytes *out, const ae_sample *s, int32_t i, const ae_tokenizer *t,
                        bool json)
{
    ae_bytes text = { 0 };
    ae_tokenizer_token_bytes(t, s->ids[i], true, &text);
    if (text.failed) out->failed = true;
    if (json) {
        ae_bytes_printf(out, "%s{\"id\":%d,\"weight\":%g,\"part\":\"%s\",\"text\":", i ? "," : "",
                        s->ids[i], (double)s->weight[i], part_of(s, i));
        add_quoted(out, ae_span_of(&text));
        ae_bytes_add_char(out, '}');
    } else {
        ae_bytes_printf(out, "%6d %7d %6.3g  %-8s ", i, s->ids[i], (double)s->weight[i],
                        part_of(s, i));
        add_quoted(out, ae_span_of(&text));
        ae_bytes_add_char(out, '\n');
    }
    ae_bytes_free(&text);
}

aerie_status ae_sample_print(ae_bytes *out, const ae_sample *s, const ae_tokenizer *t, bool json,
                             aerie_error *err)
{
    if (json) {
        ae_bytes_printf(out, "{\"kind\":\"%s\",\"n\":%d",
                        s->kind == AE_EXAMPLE_TEXT     ? "text"
                        : s->kind == AE_EXAMPLE_CHAT   ? "chat"
                        : s->kind == AE_EXAMPLE_PAIR   ? "pair"
                        : s->kind == AE_EXAMPLE_RANKED ? "ranked"
                        : s->kind == AE_EXAMPLE_PROMPT ? "prompt"
                                                       : "unpaired",
                        s->n);
        if (s->kind == AE_EXAMPLE_PAIR || s->kind == AE_EXAMPLE_UNPAIRED)
            ae_bytes_printf(out, ",\"n_prompt\":%d,\"n_chosen\":%d,\"n_rejected\":%d", s->n_prompt,
                            s->n_chosen, s->n_rejected);
        ae_bytes_printf(out, ",\"truncated\":%s,\"tokens\":[", s->truncated ? "true" : "false");
    }
    for (int32_t i = 0; i < s->n && !out->failed; i++) print_token(out, s, i, t, json);
    if (json) ae_bytes_add_text(out, "]}\n");
    return ae_bytes_status(out, err);
}

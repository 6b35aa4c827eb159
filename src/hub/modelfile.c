/* modelfile.c -- Ollama's Modelfile: INSTRUCTION value, one after the other.
 *
 * A value runs to the end of its line; one that begins with " or """ runs to the first line that
 * ends with the same. There are no escapes. '#' makes a comment only where an instruction could
 * begin. Instructions are of any case; spaces may stand in front. */
#include "hub/hub.h"

#include <string.h>
#include <strings.h>

enum { MOST_BYTES = 64 << 20, MOST_LINES = 1 << 16 };

typedef struct {
    ae_arena *arena;
    const char *at, *end;
    int line;
    ae_modelfile *out;
    size_t cap;
    aerie_error *err;
} parser;

static aerie_status fail_at(const parser *p, int line, const char *sentence)
{
    return aerie_fail(p->err, AERIE_BAD_TEXT, "(line %d): %s", line, sentence);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}
static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}
static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ---- the text ---- */

static void add_utf8(ae_bytes *out, uint32_t c)
{
    if (c < 0x80) {
        ae_bytes_add_char(out, (char)c);
    } else if (c < 0x800) {
        ae_bytes_add_char(out, (char)(0xc0 | c >> 6));
        ae_bytes_add_char(out, (char)(0x80 | (c & 63)));
    } else {
        ae_bytes_add_char(out, (char)(c < 0x10000 ? 0xe0 | c >> 12 : 0xf0 | c >> 18));
        if (c >= 0x10000) ae_bytes_add_char(out, (char)(0x80 | (c >> 12 & 63)));
        ae_bytes_add_char(out, (char)(0x80 | (c >> 6 & 63)));
        ae_bytes_add_char(out, (char)(0x80 | (c & 63)));
    }
}

/* Half of a pair without its other half becomes U+FFFD. */
static void from_utf16(ae_bytes *out, const unsigned char *text, size_t len, bool big)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        uint32_t c =
            big ? (uint32_t)text[i] << 8 | text[i + 1] : (uint32_t)text[i + 1] << 8 | text[i];
        if (c >= 0xd800 && c < 0xdc00 && i + 3 < len) {
            uint32_t low = big ? (uint32_t)text[i + 2] << 8 | text[i + 3]
                               : (uint32_t)text[i + 3] << 8 | text[i + 2];
            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        add_utf8(out, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
    }
}

/* As UTF-8, without its mark, and without control characters other than tabs and ends of lines. */
static aerie_status decode(ae_bytes *out, const char *text, size_t len, aerie_error *err)
{
    const unsigned char *u = (const unsigned char *)text;
    size_t kept = 0;

    if (len >= 2 && ((u[0] == 0xff && u[1] == 0xfe) || (u[0] == 0xfe && u[1] == 0xff)))
        from_utf16(out, u + 2, len - 2, u[0] == 0xfe);
    else if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        ae_bytes_add(out, text + 3, len - 3);
    else
        ae_bytes_add(out, text, len);
    if (out->failed) return ae_bytes_status(out, err);
    for (size_t i = 0; i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        if ((c >= 32 && c != 127) || is_space((char)c) || is_newline((char)c))
            out->data[kept++] = (char)c;
    }
    out->len = kept;
    if (out->data) out->data[kept] = '\0';
    return AERIE_OK;
}

/* ---- instructions ---- */

static aerie_status find_command(const char **key, ae_span word, const parser *p, int line)
{
    static const char *const commands[] = { "from",      "license", "template", "system",
                                            "adapter",   "draft",   "renderer", "parser",
                                            "parameter", "message", "requires" };

    for (size_t i = 0; i < AE_COUNT(commands); i++)
        if (strlen(commands[i]) == word.len && !strncasecmp(commands[i], word.data, word.len)) {
            *key = commands[i];
            return AERIE_OK;
        }
    return fail_at(p, line,
                   "command must be one of \"from\", \"license\", \"template\", \"system\", "
                   "\"adapter\", \"draft\", \"renderer\", \"parser\", \"parameter\", "
                   "\"message\", or \"requires\"");
}

static ae_span take_word(parser *p, bool also_digits)
{
    const char *start = p->at;

    while (p->at < p->end && (is_alpha(*p->at) ||
                              (also_digits && ((*p->at >= '0' && *p->at <= '9') || *p->at == '_'))))
        p->at++;
    return (ae_span){ start, (size_t)(p->at - start) };
}

static void skip_spaces(parser *p)
{
    while (p->at < p->end && is_space(*p->at)) p->at++;
}

/* Moves past one end of line; "\r\n" is one. */
static void skip_newline(parser *p)
{
    if (*p->at == '\r' && p->at + 1 < p->end && p->at[1] == '\n') p->at++;
    p->at++;
    p->line++;
}

/* The name of a parameter, or the role of a message; a space must follow. */
static aerie_status take_name(parser *p, ae_modelfile_line *l)
{
    bool is_message = !strcmp(l->key, "message");
    ae_span word;

    skip_spaces(p);
    word = take_word(p, !is_message);
    if (is_message && !ae_span_is(word, "system") && !ae_span_is(word, "user") &&
        !ae_span_is(word, "assistant"))
        return fail_at(p, l->line,
                       "message role must be one of \"system\", \"user\", or \"assistant\"");
    if (!word.len || p->at == p->end || !is_space(*p->at))
        return fail_at(p, l->line,
                       is_message ? "unexpected end: MESSAGE wants a role and a text"
                                  : "unexpected end: PARAMETER wants a name and a value");
    l->name = ae_arena_strndup(p->arena, word.data, word.len);
    return l->name ? AERIE_OK : aerie_fail(p->err, AERIE_NO_MEMORY, "out of memory");
}

static ae_span trim(const char *start, const char *end)
{
    while (start < end && (is_space(*start) || is_newline(*start))) start++;
    while (start < end && (is_space(end[-1]) || is_newline(end[-1]))) end--;
    return (ae_span){ start, (size_t)(end - start) };
}

/* Whether the value is whole; its quotes are taken off. */
static bool unquote(ae_span *s)
{
    size_t marks = s->len >= 3 && !memcmp(s->data, "\"\"\"", 3) ? 3 : s->len && *s->data == '"';

    if (!marks) return true;
    if (s->len < 2 * marks || memcmp(s->data + s->len - marks, "\"\"\"", marks) != 0) return false;
    *s = (ae_span){ s->data + marks, s->len - 2 * marks };
    return true;
}

/* To the end of the first line where it is whole. */
static aerie_status take_value(parser *p, ae_modelfile_line *l)
{
    const char *start = p->at;
    ae_span value;

    for (;;) {
        while (p->at < p->end && !is_newline(*p->at)) p->at++;
        value = trim(start, p->at);
        if (unquote(&value)) break;
        if (p->at == p->end)
            return fail_at(p, l->line, "unexpected end: the quote that begins here has no end");
        skip_newline(p);
    }
    l->value = ae_arena_strndup(p->arena, value.data, value.len);
    return l->value ? AERIE_OK : aerie_fail(p->err, AERIE_NO_MEMORY, "out of memory");
}

/* Lines double their room in the arena. */
static ae_modelfile_line *new_line(parser *p)
{
    ae_modelfile *f = p->out;

    if (f->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        ae_modelfile_line *grown =
            cap <= MOST_LINES ? ae_arena_take(p->arena, cap, sizeof *grown) : NULL;
        if (!grown) {
            aerie_fail(p->err, AERIE_NO_MEMORY, "(line %d): no memory for so many instructions",
                       p->line);
            return NULL;
        }
        if (f->n) memcpy(grown, f->lines, f->n * sizeof *grown);
        f->lines = grown;
        p->cap = cap;
    }
    f->lines[f->n] = (ae_modelfile_line){ .line = p->line };
    return &f->lines[f->n];
}

static aerie_status take_instruction(parser *p)
{
    ae_modelfile_line *l = new_line(p);
    ae_span word;
    aerie_status status;

    if (!l) return AERIE_NO_MEMORY;
    word = take_word(p, false);
    status = find_command(&l->key, word, p, l->line);
    if (status) return status;
    if (p->at == p->end || is_newline(*p->at))
        return fail_at(p, l->line, "unexpected end: the instruction has no value");
    /* A name that goes on in anything but letters is another name. */
    if (!is_space(*p->at)) return find_command(&l->key, (ae_span){ "", 0 }, p, l->line);
    if (!strcmp(l->key, "parameter") || !strcmp(l->key, "message")) status = take_name(p, l);
    if (!status) status = take_value(p, l);
    if (!status) p->out->n++;
    return status;
}

static aerie_status take_all(parser *p)
{
    aerie_status status = AERIE_OK;

    while (!status && p->at < p->end) {
        if (is_newline(*p->at))
            skip_newline(p);
        else if (is_space(*p->at))
            p->at++;
        else if (*p->at == '#')
            while (p->at < p->end && !is_newline(*p->at)) p->at++;
        else
            status = take_instruction(p);
    }
    for (size_t i = 0; !status && i < p->out->n; i++)
        if (!strcmp(p->out->lines[i].key, "from")) return AERIE_OK;
    return status ? status : aerie_fail(p->err, AERIE_BAD_TEXT, "no FROM line");
}

aerie_status ae_modelfile_parse(ae_modelfile *out, ae_arena *arena, const char *text, size_t len,
                                aerie_error *err)
{
    ae_bytes plain = { 0 };
    parser p = { .arena = arena, .line = 1, .out = out, .err = err };
    aerie_status status;

    *out = (ae_modelfile){ 0 };
    if (len > MOST_BYTES)
        return aerie_fail(err, AERIE_BAD_TEXT, "a Modelfile of %zu bytes; %d are the most", len,
                          MOST_BYTES);
    status = decode(&plain, text, len, err);
    p.at = plain.data;
    p.end = plain.data ? plain.data + plain.len : NULL;
    if (!status) status = take_all(&p);
    ae_bytes_free(&plain);
    return status;
}

/* ---- printed ---- */

void ae_modelfile_print(ae_bytes *out, const char *instruction, const char *name, const char *value)
{
    size_t len = strlen(value);
    bool needs = strpbrk(value, "\r\n") || *value == '"' || (len && is_space(value[0])) ||
                 (len && is_space(value[len - 1])) || !len;
    const char *marks = !needs ? "" : strchr(value, '"') ? "\"\"\"" : "\"";

    ae_bytes_printf(out, "%s %s%s%s%s%s\n", instruction, name ? name : "", name ? " " : "", marks,
                    value, marks);
}

/* panel.c -- what the benchmarks share: who answers, what is called how, prompts with places. */
#include "panel/panel.h"

#include "data/data.h"

#include <stdio.h>
#include <string.h>

const char *ae_panel_label(const aerie_contender *c)
{
    const char *name = c->label ? c->label : c->url ? c->model : c->path;
    const char *folder = strrchr(name, '/'); /* it becomes a file's name */

    return folder && folder[1] ? folder + 1 : name;
}

ae_answerer ae_panel_answerer(const aerie_contender *c, const aerie_judged *by)
{
    return (ae_answerer){ .path = c->path,
                          .load = c->load,
                          .chat_template = c->chat_template,
                          .context = c->context,
                          .url = c->url,
                          .name = c->model,
                          .key = c->key,
                          .request = c->request,
                          .timeout_seconds = by->timeout_seconds,
                          .max_retries = by->max_retries,
                          .parallel = by->parallel };
}

aerie_status ae_panel_state(char out[17], const aerie_contender *c, aerie_error *err)
{
    ae_bytes text = { 0 };
    aerie_status status;

    out[0] = '\0';
    if (c->url) return AERIE_OK;
    ae_file_stamp(&text, c->path);
    for (int i = 0; c->load && i < c->load->n_adapters; i++) {
        ae_bytes_printf(&text, " adapter %s ", c->load->adapters[i]);
        ae_file_stamp(&text, c->load->adapters[i]);
    }
    ae_bytes_printf(&text, " exact %d template %s", c->load && c->load->exact,
                    c->chat_template ? c->chat_template : "");
    status = ae_bytes_status(&text, err);
    if (!status)
        snprintf(out, 17, "%016llx", (unsigned long long)ae_hash64(text.data, text.len, 0));
    ae_bytes_free(&text);
    return status;
}

aerie_status ae_panel_check_state(const json_t *row, const char *state, const char *label,
                                  aerie_error *err)
{
    const char *was = json_string_value(json_object_get(row, "state"));

    if (!was || !*state || !strcmp(was, state)) return AERIE_OK;
    return aerie_fail(err, AERIE_BAD_ARGUMENT,
                      "it is of '%.100s' before its file or settings changed; name another folder, "
                      "or move the file away",
                      label);
}

aerie_status ae_panel_check(const aerie_judged *by, const char *benchmark, aerie_error *err)
{
    if (!by->n_models || !by->folder)
        return aerie_fail(err, AERIE_BAD_ARGUMENT, "%s needs models and a folder for what they say",
                          benchmark);
    for (size_t i = 0; i < by->n_models; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(ae_panel_label(&by->models[i]), ae_panel_label(&by->models[k])))
                return aerie_fail(err, AERIE_BAD_ARGUMENT,
                                  "two models are called '%s'; give them labels",
                                  ae_panel_label(&by->models[i]));
    return AERIE_OK;
}

/* Reasons of so few characters that the tokens suffice (one is four bytes at most, and a token one
 * at least), then a verdict. */
aerie_status ae_panel_grammar(aerie_grammar **out, int64_t tokens, const char *verdicts,
                              aerie_error *err)
{
    enum { TAIL = 32 };
    int64_t most = tokens > 4 * TAIL ? tokens / 4 - TAIL : 0;
    char text[200];

    snprintf(text, sizeof text, "root ::= [^\\[\\]]{0,%lld} \"[[\" (%s) \"]]\"\n", (long long)most,
             verdicts);
    return aerie_grammar_gbnf(out, text, err);
}

/* ---- prompts with places ---- */

/* The pair whose name stands at `at`, before a brace; NULL: none does. */
static const char *const *place_at(const char *at, const char *const *places)
{
    for (; *places; places += 2) {
        size_t len = strlen(places[0]);
        if (places[1] && !strncmp(at, places[0], len) && at[len] == '}') return places;
    }
    return NULL;
}

void ae_panel_fill(ae_bytes *out, const char *text, const char *const *places)
{
    while (*text) {
        const char *const *place = *text == '{' ? place_at(text + 1, places) : NULL;
        if (place)
            ae_bytes_add_text(out, place[1]);
        else
            ae_bytes_add_char(out, *text);
        text += place ? strlen(place[0]) + 2 : 1;
    }
}

aerie_status ae_panel_read(const char *path, int64_t limit, ae_panel_row_fn *fn, void *user,
                           aerie_error *err)
{
    ae_rows *rows = NULL;
    ae_file_row row = { 0 };
    aerie_status status = ae_rows_open(&rows, path, err);

    for (int64_t i = 0; !status && (limit <= 0 || i < limit); i++) {
        status = ae_rows_next(rows, &row, err);
        if (status || !row.json) break;
        status = fn(user, row.json, err);
        if (status) aerie_error_prefix(err, "%s:%zu", path, row.line);
        json_decref(row.json);
    }
    ae_rows_close(rows);
    return status;
}

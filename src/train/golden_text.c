/* golden_text.c -- chat templates against golden texts. */
#include "train/golden.h"

#include <string.h>

/* The template of a case: its own source beside the cases, or the known format of that name. */
static void render_case(ae_golden *g, const json_t *c, const char *source)
{
    json_t *messages = json_object_get(c, "messages");
    ae_template_input in = { .messages = messages,
                             .bos_token = "<s>",
                             .eos_token = "</s>",
                             .add_generation_prompt =
                                 json_is_true(json_object_get(c, "add_generation_prompt")) };
    ae_template *t = NULL;
    ae_bytes text = { 0 };
    aerie_error err = { 0 };

    if (!ae_golden_ok(g, ae_template_parse(&t, ae_span_text(source), &err), &err)) return;
    if (ae_golden_ok(g, ae_template_render(t, &in, &text, &err), &err))
        ae_golden_text(g, "text", text.data ? text.data : "",
                       json_string_value(json_object_get(c, "text")));
    ae_bytes_free(&text);
    ae_template_free(t);
}

static void run_case(ae_golden *g, const json_t *c)
{
    const char *source = json_string_value(json_object_get(c, "source"));
    const char *known = json_string_value(json_object_get(c, "known"));

    if (source) render_case(g, c, source);
    if (known && ae_template_known(known)) render_case(g, c, ae_template_known(known));
    if (!source && !(known && ae_template_known(known))) g->unknown = true;
}

/* OpenChat's pieces: the same texts with the same weights, after BOS. */
static void run_pieces(ae_golden *g, const json_t *c)
{
    const json_t *talk = json_object_get(c, "conversation"), *wanted = json_object_get(c, "pieces");
    json_t *messages = json_copy(json_object_get(talk, "items"));
    const char *system = json_string_value(json_object_get(talk, "system"));
    ae_conditions conditions = { .end_of_turn = "<|end_of_turn|>" };
    ae_example e = { .kind = AE_EXAMPLE_CHAT, .messages = messages };
    aerie_error err = { 0 };
    ae_piece *pieces = NULL;
    size_t n = 0;

    e.condition = json_string_value(json_object_get(talk, "condition"));
    if (system && *system)
        json_array_insert_new(messages, 0,
                              json_pack("{s:s, s:s}", "role", "system", "content", system));
    if (ae_golden_ok(g, ae_condition_pieces(&pieces, &n, &e, &conditions, &g->arena, &err), &err)) {
        if (n + 1 != json_array_size(wanted))
            ae_golden_problem(g, "%zu pieces, wanted %zu", n + 1, json_array_size(wanted));
        for (size_t i = 0; i < n; i++) {
            const json_t *piece = json_array_get(wanted, i + 1);
            char text[64];
            snprintf(text, sizeof text, "%.*s", (int)pieces[i].text.len, pieces[i].text.data);
            ae_golden_text(g, "text", text, json_string_value(json_array_get(piece, 0)));
            ae_golden_number(g, "weight", (double)pieces[i].weight, json_array_get(piece, 1));
        }
    }
    json_decref(messages);
}

static void run_crlft(ae_golden *g, const json_t *block)
{
    const json_t *c;
    char label[96];
    size_t i;

    json_array_foreach(json_object_get(block, "cases"), i, c)
    {
        const json_t *talk = json_object_get(c, "conversation");
        snprintf(label, sizeof label, "chat_templates/crlft_%s",
                 json_string_value(json_object_get(talk, "condition")));
        ae_golden_run(g, label, run_pieces, c);
    }
}

void ae_golden_templates(ae_golden *g, const json_t *file)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(file, "cases"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "template"));
        bool zephyr = name && strncmp(name, "zephyr", 6) == 0;
        json_t *source = json_object_get(file, zephyr ? "zephyr_template" : "openchat_template");
        json_t *c = json_copy((json_t *)item);
        char label[96];
        if (source) json_object_set(c, "source", source);
        json_object_set_new(c, "known", json_string(zephyr ? "zephyr" : "openchat"));
        snprintf(label, sizeof label, "chat_templates/%s",
                 json_string_value(json_object_get(item, "name")));
        ae_golden_run(g, label, run_case, c);
        json_decref(c);
    }
    run_crlft(g, json_object_get(file, "crlft"));
}

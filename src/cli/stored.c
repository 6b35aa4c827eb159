/* stored.c -- what a model's own Modelfile says of a conversation with it. */
#include "cli/stored.h"

#include "cli/cli.h"

#include <jansson.h>
#include <string.h>

/* ---- stops ---- */

/* How many bytes at the end of text[len] are the beginning of `stop`. */
static size_t begun(const char *text, size_t len, const char *stop)
{
    size_t n = strlen(stop);
    for (size_t k = n - 1 < len ? n - 1 : len; k > 0; k--)
        if (!memcmp(text + len - k, stop, k)) return k;
    return 0;
}

static void add_stop(cli_stops *s, const json_t *one)
{
    if (s->n < AE_COUNT(s->items) && json_string_length(one))
        s->items[s->n++] = json_string_value(one);
}

void cli_stops_read(cli_stops *s, const json_t *value)
{
    const json_t *one;
    size_t i;
    s->n = 0;
    json_array_foreach(value, i, one) add_stop(s, one);
    add_stop(s, value);
}

bool cli_stops_pass(cli_stops *s, const char *text, size_t len, ae_bytes *out)
{
    size_t keep = 0, cut;
    ae_bytes_add(&s->held, text, len);
    if (s->held.failed || s->hit) return false;
    if (!s->held.len) return true;
    cut = s->held.len;
    for (size_t i = 0; i < s->n; i++) {
        const char *at = strstr(s->held.data, s->items[i]);
        if (at && (size_t)(at - s->held.data) < cut) {
            cut = (size_t)(at - s->held.data);
            s->hit = true;
        }
        size_t k = begun(s->held.data, s->held.len, s->items[i]);
        if (k > keep) keep = k;
    }
    if (!s->hit) cut -= keep;
    ae_bytes_add(out, s->held.data, cut);
    memmove(s->held.data, s->held.data + cut, s->held.len - cut + 1);
    s->held.len -= cut;
    return !s->hit;
}

void cli_stops_end(cli_stops *s, ae_bytes *out)
{
    if (!s->hit && s->held.len) ae_bytes_add(out, s->held.data, s->held.len);
    ae_bytes_clear(&s->held);
    s->hit = false;
}

/* ---- what the model brings ---- */

static void take_messages(cli_own *own)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)own->list, i, one)
    {
        const char *role = json_string_value(json_object_get(one, "role"));
        const char *content = json_string_value(json_object_get(one, "content"));
        if (role && content && own->n_messages < AE_COUNT(own->messages))
            own->messages[own->n_messages++] = (aerie_message){ role, content };
    }
}

aerie_status cli_own_open(cli_own *own, const char *model, aerie_error *err)
{
    aerie_status status = cli_resolve(&own->stored, model, err);
    if (status) return status;
    own->parameters = json_loads(own->stored->parameters, 0, NULL);
    own->list = json_loads(own->stored->messages, 0, NULL);
    take_messages(own);
    return AERIE_OK;
}

void cli_own_close(cli_own *own)
{
    json_decref(own->parameters);
    json_decref(own->list);
    aerie_stored_free(own->stored);
    *own = (cli_own){ 0 };
}

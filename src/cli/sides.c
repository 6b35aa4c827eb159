/* sides.c -- the words and options that say which models, and how each is asked. */
#include "cli/sides.h"

#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *name;
    cli_kind kind;
    size_t at; /* in side_wishes */
    const char *value, *help;
} wish;

#define AT(field) offsetof(side_wishes, field)
static const wish wishes[SIDE_WISHES] = {
    { "temp", CLI_AMOUNT, AT(temperature), "X", "temperature; default: the model's own, or 0.8" },
    { "top-k", CLI_COUNT, AT(top_k), "N", "choose among the N most likely (40); 0: all" },
    { "top-p", CLI_AMOUNT, AT(top_p), "X", "... of the fewest that hold this probability (0.9)" },
    { "min-p", CLI_AMOUNT, AT(min_p), "X", "... at least this fraction as likely as the best (0)" },
    { "seed", CLI_COUNT, AT(seed), "N", "of the first repeat; the others count up from it (42)" },
    { "max-tokens", CLI_COUNT, AT(max_tokens), "N", "longest reply (512)" },
    { "system", CLI_TEXT, AT(system), "TEXT", "where a prompt brings no system message" },
    { "template", CLI_TEXT, AT(template_word), "T", "chat template: a name, a file, or Jinja" },
    { "adapter", CLI_LIST, AT(adapters), "FILE[=SCALE]", "a LoRA adapter over it" },
    { "label", CLI_TEXT, AT(label), "NAME", "what it is called in the report" },
    { "key-file", CLI_TEXT, AT(key_file), "FILE", "the key for its server" },
    { "price-in", CLI_AMOUNT, AT(price_prompt), "X", "price of a million tokens of prompts" },
    { "price-out", CLI_AMOUNT, AT(price_reply), "X", "... of replies" },
    { "price-hour", CLI_AMOUNT, AT(price_hour), "X", "price of an hour of the machine" },
};

static const side_wishes nothing = {
    .temperature = -1,
    .top_p = -1,
    .min_p = -1,
    .price_prompt = -1,
    .price_reply = -1,
    .price_hour = -1,
    .top_k = -1,
    .seed = -1,
    .max_tokens = -1,
};

void cli_sides_options(cli_sides *s, cli_option *out)
{
    static const char *const ends[3] = { "", "-a", "-b" };
    static const char *const whose[3] = { NULL, "... of the first model", "... of the second" };

    *s = (cli_sides){ .wishes = { nothing, nothing, nothing } };
    for (size_t i = 0; i < SIDE_WISHES; i++)
        for (size_t k = 0; k < 3; k++) {
            size_t at = 3 * i + k;
            snprintf(s->names[at], sizeof s->names[at], "--%s%s", wishes[i].name, ends[k]);
            out[at] = (cli_option){ .name = s->names[at],
                                    .kind = wishes[i].kind,
                                    .to = (char *)&s->wishes[k] + wishes[i].at,
                                    .value = wishes[i].value,
                                    .help = k ? whose[k] : wishes[i].help };
        }
}

bool cli_is_address(const char *word)
{
    return !strncmp(word, "http://", 7) || !strncmp(word, "https://", 8);
}

bool cli_is_request(const char *option, const char *json)
{
    json_t *object = json ? json_loads(json, 0, NULL) : NULL;
    bool is = !json || json_is_object(object);

    json_decref(object);
    if (!is) cli_misused("%s wants a JSON object, not '%.80s'", option, json);
    return is;
}

aerie_status cli_read_key(ae_bytes *out, const char *path, aerie_error *err)
{
    aerie_status status = ae_file_read(out, path, 1 << 16, err);

    while (out->len > 0 && strchr(" \t\r\n", out->data[out->len - 1])) out->data[--out->len] = '\0';
    if (!status && out->len == 0)
        status = aerie_fail(err, AERIE_BAD_FILE, "%s: the key's file is empty", path);
    return status;
}

/* What is said of this model, or else of all. */
static side_wishes wishes_of(const cli_sides *s, size_t at)
{
    side_wishes w = s->wishes[0];
    const side_wishes *own = at < 2 ? &s->wishes[at + 1] : &nothing;

    for (size_t i = 0; i < SIDE_WISHES; i++) {
        const void *from = (const char *)own + wishes[i].at;
        void *to = (char *)&w + wishes[i].at;
        if (wishes[i].kind == CLI_AMOUNT && *(const double *)from >= 0)
            *(double *)to = *(const double *)from;
        if (wishes[i].kind == CLI_COUNT && *(const int64_t *)from >= 0)
            *(int64_t *)to = *(const int64_t *)from;
        if (wishes[i].kind == CLI_TEXT && *(const char *const *)from)
            *(const char **)to = *(const char *const *)from;
        if (wishes[i].kind == CLI_LIST) {
            const cli_list *more = from;
            cli_list *list = to;
            for (int k = 0; k < more->n && list->n < (int)AE_COUNT(list->items); k++)
                list->items[list->n++] = more->items[k];
        }
    }
    return w;
}

/* The model's own parameters, before what the call says. */
static void take_parameters(side *of, aerie_contender *c, const json_t *own)
{
    aerie_parameters p = { .sampling = of->sampling };
    json_int_t seed = json_integer_value(json_object_get(own, "seed"));
    const char *name;

    for (size_t i = 0; (name = aerie_parameter_name(i, NULL)); i++) {
        const json_t *value = json_object_get(own, name);
        if (json_is_number(value)) aerie_parameters_set(&p, name, json_number_value(value));
    }
    of->sampling = p.sampling;
    if (seed > 0) of->sampling.seed = (uint64_t)seed;
    if (p.num_predict > 0) c->max_tokens = p.num_predict;
    if (p.num_ctx > 0) of->context = p.num_ctx;
}

static bool show_loading(void *user, double share)
{
    (void)user;
    (void)share;
    return !cli_interrupted();
}

static aerie_status open_stored(cli_sides *s, side *of, aerie_contender *c, const char *word,
                                const side_wishes *w, const cli_common *common, aerie_error *err)
{
    cli_common with = *common;
    aerie_status status = cli_own_open(&of->own, word, err);

    if (status) return status;
    take_parameters(of, c, of->own.parameters);
    cli_stops_read(&of->stops, json_object_get(of->own.parameters, "stop"));
    for (int i = 0; i < w->adapters.n && with.adapters.n < (int)AE_COUNT(with.adapters.items); i++)
        with.adapters.items[with.adapters.n++] = w->adapters.items[i];
    status = cli_all_adapters(&of->adapters, of->own.stored, &with, err);
    if (status) return status;
    of->load = (aerie_model_options){ .threads = (int)common->threads,
                                      .cpu = common->cpu,
                                      .any_base = common->force,
                                      .exact = common->exact,
                                      .pin = common->pin,
                                      .kv = common->kv,
                                      .on_load = show_loading,
                                      .adapters = of->adapters.items,
                                      .n_adapters = of->adapters.n };
    c->path = of->own.stored->path;
    c->load = &of->load;
    c->system = of->own.stored->system && *of->own.stored->system ? of->own.stored->system : NULL;
    c->before = of->own.n_messages ? of->own.stored->messages : NULL;
    c->stop = of->stops.items;
    c->n_stop = of->stops.n;
    c->context = s->context > 0 ? s->context : of->context;
    if (w->template_word)
        status = cli_read_template(&of->chat_template, w->template_word, err);
    else if (of->own.stored->chat_template)
        ae_bytes_add_text(&of->chat_template, of->own.stored->chat_template);
    c->chat_template = of->chat_template.data;
    return status ? status : ae_bytes_status(&of->chat_template, err);
}

static aerie_status open_address(cli_sides *s, side *of, aerie_contender *c, const char *word,
                                 const side_wishes *w, aerie_error *err)
{
    const char *hash = strchr(word, '#');
    aerie_status status = AERIE_OK;

    if (!hash || !hash[1])
        return aerie_fail(err, AERIE_BAD_ARGUMENT,
                          "%s: say which model of that server: %s#NAME, as the server calls it",
                          word, word);
    of->url = ae_strndup(word, (size_t)(hash - word));
    if (!of->url) return aerie_fail(err, AERIE_NO_MEMORY, "out of memory");
    if (w->key_file) status = cli_read_key(&of->key, w->key_file, err);
    c->url = of->url;
    c->model = hash + 1;
    c->key = of->key.data;
    c->request = s->request;
    return status;
}

static void lay_wishes(side *of, aerie_contender *c, const side_wishes *w)
{
    aerie_sampling *s = &of->sampling;

    if (w->temperature >= 0) s->temperature = (float)w->temperature;
    if (w->top_p >= 0) s->top_p = (float)w->top_p;
    if (w->min_p >= 0) s->min_p = (float)w->min_p;
    if (w->top_k >= 0) s->top_k = (int)ae_min64(w->top_k, INT32_MAX);
    if (w->seed >= 0) s->seed = (uint64_t)w->seed;
    if (w->max_tokens > 0) c->max_tokens = w->max_tokens;
    if (w->system) c->system = w->system;
    if (w->label) c->label = w->label;
    c->price_prompt = fmax(0, w->price_prompt);
    c->price_reply = fmax(0, w->price_reply);
    c->price_hour = fmax(0, w->price_hour);
    c->sampling = s;
}

aerie_status cli_sides_open(cli_sides *s, const char *const *words, int n, const cli_common *common,
                            aerie_error *err)
{
    aerie_status status = AERIE_OK;

    for (size_t i = 0; i < (size_t)n && !status; i++) {
        side_wishes w = wishes_of(s, i);
        aerie_contender *c = &s->contenders[i];
        s->n = i + 1;
        s->sides[i].sampling = aerie_sampling_default();
        c->label = cli_is_address(words[i]) || ae_file_exists(words[i]) ? NULL : words[i];
        status = cli_is_address(words[i])
                     ? open_address(s, &s->sides[i], c, words[i], &w, err)
                     : open_stored(s, &s->sides[i], c, words[i], &w, common, err);
        lay_wishes(&s->sides[i], c, &w);
    }
    return status;
}

void cli_sides_close(cli_sides *s)
{
    for (size_t i = 0; i < s->n; i++) {
        cli_own_close(&s->sides[i].own);
        ae_bytes_free(&s->sides[i].key);
        ae_bytes_free(&s->sides[i].chat_template);
        ae_free(s->sides[i].url);
    }
    s->n = 0;
}

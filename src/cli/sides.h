/* sides.h -- several models in one call, each with its own ways: what compare and arena share. */
#ifndef AE_CLI_SIDES_H
#define AE_CLI_SIDES_H

#include "aerie/compare.h"
#include "cli/cli.h"
#include "cli/stored.h"

enum { SIDES = 8, SIDE_WISHES = 14, SIDE_OPTIONS = 3 * SIDE_WISHES };

/* What a call says of a model; negative and NULL: nothing. */
typedef struct {
    const char *label, *system, *template_word, *key_file;
    double temperature, top_p, min_p, price_prompt, price_reply, price_hour;
    int64_t top_k, seed, max_tokens;
    cli_list adapters;
} side_wishes;

typedef struct {
    cli_own own;
    cli_stops stops;
    ae_bytes key, chat_template;
    char *url;
    cli_list adapters;
    aerie_sampling sampling;
    aerie_model_options load;
    int64_t context;
} side;

/* `wishes[0]` is of all models, [1] of the first, [2] of the second. */
typedef struct {
    side_wishes wishes[3];
    char names[SIDE_OPTIONS][24];
    int64_t context;
    const char *request;
    side sides[SIDES];
    aerie_contender contenders[SIDES];
    size_t n;
} cli_sides;

/* Sets everything to "nothing is said", and writes SIDE_OPTIONS options that fill it in. */
void cli_sides_options(cli_sides *s, cli_option *out);
/* A word is a MODEL, or URL#NAME: a model behind an OpenAI-compatible server. */
aerie_status cli_sides_open(cli_sides *s, const char *const *words, int n, const cli_common *common,
                            aerie_error *err);
void cli_sides_close(cli_sides *s);

bool cli_is_address(const char *word);
/* A key from a file, without the end of its line. */
/* Whether --request is not given, or a JSON object; else the sentence is out. */
bool cli_is_request(const char *option, const char *json);
aerie_status cli_read_key(ae_bytes *out, const char *path, aerie_error *err);

#endif

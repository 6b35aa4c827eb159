/* engine_prompt.c -- prompts that want no reply: their own log-probabilities, an embedding, a
 * score.
 */
#include "api/live.h"

#include <math.h>

/* Tokens first .. end - 1 with what was thought of them. */
static void tell_tokens(live_ask *a, const live_token *tokens, size_t n)
{
    aerie_engine *e = a->engine;
    if (n == 0) return;
    if (!ae_live_show_tokens(e, tokens, n)) {
        ae_live_doom(a, AERIE_NO_MEMORY, "no memory for a prompt's log-probabilities");
        return;
    }
    aerie_event event = { .kind = AERIE_EVENT_PROMPT, .tokens = e->out, .n_tokens = n };
    ae_live_tell(a, &event);
}

static live_token token_of(const ae_chance *chance, int n_top)
{
    live_token t = { .token = chance[0] };
    while (t.n_top < n_top && chance[1 + t.n_top].id >= 0) {
        t.top[t.n_top] = chance[1 + t.n_top];
        t.n_top++;
    }
    return t;
}

/* The prompt's first token comes after none. */
void ae_live_chances(void *user, int64_t request, int64_t first, int64_t n,
                     const ae_chance *chances)
{
    live_ask *a = ae_live_ask_of(request);
    int n_top = a->request.n_top;
    live_token *tokens = ae_alloc((size_t)n + 1, sizeof *tokens);
    size_t count = 0;
    (void)user;
    if (!tokens) {
        ae_live_doom(a, AERIE_NO_MEMORY, "no memory for a prompt's log-probabilities");
        return;
    }
    if (first == 1) tokens[count++].token = (ae_chance){ a->prompt.data[0], NAN };
    for (int64_t i = 0; i < n; i++) tokens[count++] = token_of(chances + i * (1 + n_top), n_top);
    tell_tokens(a, tokens, count);
    ae_free(tokens);
}

static void tell_numbers(live_ask *a, const float *numbers, size_t n)
{
    aerie_event event = { .kind = AERIE_EVENT_NUMBERS, .numbers = numbers, .n_numbers = n };
    for (size_t i = 0; i < n; i++)
        if (!isfinite(numbers[i])) {
            ae_live_doom(a, AERIE_BAD_NUMBER, "the model gives a number that is not finite");
            return;
        }
    ae_live_tell(a, &event);
}

static void add_row(double *sum, const float *row, int64_t width)
{
    for (int64_t i = 0; i < width; i++) sum[i] += (double)row[i];
}

static void tell_embedding(live_ask *a, int64_t width)
{
    double n = a->pooling == AERIE_POOL_MEAN ? (double)a->prompt.len : 1, squares = 0;
    for (int64_t i = 0; i < width; i++) squares += a->pooled[i] / n * (a->pooled[i] / n);
    double scale = a->normalises && squares > 0 ? 1 / (n * sqrt(squares)) : 1 / n;
    float *numbers = ae_arena_take(&a->memory, (size_t)width, sizeof *numbers);
    if (!numbers) {
        ae_live_doom(a, AERIE_NO_MEMORY, "no memory for an embedding");
        return;
    }
    for (int64_t i = 0; i < width; i++) numbers[i] = (float)(a->pooled[i] * scale);
    tell_numbers(a, numbers, (size_t)width);
}

/* Row by row, so that the sum does not depend on how the prompt was cut into passes. */
void ae_live_hidden(void *user, int64_t request, int64_t first, int64_t n, const float *states)
{
    live_ask *a = ae_live_ask_of(request);
    const aerie_engine *e = user;
    int64_t width = e->model->net.config->hidden_size, end = (int64_t)a->prompt.len;
    for (int64_t i = 0; i < n; i++) {
        bool counts = a->pooling == AERIE_POOL_MEAN ||
                      (a->pooling == AERIE_POOL_FIRST ? first + i == 0 : first + i == end - 1);
        if (counts) add_row(a->pooled, states + i * width, width);
    }
    if (first + n == end) tell_embedding(a, width);
}

void ae_live_score(void *user, int64_t request, float score)
{
    (void)user;
    tell_numbers(ae_live_ask_of(request), &score, 1);
}

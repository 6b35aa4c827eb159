/* Attention's gradient is the slope: over branches, grouped heads, windows and capped scores. */
#include "grad/fixture.h"

#include <math.h>

enum { SEEDS = 10, T = 24 };

/* See test_op_grad.c. */
static const double TOLERANCE = 3e-4;

typedef struct {
    const char *name;
    ae_attention_shape shape;
    const ae_segment *segments;
    int64_t n_segments;
    ae_tensor *q, *k, *v;
} attention_case;

static const ae_segment whole[] = { { 0, T, -1, -1 } };
static const ae_segment packed[] = { { 0, 7, -1, -1 }, { 7, 1, -1, -1 }, { 8, 16, -1, -1 } };
/* Two trees whose branches alternate; one branches twice. */
static const ae_segment trees[] = { { 0, 6, -1, -1 }, { 6, 4, -1, -1 }, { 10, 3, 0, -1 },
                                    { 13, 4, 1, -1 }, { 17, 5, 0, -1 }, { 22, 2, 4, -1 } };

static ae_tensor *attention(ae_ctx *cx, const void *params)
{
    const attention_case *c = params;
    return ae_attention(cx, c->q, c->k, c->v, c->segments, c->n_segments, &c->shape);
}

static void check(attention_case c, int wanted)
{
    double worst = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        fixture f;
        ae_tensor *inputs[3];
        int n = 0;
        fixture_open(&f, AE_CPU_AUTO, 2, seed);
        c.q = fixture_tensor(&f, T, c.shape.n_heads * c.shape.head_dim, 1, wanted & 1);
        c.k = fixture_tensor(&f, T, c.shape.n_kv_heads * c.shape.head_dim, 1, wanted & 2);
        c.v = fixture_tensor(&f, T, c.shape.n_kv_heads * c.shape.head_dim, 1, wanted & 4);
        if (c.q->grad) inputs[n++] = c.q;
        if (c.k->grad) inputs[n++] = c.k;
        if (c.v->grad) inputs[n++] = c.v;
        worst = fmax(worst, fixture_check_slopes(&f, c.name, attention, &c, inputs, n, TOLERANCE));
        fixture_close(&f);
    }
    print_message("%s, gradients %d: gradient and slope differ by at most %.1e\n", c.name, wanted,
                  worst);
}

static const ae_attention_shape plain = { 4, 4, 8, 0, 0.35f, 0 };
static const ae_attention_shape grouped = { 4, 2, 16, 0, 0.25f, 0 };
static const ae_attention_shape windowed = { 4, 1, 8, 5, 0.35f, 0 };
static const ae_attention_shape capped = { 6, 2, 8, 7, 0.5f, 2.0f };

static void test_shapes(void **state)
{
    (void)state;
    check((attention_case){ "one sequence", plain, whole, 1, NULL, NULL, NULL }, 7);
    check((attention_case){ "packed, grouped heads", grouped, packed, 3, NULL, NULL, NULL }, 7);
    check((attention_case){ "packed, window", windowed, packed, 3, NULL, NULL, NULL }, 7);
    check((attention_case){ "packed, soft cap and window", capped, packed, 3, NULL, NULL, NULL },
          7);
}

static void test_branches(void **state)
{
    (void)state;
    check((attention_case){ "branches", plain, trees, 6, NULL, NULL, NULL }, 7);
    check((attention_case){ "branches, grouped heads", grouped, trees, 6, NULL, NULL, NULL }, 7);
    check((attention_case){ "branches, window", windowed, trees, 6, NULL, NULL, NULL }, 7);
    check((attention_case){ "branches, soft cap", capped, trees, 6, NULL, NULL, NULL }, 7);
}

static void test_partly_frozen(void **state)
{
    (void)state;
    for (int wanted = 1; wanted < 7; wanted++)
        check((attention_case){ "branches, partly frozen", grouped, trees, 6, NULL, NULL, NULL },
              wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_branches),
        cmocka_unit_test(test_partly_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A host of models: who asks together shares a load, the least wanted goes for another, and whoever
 * waits hears of it exactly once. */
#include "aerie/host.h"
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define MODEL "recipes/nursery/nursery.gguf"

typedef struct {
    ae_monitor monitor;
    int n_told;
    aerie_lease *lease;
    aerie_status status;
    char message[480];
} waiter;

static void open_waiter(waiter *w)
{
    *w = (waiter){ 0 };
    assert_int_equal(ae_monitor_open(&w->monitor, NULL), AERIE_OK);
}

static void on_lease(void *user, aerie_lease *lease, aerie_status status, const char *message)
{
    waiter *w = user;
    ae_monitor_enter(&w->monitor);
    w->n_told++;
    w->lease = lease;
    w->status = status;
    strncpy(w->message, message, sizeof w->message - 1);
    ae_monitor_wake(&w->monitor);
    ae_monitor_leave(&w->monitor);
}

static aerie_place place(const char *name)
{
    return (aerie_place){ .name = name,
                          .path = MODEL,
                          .model = { .threads = 1 },
                          .engine = { .context = 128, .parallel = 2 } };
}

static uint64_t take(aerie_host *h, const aerie_place *p, const double *keep, waiter *w)
{
    aerie_error err = { 0 };
    uint64_t ticket;
    open_waiter(w);
    if (aerie_host_take(h, p, keep, on_lease, w, &w->lease, &ticket, &err))
        fail_msg("%s", err.message);
    return ticket;
}

static void await(waiter *w)
{
    ae_monitor_enter(&w->monitor);
    while (!w->lease && w->n_told == 0) ae_monitor_wait(&w->monitor, -1);
    ae_monitor_leave(&w->monitor);
}

static void take_now(aerie_host *h, const char *name, const double *keep, waiter *w)
{
    const aerie_place p = place(name);
    take(h, &p, keep, w);
    await(w);
    if (!w->lease) fail_msg("%s", w->message);
}

static void give_back(waiter *w)
{
    aerie_lease_release(w->lease);
    ae_monitor_close(&w->monitor);
}

typedef struct {
    char names[16][32];
    aerie_place_info infos[16];
    int n;
} listing;

static void add_to_list(void *user, const aerie_place_info *info)
{
    listing *l = user;
    strncpy(l->names[l->n], info->name, 31);
    l->infos[l->n++] = *info;
}

static listing list(aerie_host *h)
{
    listing l = { .n = 0 };
    aerie_host_list(h, add_to_list, &l);
    return l;
}

static aerie_host *open_host(const aerie_host_options *o)
{
    aerie_error err = { 0 };
    aerie_host *h;
    if (aerie_host_open(&h, o, &err)) fail_msg("%s", err.message);
    return h;
}

static void those_who_ask_together_share_a_load(void **state)
{
    (void)state;
    aerie_host *h = open_host(NULL);
    waiter w[5];
    const aerie_place p = place("one");
    for (int i = 0; i < 5; i++) take(h, &p, NULL, &w[i]);
    for (int i = 0; i < 5; i++) {
        await(&w[i]);
        assert_int_equal(w[i].status, AERIE_OK);
        assert_ptr_equal(aerie_lease_engine(w[i].lease), aerie_lease_engine(w[0].lease));
    }
    listing l = list(h);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.infos[0].users, 5);
    assert_int_equal(l.infos[0].state, AERIE_PLACE_OPEN);
    assert_int_equal(l.infos[0].context, 128);
    assert_true(l.infos[0].bytes > 1000000);
    waiter later;
    take_now(h, "one", NULL, &later);
    assert_int_equal(later.n_told, 0); /* at once */
    give_back(&later);
    for (int i = 0; i < 5; i++) give_back(&w[i]);
    aerie_host_close(h);
}

static int64_t count_open(aerie_host *h)
{
    listing l = list(h);
    int64_t n = 0;
    for (int i = 0; i < l.n; i++) n += l.infos[i].state == AERIE_PLACE_OPEN;
    return n;
}

static void the_least_wanted_goes(void **state)
{
    (void)state;
    const aerie_host_options o = { .max_models = 2, .keep_alive = -1 };
    aerie_host *h = open_host(&o);
    waiter a, b, c;
    take_now(h, "a", NULL, &a);
    give_back(&a);
    take_now(h, "b", NULL, &b);
    give_back(&b);
    take_now(h, "a", NULL, &a); /* of two that nobody uses, b was wanted longer ago */
    give_back(&a);
    take_now(h, "c", NULL, &c);
    give_back(&c);
    listing l = list(h);
    assert_int_equal(l.n, 2);
    for (int i = 0; i < 2; i++) assert_true(strcmp(l.names[i], "b") != 0);
    for (int i = 0; i < 2; i++) assert_true(l.infos[i].seconds_left < 0);
    aerie_host_close(h);
}

static void who_is_in_use_is_waited_for(void **state)
{
    (void)state;
    const aerie_host_options o = { .max_models = 1 };
    aerie_host *h = open_host(&o);
    waiter a, b, c, again;
    take_now(h, "a", NULL, &a);
    const aerie_place pb = place("b"), pc = place("c"), pa = place("a");
    take(h, &pb, NULL, &b);
    uint64_t ticket = take(h, &pc, NULL, &c);
    aerie_host_cancel(h, ticket);
    await(&c);
    assert_int_equal(c.status, AERIE_INTERRUPTED);
    ae_monitor_close(&c.monitor);
    /* Nobody may keep a model for ever by asking for it again and again. */
    for (int i = 0; i < 1000 && list(h).infos[0].seconds_left != 0; i++) {
        ae_monitor_enter(&b.monitor);
        ae_monitor_wait(&b.monitor, 0.01);
        ae_monitor_leave(&b.monitor);
    }
    take(h, &pa, NULL, &again);
    assert_null(again.lease);
    assert_int_equal(b.n_told, 0);
    give_back(&a);
    await(&b);
    assert_int_equal(b.status, AERIE_OK);
    assert_int_equal(count_open(h), 1);
    give_back(&b);
    await(&again);
    assert_int_equal(again.status, AERIE_OK);
    give_back(&again);
    aerie_host_close(h);
}

static void a_load_that_fails_fails_for_all(void **state)
{
    (void)state;
    aerie_host *h = open_host(NULL);
    aerie_place p = place("missing");
    p.path = "no/such/file.gguf";
    waiter w[3];
    for (int i = 0; i < 3; i++) take(h, &p, NULL, &w[i]);
    for (int i = 0; i < 3; i++) {
        await(&w[i]);
        assert_int_equal(w[i].n_told, 1);
        assert_true(w[i].status != AERIE_OK && strlen(w[i].message) > 10);
        ae_monitor_close(&w[i].monitor);
    }
    assert_int_equal(list(h).n, 0);
    aerie_host_close(h);

    const aerie_host_options small = { .memory_bytes = 1000000 };
    waiter big;
    h = open_host(&small);
    const aerie_place large = place("large");
    take(h, &large, NULL, &big);
    await(&big);
    assert_int_equal(big.status, AERIE_NO_MEMORY);
    assert_non_null(strstr(big.message, "GB"));
    ae_monitor_close(&big.monitor);
    aerie_host_close(h);
}

static void a_model_stays_as_long_as_it_is_to(void **state)
{
    (void)state;
    const double at_once = 0, ever = -1;
    aerie_host *h = open_host(NULL);
    aerie_error err = { 0 };
    waiter w;
    take_now(h, "a", &ever, &w);
    give_back(&w);
    assert_true(list(h).infos[0].seconds_left < 0);
    take_now(h, "a", NULL, &w);
    give_back(&w);
    assert_true(list(h).infos[0].seconds_left > 200);
    take_now(h, "a", &at_once, &w);
    assert_int_equal(count_open(h), 1);
    give_back(&w);
    while (list(h).n > 0) { /* the thread is about to close it */
    }
    assert_int_equal(aerie_host_unload(h, "a", &err), AERIE_NOT_FOUND);
    take_now(h, "a", &ever, &w);
    assert_int_equal(aerie_host_unload(h, "a", &err), AERIE_OK);
    assert_int_equal(count_open(h), 1);
    give_back(&w);
    while (list(h).n > 0) {}
    uint64_t used, bound;
    aerie_host_memory(h, &used, &bound);
    assert_int_equal(used, 0);
    aerie_host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_ask_together_share_a_load),
        cmocka_unit_test(the_least_wanted_goes),
        cmocka_unit_test(who_is_in_use_is_waited_for),
        cmocka_unit_test(a_load_that_fails_fails_for_all),
        cmocka_unit_test(a_model_stays_as_long_as_it_is_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

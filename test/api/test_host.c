/* A host of models: who asks together shares a load, the least wanted goes for another, and whoever
 * waits hears of it exactly once. */
#include "aerie/host.h"
#include "model/model.h"
#include "scratch.h"

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

/* A file with a new adapter, which changes nothing. */
static char *make_adapter(const char *folder)
{
    const ae_lora_options o = { .rank = 2, .alpha = 2, .targets = { true } };
    aerie_error err = { 0 };
    ae_model *m = NULL;
    ae_adapter *a = NULL;
    char *path = ae_path_join(folder, "adapter.gguf");
    if (ae_model_open(&m, MODEL, &err) || ae_adapter_new(&a, m, &o, 1, &err) ||
        ae_adapter_save(a, path, m, &err))
        fail_msg("%s", err.message);
    ae_adapter_close(a);
    ae_model_close(m);
    return path;
}

static aerie_place over(const char *name, const char *const *specs, const char *base)
{
    aerie_place p = place(name);
    p.base_key = base;
    p.model.adapters = specs;
    p.model.n_adapters = 1;
    return p;
}

/* What lies over one base shares its engine and counts for its adapters alone; the base goes with
 * the last of them, unless somebody asked for it. */
static void adapters_share_a_base(void **state)
{
    (void)state;
    const double ever = -1, at_once = 0;
    const aerie_host_options o = { .max_models = 1 };
    aerie_host *h = open_host(&o);
    char *folder = scratch_make(), *path = make_adapter(folder);
    char half[512];
    snprintf(half, sizeof half, "%s=0.5", path);
    const char *one[] = { path }, *two[] = { half };
    const aerie_place p[] = { over("x", one, "base"), over("y", two, "base") };
    waiter w[3], third;
    for (int i = 0; i < 2; i++) take(h, &p[i], &ever, &w[i]);
    for (int i = 0; i < 2; i++) {
        await(&w[i]);
        if (!w[i].lease) fail_msg("%s", w[i].message);
        assert_non_null(aerie_lease_adapter(w[i].lease));
    }
    assert_ptr_equal(aerie_lease_engine(w[0].lease), aerie_lease_engine(w[1].lease));
    assert_ptr_not_equal(aerie_lease_adapter(w[0].lease), aerie_lease_adapter(w[1].lease));
    listing l = list(h);
    uint64_t used, bound, base = 0, others = 0;
    assert_int_equal(l.n, 3);
    for (int i = 0; i < 3; i++) {
        *(l.infos[i].is_beneath ? &base : &others) += l.infos[i].bytes;
        assert_int_equal(l.infos[i].shares_engine, !l.infos[i].is_beneath);
    }
    assert_true(others < base / 2);
    aerie_host_memory(h, &used, &bound);
    assert_int_equal(used, base + others);

    /* Asked for by its own name it is the same, and stays. */
    aerie_place plain = place("plain");
    plain.key = "base";
    take(h, &plain, &ever, &w[2]);
    assert_ptr_equal(aerie_lease_engine(w[2].lease), aerie_lease_engine(w[0].lease));
    assert_null(aerie_lease_adapter(w[2].lease));
    for (int i = 0; i < 3; i++) give_back(&w[i]);
    assert_int_equal(aerie_host_unload(h, "x", NULL), AERIE_OK);
    assert_int_equal(aerie_host_unload(h, "y", NULL), AERIE_OK);
    while (list(h).n > 1) {}
    assert_string_equal(list(h).names[0], "plain");
    assert_false(list(h).infos[0].is_beneath);

    /* When it is to go, so is what lies over it. */
    take(h, &p[0], &ever, &w[0]);
    await(&w[0]);
    give_back(&w[0]);
    assert_int_equal(aerie_host_unload(h, "base", NULL), AERIE_OK);
    while (list(h).n > 0) {}
    take(h, &p[0], &at_once, &third);
    await(&third);
    assert_int_equal(list(h).n, 2);
    give_back(&third);
    while (list(h).n > 0) {} /* nobody asked for the base */
    aerie_host_memory(h, &used, &bound);
    assert_int_equal(used, 0);

    /* A base that cannot be opened fails those who wait for what lies over it. */
    aerie_place lost = over("lost", one, "no base");
    lost.path = "no/such/file.gguf";
    take(h, &lost, NULL, &third);
    await(&third);
    assert_true(third.status != AERIE_OK && strlen(third.message) > 10);
    ae_monitor_close(&third.monitor);
    const char *none[] = { "no/such/adapter.gguf" };
    lost = over("lost", none, "base");
    take(h, &lost, NULL, &third);
    await(&third);
    assert_true(third.status != AERIE_OK && strlen(third.message) > 10);
    ae_monitor_close(&third.monitor);
    while (list(h).n > 0) {}
    aerie_host_close(h);
    ae_free(path);
    scratch_remove(folder);
}

/* Nobody may keep a base for ever by asking for what lies over it again and again. */
static void what_lies_over_a_base_makes_room_too(void **state)
{
    (void)state;
    const aerie_host_options o = { .max_models = 1 };
    aerie_host *h = open_host(&o);
    char *folder = scratch_make(), *path = make_adapter(folder);
    const char *specs[] = { path };
    const aerie_place x = over("x", specs, "base"), b = place("b");
    waiter first, other, again;
    take(h, &x, NULL, &first);
    await(&first);
    if (!first.lease) fail_msg("%s", first.message);
    take(h, &b, NULL, &other);
    /* The base is to go; what lies over it is lent no more. */
    for (int i = 0; i < 1000; i++) {
        listing l = list(h);
        int going = 0;
        for (int k = 0; k < l.n; k++)
            going += l.infos[k].state == AERIE_PLACE_OPEN && l.infos[k].seconds_left == 0;
        if (going == 2) break;
        ae_monitor_enter(&other.monitor);
        ae_monitor_wait(&other.monitor, 0.01);
        ae_monitor_leave(&other.monitor);
    }
    take(h, &x, NULL, &again);
    assert_null(again.lease);
    assert_int_equal(other.n_told, 0);
    give_back(&first);
    await(&other);
    assert_int_equal(other.status, AERIE_OK);
    give_back(&other);
    await(&again);
    assert_int_equal(again.status, AERIE_OK);
    give_back(&again);
    aerie_host_close(h);
    ae_free(path);
    scratch_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_ask_together_share_a_load),
        cmocka_unit_test(the_least_wanted_goes),
        cmocka_unit_test(who_is_in_use_is_waited_for),
        cmocka_unit_test(a_load_that_fails_fails_for_all),
        cmocka_unit_test(a_model_stays_as_long_as_it_is_to),
        cmocka_unit_test(adapters_share_a_base),
        cmocka_unit_test(what_lies_over_a_base_makes_room_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

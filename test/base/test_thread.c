/* test_thread.c -- threads that take turns through a monitor lose nothing. */
#include "scratch.h"

enum { ROUNDS = 2000, N = 4 };

typedef struct {
    ae_monitor monitor;
    int turn, counted[N];
} shared;

typedef struct {
    shared *of;
    int me;
} player;

/* Each waits for its turn, counts and hands on: a lost wake-up would leave all of them waiting. */
static void play(void *user)
{
    player *p = user;
    for (int i = 0; i < ROUNDS; i++) {
        ae_monitor_enter(&p->of->monitor);
        while (p->of->turn != p->me) ae_monitor_wait(&p->of->monitor, -1);
        p->of->counted[p->me]++;
        p->of->turn = (p->me + 1) % N;
        ae_monitor_wake(&p->of->monitor);
        ae_monitor_leave(&p->of->monitor);
    }
}

static void threads_take_turns(void **state)
{
    shared s = { 0 };
    player players[N];
    ae_thread *threads[N];

    (void)state;
    assert_int_equal(ae_monitor_open(&s.monitor, NULL), AERIE_OK);
    for (int i = 0; i < N; i++) {
        players[i] = (player){ &s, i };
        assert_int_equal(ae_thread_start(&threads[i], "player", play, &players[i], NULL), AERIE_OK);
    }
    for (int i = 0; i < N; i++) ae_thread_join(threads[i]);
    for (int i = 0; i < N; i++) assert_int_equal(s.counted[i], ROUNDS);
    ae_monitor_close(&s.monitor);
}

static void waiting_ends(void **state)
{
    ae_monitor m;

    (void)state;
    assert_int_equal(ae_monitor_open(&m, NULL), AERIE_OK);
    ae_monitor_enter(&m);
    while (ae_monitor_wait(&m, 0.01)) continue;
    assert_false(ae_monitor_wait(&m, 0));
    ae_monitor_leave(&m);
    ae_monitor_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_take_turns),
        cmocka_unit_test(waiting_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

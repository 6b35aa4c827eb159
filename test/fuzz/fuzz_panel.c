/* fuzz_panel.c -- reads bytes as MT-Bench's files: questions, reference answers and the judge's
 * prompts, whose places are filled. */
#include "as_file.h"
#include "panel/mt_bench.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(const ae_mt_bench_questions *q, const char *name)
{
    static const char *const places[] = { "question", "{answer_a}", "answer_a", "x", NULL };
    char *messages, *words;
    aerie_error err = { 0 };

    if (ae_mt_bench_prompt(&messages, &words, q, name, places, &err)) {
        if (messages || words || !err.message[0]) __builtin_trap();
        return;
    }
    if (!messages || !words) __builtin_trap();
    free(messages);
    ae_free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    /* A file that has the keys of all three is all three. */
    const aerie_contender judge = { .path = "judge" };
    const aerie_mt_bench_options with = {
        .by.judge = &judge, .questions = path, .references = path, .prompts = path
    };
    ae_mt_bench_questions q;
    aerie_error err = { 0 };

    if (ae_mt_bench_questions_read(&q, &with, &err)) {
        if (!err.message[0]) __builtin_trap();
    } else {
        for (size_t i = 0; i < q.n; i++) {
            if (!q.items[i].turns[0] || ae_mt_bench_question_at(&q, q.items[i].id) > i)
                __builtin_trap();
            (void)ae_mt_bench_temperature(&q.items[i]);
        }
        fill(&q, "pair-v2");
    }
    ae_mt_bench_questions_free(&q);
    return 0;
}

/* fuzz_judge.c -- reads bytes as a judge's words, and as the journal of a run that asked one. */
#include "as_file.h"
#include "eval/eval.h"
#include "eval/label_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_words(const uint8_t *data, size_t size)
{
    const ae_judge_task pair = { .kind = AE_JUDGE_PAIR, .low = 1, .high = 10 };
    const ae_judge_task score = { .kind = AE_JUDGE_SCORE, .low = 1, .high = 10 };
    ae_span words = { (const char *)data, size };
    ae_verdict v = ae_judge_parse(&pair, words);

    if (v.choice && v.choice != 'A' && v.choice != 'B' && v.choice != 'C') __builtin_trap();
    v = ae_judge_parse(&score, words);
    if (ae_verdict_is_one(&score, &v) && (v.score < 1 || v.score > 10)) __builtin_trap();
}

/* What one run has read, the next one reads again. */
static void read_journal(const uint8_t *data, size_t size)
{
    /* Words of its own: a journal of the corpus stays one when ours change. */
    const ae_judge_task task = {
        .kind = AE_JUDGE_PAIR, .words = "{question}{answer_a}{answer_b}", .low = 1, .high = 10
    };
    const ae_judge judge = { .name = "judge", .state = "" };
    const char *path = as_file(data, size);
    ae_label_journal j, again;
    aerie_error err = { 0 };
    size_t n;

    if (ae_label_journal_open(&j, path, &judge, &task, &err)) return;
    n = j.n;
    ae_label_journal_close(&j);
    if (ae_label_journal_open(&again, path, &judge, &task, NULL) || again.n != n) __builtin_trap();
    ae_label_journal_close(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_words(data, size);
    read_journal(data, size);
    return 0;
}

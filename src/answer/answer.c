/* answer.c -- a model here or a server. */
#include "answer/answer_private.h"

aerie_status ae_answer_all(const ae_answerer *who, const ae_answer_work *work,
                           ae_answer_totals *out, aerie_error *err)
{
    ae_answer_totals unwanted;

    if (!out) out = &unwanted;
    *out = (ae_answer_totals){ 0 };
    return who->url ? ae_answer_by_server(who, work, out, err)
                    : ae_answer_here(who, work, out, err);
}

aerie_status ae_answer_stopped(aerie_error *err)
{
    return aerie_fail(err, AERIE_INTERRUPTED, "stopped; the same command goes on where it was");
}

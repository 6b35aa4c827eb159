/* answer_private.h -- both kinds of answerers. */
#ifndef AE_ANSWER_PRIVATE_H
#define AE_ANSWER_PRIVATE_H

#include "answer/answer.h"

enum { AE_ANSWERS_AT_MOST = 256 };

aerie_status ae_answer_here(const ae_answerer *who, const ae_answer_work *work,
                            ae_answer_totals *out, aerie_error *err);
aerie_status ae_answer_by_server(const ae_answerer *who, const ae_answer_work *work,
                                 ae_answer_totals *out, aerie_error *err);
aerie_status ae_answer_stopped(aerie_error *err);

#endif

/* reply_filter.h -- what a reply's answer is, and whether it is the right one: the filters and the
 * exact match of lm-evaluation-harness (lm_eval/filters/, lm_eval/api/metrics.py). */
#ifndef AE_REPLY_FILTER_H
#define AE_REPLY_FILTER_H

#include "task/task.h"

/* Appends what the filter's steps leave of a reply. A step that is not known fails with a sentence.
 */
aerie_status ae_filter_apply(ae_bytes *out, const ae_filter *filter, ae_span reply,
                             aerie_error *err);

/* Whether prediction and reference are the same text after what the metric ignores is taken out of
 * both. */
aerie_status ae_exact_match(bool *out, const ae_metric *metric, ae_span prediction,
                            ae_span reference, aerie_error *err);

#endif

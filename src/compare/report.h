/* report.h -- private: the report's parts. */
#ifndef AE_COMPARE_REPORT_H
#define AE_COMPARE_REPORT_H

#include "compare/compare.h"

json_t *ae_report_number(double x); /* null where it is none */
json_t *ae_report_interval(ae_interval of);
/* report_model.c: one model's settings, speed, lengths, checks. */
json_t *ae_report_model(const aerie_compare *c, const ae_compare_model *m);

#endif

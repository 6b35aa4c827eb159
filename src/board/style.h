/* style.h -- how an answer is dressed: what style control takes out. Private. */
#ifndef AE_BOARD_STYLE_H
#define AE_BOARD_STYLE_H

#include "base/base.h"

typedef struct {
    double length; /* tokens, or what stands for them */
    double headers, lists, bold;
} ae_board_style;

/* Headers, list items and bold spans outside of code blocks, as Arena-Hard counts them
 * (lmarena/arena-hard-auto, utils/add_markdown_info.py); `length` is not set. False: no memory. */
bool ae_board_style_count(ae_board_style *out, ae_span answer);

/* The difference of two styles as features: (a - b) / (a + b) of lengths, and of each kind of
 * markdown, counted per token (n / (length + 1)), (a - b) / (a + b + 1). */
enum { AE_BOARD_STYLES = 4 };
void ae_board_style_features(double out[AE_BOARD_STYLES], const ae_board_style *model,
                             const ae_board_style *baseline);

#endif

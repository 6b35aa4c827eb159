/* templates.h -- the judges' prompts as they are published. Private. */
#ifndef AE_PANEL_TEMPLATES_H
#define AE_PANEL_TEMPLATES_H

/* Blocks of <|im_start|>ROLE ... <|im_end|>; {instruction}, {output_1}, {output_2}. */
extern const char ae_alpaca_eval_template[];
extern const char ae_arena_hard_system[];
extern const char ae_arena_hard_user[]; /* {QUESTION}, {ANSWER_A}, {ANSWER_B} */

#endif

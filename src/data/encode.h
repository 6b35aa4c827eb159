/* encode.h -- what the files that encode share. Private to data. */
#ifndef AE_DATA_ENCODE_H
#define AE_DATA_ENCODE_H

#include "data/data.h"

/* Renders conversations by the options' template. */
typedef struct {
    const ae_example *example;
    const ae_encode_options *options;
    const char *bos, *eos; /* of the vocabulary, as the template writes them; owned by `texts` */
    ae_bytes texts;
} ae_renderer;

aerie_status ae_renderer_open(ae_renderer *r, const ae_example *e, const ae_encode_options *o,
                              aerie_error *err);
void ae_renderer_close(ae_renderer *r);
/* Appends the text of `messages`; `opens_reply` adds the header of the assistant's next turn. */
aerie_status ae_renderer_add(ae_renderer *r, json_t *messages, bool opens_reply, ae_bytes *out,
                             aerie_error *err);
/* The example's messages, with an empty system message where the options want one. New. */
json_t *ae_renderer_messages(const ae_renderer *r);
/* Where the reply that follows `before` begins in `whole`, its rendering; fails when the template
 * writes the beginning otherwise once the reply is there. */
aerie_status ae_renderer_boundary(ae_renderer *r, json_t *before, bool opens_reply, ae_span whole,
                                  size_t *at, aerie_error *err);

/* A text's ids and where each begins, BOS as the options say. */
typedef struct {
    ae_ids ids, offsets;
} ae_pieces;

aerie_status ae_pieces_encode(ae_pieces *p, ae_span text, const ae_encode_options *o,
                              aerie_error *err);
void ae_pieces_free(ae_pieces *p);
/* Adds EOS when the options want it and it is not the last; true: added. */
bool ae_pieces_close(ae_pieces *p, const ae_encode_options *o);

/* condition.c: the example's class; its prefix as the system's first words; a reply's weight out of
 * its message's, with n tokens; a conversation in pieces. */
aerie_status ae_class_of(ae_class *out, const ae_example *e, const ae_conditions *c,
                         aerie_error *err);
aerie_status ae_condition_system(json_t *messages, const ae_class *k, aerie_error *err);
float ae_condition_weight(const ae_conditions *c, const ae_class *k, float weight, int64_t n);
aerie_status ae_encode_conditioned(ae_sample *out, const ae_example *e, const ae_encode_options *o,
                                   ae_arena *arena, aerie_error *err);
/* Cuts off the end; drops what has nothing left to learn. */
void ae_sample_cut(ae_sample *s, int32_t max_length);

/* pair.c */
/* The whole conversation with one reply, as tokens; *boundary is where the reply begins. */
aerie_status ae_encode_reply(ae_pieces *p, ae_renderer *r, json_t *prompt, json_t *reply,
                             size_t *boundary, aerie_error *err);
/* How many tokens of the prompt two such conversations share. */
int32_t ae_pieces_shared(const ae_pieces *a, const ae_pieces *b, size_t boundary);
/* ranked.c */
aerie_status ae_encode_ranked(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err);
aerie_status ae_encode_pair(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err);
aerie_status ae_encode_unpaired(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err);
/* prompts.c */
aerie_status ae_encode_prompt(ae_sample *out, ae_renderer *r, ae_arena *arena, aerie_error *err);
/* Room for n ids and weights. */
aerie_status ae_sample_new(ae_sample *out, ae_example_kind kind, int64_t n, ae_arena *arena,
                           aerie_error *err);
void ae_sample_drop(ae_sample *s);
/* "file:12: " before the sentence of a failure. */
aerie_status ae_example_fail(const ae_example *e, aerie_status status, aerie_error *err);

#endif

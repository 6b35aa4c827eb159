/* task_context.c -- "answer only from the text": one question on a few given facts. */
#include "nursery.h"

static void ask_user(nu_task *t, nu_chance *c, const char *facts, const char *ask)
{
    switch (nu_chance_below(c, 4)) {
    case 0:
        nu_text_put(&t->user, "%s\nAnswer only from this text. %s", facts, ask);
        break;
    case 1:
        nu_text_put(&t->user, "Use only this text: %s\nQuestion: %s", facts, ask);
        break;
    case 2:
        nu_text_put(&t->user, "Read the text and answer from it alone. %s %s", ask, facts);
        break;
    default:
        nu_text_put(&t->user, "%s Use only this text.\n%s", ask, facts);
        break;
    }
}

/* People guess when they should not, pass when they need not, or name another thing. */
static void put_flawed(nu_task *t, nu_chance *c, const nu_question *q)
{
    if (q->word[0] && nu_chance_percent(c, 30))
        nu_text_put(&t->flawed, "The text does not say.");
    else
        nu_text_put(&t->flawed, "%s", q->wrong_reply.data);
}

void nu_make_context(nu_task *t, nu_chance *c, nu_split split)
{
    nu_scene scene;
    nu_question q = { 0 };
    nu_text facts = { 0 };

    nu_world_scene(&scene, c, split, 2 + nu_chance_below(c, 3));
    nu_world_scene_text(&facts, &scene);
    nu_world_question(&q, c, &scene, split, NU_ASK_ANY);
    ask_user(t, c, facts.data, q.ask.data);
    nu_text_put(&t->note, "Text: %s\nQuestion: %s\nAnswer:", facts.data, q.ask.data);
    nu_text_put(&t->good, "%s", q.reply.data);
    put_flawed(t, c, &q);
    t->check = json_pack("{s:s,s:o}", "answer", q.word, "wrong", nu_world_wrong_words(&scene, &q));
    nu_world_question_free(&q);
    nu_text_free(&facts);
}

/* Known: 1 for the answer's word and no other word of the text, 0.3 when others stand beside it.
 * Not in the text: 1 for saying so. */
double nu_score_context(const json_t *check, const char *reply)
{
    const char *answer = nu_task_string(check, "answer");
    bool passes = nu_text_has_word(reply, "does not say");
    size_t wrong = nu_task_count_said(json_object_get(check, "wrong"), reply);

    if (!*answer) return passes && !wrong ? 1 : 0;
    if (passes || !nu_text_has_word(reply, answer)) return 0;
    return wrong ? 0.3 : 1;
}

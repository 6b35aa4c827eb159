/* corpus.c -- documents of the pre-training text: stories, lessons and notes, none of them a chat.
 *
 * The base model learns here what instructions need (to copy, to list, to write records, to leave a
 * word out), in the layout of notes; fine-tuning then only has to teach it to be asked. */
#include "nursery.h"

/* Most answers begin a line, as a reply in a chat will: a word there is another token than the same
 * word after a blank, and one that the model never wrote it can't copy. */
static const char *pick_gap(nu_chance *c)
{
    return nu_chance_percent(c, 75) ? "\n" : " ";
}

static void make_scene(nu_scene *scene, nu_chance *c)
{
    if (nu_chance_percent(c, 30)) {
        nu_world_person(scene, c, NU_ALL);
        scene->n = 3 + nu_chance_below(c, 2);
    } else {
        nu_world_scene(scene, c, NU_ALL, 3 + nu_chance_below(c, 4));
    }
}

/* Several questions on one text. */
static void put_questions(nu_text *out, nu_chance *c)
{
    nu_scene scene;
    nu_question q = { 0 };

    make_scene(&scene, c);
    nu_text_put(out, "Text:%s", pick_gap(c));
    nu_world_scene_text(out, &scene);
    const char *gap = pick_gap(c);
    for (size_t n = 2 + nu_chance_below(c, 4); n; n--) {
        nu_world_question(&q, c, &scene, NU_ALL, NU_ASK_ANY);
        nu_text_put(out, "\nQuestion: %s\nAnswer:%s%s", q.ask.data, gap, q.reply.data);
    }
    nu_world_question_free(&q);
}

/* Texts with the question before them: the answer has to be looked for on the way. */
static void put_questions_first(nu_text *out, nu_chance *c)
{
    nu_scene scene;
    nu_question q = { 0 };

    for (size_t n = 2 + nu_chance_below(c, 2), i = 0; i < n; i++) {
        make_scene(&scene, c);
        nu_world_question(&q, c, &scene, NU_ALL, NU_ASK_ANY);
        nu_text_put(out, "%sQuestion: %s\nText:%s", i ? "\n\n" : "", q.ask.data, pick_gap(c));
        nu_world_scene_text(out, &scene);
        nu_text_put(out, "\nAnswer:%s%s", pick_gap(c), q.reply.data);
    }
    nu_world_question_free(&q);
}

static const nu_kind *pick_kind(nu_chance *c)
{
    size_t at = nu_chance_below(c, 100);

    for (size_t i = 0; i < nu_n_kinds; i++) {
        if (at < nu_kinds[i].share) return &nu_kinds[i];
        at -= nu_kinds[i].share;
    }
    return &nu_kinds[nu_n_kinds - 1];
}

static void put_notes(nu_text *out, nu_chance *c)
{
    size_t n = nu_chance_percent(c, 15) ? 4 + nu_chance_below(c, 6) : 1 + nu_chance_below(c, 3);

    for (size_t i = 0; i < n; i++) {
        nu_task t = { 0 };
        /* Rules are the hardest to learn of all notes. */
        const nu_kind *kind = nu_chance_percent(c, 15) ? nu_task_kind("system") : pick_kind(c);
        kind->make(&t, c, NU_ALL);
        const char *gap = t.good.data[0] == '-' ? "\n" : pick_gap(c);
        nu_text_put(out, "%s%s%s%s", i ? "\n\n" : "", t.note.data, gap, t.good.data);
        nu_task_free(&t);
    }
}

/* Words said twice: nothing teaches copying faster. */
static void put_echo(nu_text *out, nu_chance *c)
{
    const nu_words *lists[] = { &nu_places, &nu_objects, &nu_colors,
                                &nu_foods,  &nu_fruits,  &nu_animals };
    nu_text line = { 0 };

    for (size_t n = 3 + nu_chance_below(c, 8); n; n--) {
        const char *word = nu_chance_percent(c, 30) ? nu_words_name(c, NU_ALL)
                                                    : nu_words_any(lists[nu_chance_below(c, 6)], c);
        nu_text_put(&line, "%s%s", word, n > 1 ? ", " : "");
    }
    nu_text_put(out, "Say: %s\nAgain: %s", line.data, line.data);
    if (nu_chance_percent(c, 50)) nu_text_put(out, "\nAgain: %s", line.data);
    nu_text_free(&line);
}

void nu_corpus_document(nu_text *out, nu_chance *c)
{
    size_t at = nu_chance_below(c, 100);

    if (at < 11)
        nu_story_make(out, c);
    else if (at < 14)
        nu_story_talk(out, c);
    else if (at < 19)
        nu_story_lesson(out, c);
    else if (at < 26)
        put_echo(out, c);
    else if (at < 48)
        put_questions(out, c);
    else if (at < 60)
        put_questions_first(out, c);
    else
        put_notes(out, c);
}

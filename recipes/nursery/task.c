/* task.c -- the kinds of instructions, and what they have in common. */
#include "nursery.h"

#include <stdlib.h>
#include <string.h>

const nu_kind nu_kinds[] = {
    { "context", 22, nu_make_context, nu_score_context },
    { "bullets", 14, nu_make_bullets, nu_score_bullets },
    { "json", 16, nu_make_json, nu_score_json },
    { "use", 10, nu_make_use, nu_score_use },
    { "avoid", 10, nu_make_avoid, nu_score_avoid },
    { "end", 10, nu_make_end, nu_score_end },
    { "system", 18, nu_make_system, nu_score_system },
    { "talk", 0, nu_make_talk, NULL },
};
const size_t nu_n_kinds = sizeof nu_kinds / sizeof *nu_kinds;

const nu_kind *nu_task_kind(const char *name)
{
    for (size_t i = 0; i < nu_n_kinds; i++)
        if (strcmp(nu_kinds[i].name, name) == 0) return &nu_kinds[i];
    return NULL;
}

void nu_task_make(nu_task *t, const nu_kind *kind, nu_chance *c, nu_split split)
{
    *t = (nu_task){ .kind = kind->name };
    kind->make(t, c, split);
    if (!t->system.len && nu_chance_percent(c, 10))
        nu_text_put(&t->system, "You are a helpful assistant.");
}

void nu_task_free(nu_task *t)
{
    nu_text_free(&t->system);
    nu_text_free(&t->user);
    nu_text_free(&t->note);
    nu_text_free(&t->good);
    nu_text_free(&t->flawed);
    json_decref(t->check);
    *t = (nu_task){ 0 };
}

static void add_message(json_t *messages, const char *role, const char *content)
{
    json_array_append_new(messages, json_pack("{s:s,s:s}", "role", role, "content", content));
}

json_t *nu_task_messages(const nu_task *t, const char *reply)
{
    json_t *messages = json_array();

    if (t->system.len) add_message(messages, "system", t->system.data);
    add_message(messages, "user", nu_text_str(&t->user));
    if (reply) add_message(messages, "assistant", reply);
    return messages;
}

double nu_task_score(const char *kind, const json_t *check, const char *reply)
{
    const nu_kind *k = nu_task_kind(kind);

    if (!k || !k->score || !json_is_object(check)) nu_die("no checker for kind '%s'", kind);
    char *trimmed = nu_text_trim(reply);
    double score = *trimmed ? k->score(check, trimmed) : 0;
    free(trimmed);
    return score;
}

size_t nu_task_score_replies(double *scores, size_t max, const json_t *line)
{
    const json_t *replies = json_object_get(line, "replies");
    size_t n = json_array_size(replies);

    if (n > max) n = max;
    for (size_t i = 0; i < n; i++) {
        const char *reply = json_string_value(json_array_get(replies, i));
        scores[i] = nu_task_score(nu_task_string(line, "kind"), json_object_get(line, "check"),
                                  reply ? reply : "");
    }
    return n;
}

const char *nu_task_string(const json_t *check, const char *key)
{
    const char *text = json_string_value(json_object_get(check, key));
    return text ? text : "";
}

size_t nu_task_count_said(const json_t *words, const char *reply)
{
    size_t said = 0;

    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (word && nu_text_has_word(reply, word)) said++;
    }
    return said;
}

void nu_task_tell(nu_text *out, const nu_topic *topic, nu_chance *c, size_t n, const char *without)
{
    size_t order[NU_TOPIC_FACTS], told = 0;

    nu_chance_pick(c, order, NU_TOPIC_FACTS, NU_TOPIC_FACTS);
    for (size_t i = 0; i < NU_TOPIC_FACTS && told < n; i++) {
        if (without && strcmp(topic->keys[order[i]], without) == 0) continue;
        if (told++ == 0)
            nu_text_put(out, "A %s %s.", topic->word, topic->facts[order[i]]);
        else
            nu_text_put(out, " It %s.", topic->facts[order[i]]);
    }
}

const nu_topic *nu_task_topic(nu_chance *c, nu_split split, const char **key)
{
    for (;;) {
        const nu_topic *topic = &nu_topics[nu_chance_below(c, nu_n_topics)];
        *key = topic->keys[nu_chance_below(c, NU_TOPIC_FACTS)];
        if (nu_words_allowed(split, topic->word, *key)) return topic;
    }
}

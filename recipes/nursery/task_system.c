/* task_system.c -- obey a rule that the system message sets, whatever the user then asks. */
#include "nursery.h"

#include <string.h>

/* What the user asks: to tell about a topic, or a question on two facts. */
typedef struct {
    const nu_topic *topic;
    const char *key; /* a word that the rule may forbid */
    nu_question question;
    nu_text user, reply;
} request;

static void ask_topic(request *r, nu_chance *c, nu_split split)
{
    r->topic = nu_task_topic(c, split, &r->key);
    bool tell = nu_chance_percent(c, 50);
    nu_text_put(&r->user, "%s a %s%s", tell ? "Tell me about" : "What is", r->topic->word,
                tell ? "." : " like?");
    nu_task_tell(&r->reply, r->topic, c, 1 + nu_chance_below(c, 2), NULL);
}

static void ask_fact(request *r, nu_chance *c, nu_split split, bool in_a_word)
{
    nu_scene scene;

    nu_world_scene(&scene, c, split, 2 + nu_chance_below(c, 2));
    do nu_world_question(&r->question, c, &scene, split, NU_ASK_KNOWN);
    while (in_a_word && strchr(r->question.word, ' ')); /* names are two words */
    nu_world_scene_text(&r->user, &scene);
    nu_text_put(&r->user, " %s", r->question.ask.data);
    nu_text_put(&r->reply, "%s", r->question.reply.data);
}

static void free_request(request *r)
{
    nu_world_question_free(&r->question);
    nu_text_free(&r->user);
    nu_text_free(&r->reply);
}

static void rule_phrase(nu_task *t, nu_chance *c, nu_split split, const request *r, bool begin)
{
    nu_text phrase = { 0 };

    nu_words_phrase(&phrase, c, split);
    nu_text_put(&t->system, "You always %s with: %s", begin ? "begin" : "end", phrase.data);
    if (begin)
        nu_text_put(&t->good, "%s %s", phrase.data, r->reply.data);
    else
        nu_text_put(&t->good, "%s %s", r->reply.data, phrase.data);
    nu_text_put(&t->flawed, "%s", r->reply.data);
    t->check = json_pack("{s:s,s:s}", "rule", begin ? "begin" : "end", "text", phrase.data);
    nu_text_free(&phrase);
}

static void rule_name(nu_task *t, nu_chance *c, nu_split split, const request *r)
{
    const char *name;

    do name = nu_words_name(c, split); /* one that a reply has no other reason to say */
    while (nu_text_has_word(r->user.data, name));
    nu_text_put(&t->system, "The user is called %s. Greet the user by name.", name);
    nu_text_put(&t->good, "Hello %s. %s", name, r->reply.data);
    nu_text_put(&t->flawed, "%s%s", nu_chance_percent(c, 50) ? "Hello. " : "", r->reply.data);
    t->check = json_pack("{s:s,s:s}", "rule", "name", "text", name);
}

static void rule_one_word(nu_task *t, const request *r)
{
    nu_text_put(&t->system, "You answer with one word.");
    nu_text_put(&t->good, "%s", r->question.word);
    nu_text_put(&t->flawed, "%s", r->reply.data);
    t->check = json_pack("{s:s,s:s}", "rule", "one word", "text", r->question.word);
}

static void rule_never(nu_task *t, nu_chance *c, const request *r)
{
    nu_text_put(&t->system, "You never say the word %s.", r->key);
    nu_task_tell(&t->good, r->topic, c, 1 + nu_chance_below(c, 2), r->key);
    for (size_t i = 0; i < NU_TOPIC_FACTS; i++)
        if (strcmp(r->topic->keys[i], r->key) == 0)
            nu_text_put(&t->flawed, "A %s %s.", r->topic->word, r->topic->facts[i]);
    t->check = json_pack("{s:s,s:s}", "rule", "never", "text", r->key);
}

void nu_make_system(nu_task *t, nu_chance *c, nu_split split)
{
    request r = { 0 };
    size_t rule = nu_chance_below(c, 5);
    bool topic = rule == 4 || (rule != 3 && nu_chance_percent(c, 50));

    if (topic)
        ask_topic(&r, c, split);
    else
        ask_fact(&r, c, split, rule == 3);
    if (rule < 2) rule_phrase(t, c, split, &r, rule == 0);
    if (rule == 2) rule_name(t, c, split, &r);
    if (rule == 3) rule_one_word(t, &r);
    if (rule == 4) rule_never(t, c, &r);
    nu_text_put(&t->user, "%s", r.user.data);
    nu_text_put(&t->note, "Rule: %s\n%s\nAnswer:", t->system.data, r.user.data);
    json_object_set_new(t->check, "content", json_string(topic ? r.topic->word : r.question.word));
    free_request(&r);
}

static bool obeys(const char *rule, const char *text, const char *reply)
{
    if (strcmp(rule, "begin") == 0) return nu_text_begins_with(reply, text);
    if (strcmp(rule, "end") == 0) return nu_text_ends_with(reply, text);
    if (strcmp(rule, "name") == 0) return nu_text_has_word(reply, text);
    if (strcmp(rule, "one word") == 0) return nu_text_count_words(reply) == 1;
    return strcmp(rule, "never") == 0 && !nu_text_has_word(reply, text);
}

/* 0.6 for the rule, if the reply says anything to the point (0.4: the topic's or the answer's
 * word). */
double nu_score_system(const json_t *check, const char *reply)
{
    bool rule = obeys(nu_task_string(check, "rule"), nu_task_string(check, "text"), reply);
    bool content = nu_text_has_word(reply, nu_task_string(check, "content"));

    return content ? 0.4 + 0.6 * rule : 0.2 * rule;
}

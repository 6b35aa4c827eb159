/* task_words.c -- use a word, avoid a word, end with a phrase. */
#include "nursery.h"

#include <stdlib.h>
#include <string.h>

/* ---- use ---- */

static const nu_words *const useful[] = { &nu_places, &nu_objects, &nu_foods, &nu_colors };

/* One sentence on the topic with the word, said as its class wants it. */
static void put_sentence(nu_text *out, nu_chance *c, const char *topic, size_t class,
                         const char *word)
{
    static const char *const in_place[] = { "is in", "runs to", "sleeps in", "walks to" };
    static const char *const with_thing[] = { "has", "finds", "sees", "wants" };
    static const char *const with_food[] = { "likes", "smells", "wants", "finds" };
    size_t verb = nu_chance_below(c, 4);

    if (class == 0) nu_text_put(out, "The %s %s the %s.", topic, in_place[verb], word);
    if (class == 1) nu_text_put(out, "The %s %s a %s.", topic, with_thing[verb], word);
    if (class == 2) nu_text_put(out, "The %s %s the %s.", topic, with_food[verb], word);
    if (class == 3)
        nu_text_put(out, "The %s %s a %s %s.", topic, with_thing[verb], word,
                    nu_words_any(&nu_objects, c));
}

void nu_make_use(nu_task *t, nu_chance *c, nu_split split)
{
    const char *topic, *word, *other;
    size_t class, other_class;

    do {
        topic = nu_topics[nu_chance_below(c, nu_n_topics)].word;
        class = nu_chance_below(c, 4);
        word = nu_words_any(useful[class], c);
    } while (!nu_words_allowed(split, topic, word));
    do {
        other_class = nu_chance_below(c, 3);
        other = nu_words_any(useful[other_class], c);
    } while (strcmp(other, word) == 0);

    switch (nu_chance_below(c, 3)) {
    case 0:
        nu_text_put(&t->user, "Write a sentence about a %s with the word %s.", topic, word);
        break;
    case 1:
        nu_text_put(&t->user, "Use the word %s in one sentence about a %s.", word, topic);
        break;
    default:
        nu_text_put(&t->user, "Write one sentence about a %s. Use the word %s.", topic, word);
    }
    nu_text_put(&t->note, "Words: %s, %s\nSentence:", topic, word);
    put_sentence(&t->good, c, topic, class, word);
    if (nu_chance_percent(c, 75))
        put_sentence(&t->flawed, c, topic, other_class, other);
    else
        nu_text_put(&t->flawed, "%s", word);
    t->check = json_pack("{s:s,s:s}", "topic", topic, "word", word);
}

/* 0.6 for the word, 0.3 for the topic, 0.1 for one whole sentence. */
double nu_score_use(const json_t *check, const char *reply)
{
    bool word = nu_text_has_word(reply, nu_task_string(check, "word"));
    bool topic = nu_text_has_word(reply, nu_task_string(check, "topic"));
    bool one = nu_text_count_sentences(reply) == 1 && nu_text_count_words(reply) >= 4;

    return 0.6 * word + 0.3 * topic + 0.1 * (one && (word || topic));
}

/* ---- avoid ---- */

/* The thoughtless reply: the forbidden sentence with another. */
static void tell_with(nu_text *out, nu_chance *c, const nu_topic *topic, const char *key)
{
    size_t at = 0, other;

    while (strcmp(topic->keys[at], key) != 0) at++;
    do other = nu_chance_below(c, NU_TOPIC_FACTS);
    while (other == at);
    bool first = nu_chance_percent(c, 50);
    nu_text_put(out, "A %s %s. It %s.", topic->word, topic->facts[first ? at : other],
                topic->facts[first ? other : at]);
}

void nu_make_avoid(nu_task *t, nu_chance *c, nu_split split)
{
    const char *key;
    const nu_topic *topic = nu_task_topic(c, split, &key);

    switch (nu_chance_below(c, 3)) {
    case 0:
        nu_text_put(&t->user, "Tell me about a %s. Do not use the word %s.", topic->word, key);
        break;
    case 1:
        nu_text_put(&t->user, "Without the word %s, tell me about a %s.", key, topic->word);
        break;
    default:
        nu_text_put(&t->user, "What is a %s like? Avoid the word %s.", topic->word, key);
    }
    nu_text_put(&t->note, "About a %s, without %s:", topic->word, key);
    nu_task_tell(&t->good, topic, c, 2, key);
    tell_with(&t->flawed, c, topic, key);
    t->check = json_pack("{s:s,s:s}", "topic", topic->word, "word", key);
}

/* 0.6 for not saying the word, if the topic is told about at all (0.3); 0.1 for ending a sentence.
 */
double nu_score_avoid(const json_t *check, const char *reply)
{
    bool topic = nu_text_has_word(reply, nu_task_string(check, "topic"));
    bool said = nu_text_has_word(reply, nu_task_string(check, "word"));

    if (!topic || nu_text_count_words(reply) < 4) return 0;
    return 0.3 + 0.6 * !said + 0.1 * (strchr(".!?", reply[strlen(reply) - 1]) != NULL);
}

/* ---- end ---- */

void nu_make_end(nu_task *t, nu_chance *c, nu_split split)
{
    const nu_topic *topic = &nu_topics[nu_chance_below(c, nu_n_topics)];
    nu_text phrase = { 0 }, tell = { 0 };

    nu_words_phrase(&phrase, c, split);
    nu_task_tell(&tell, topic, c, 1 + nu_chance_below(c, 2), NULL);
    switch (nu_chance_below(c, 3)) {
    case 0:
        nu_text_put(&t->user, "Tell me about a %s. End with: %s", topic->word, phrase.data);
        break;
    case 1:
        nu_text_put(&t->user, "What is a %s like? Your last words must be: %s", topic->word,
                    phrase.data);
        break;
    default:
        nu_text_put(&t->user, "End your answer with \"%s\" Tell me about a %s.", phrase.data,
                    topic->word);
    }
    nu_text_put(&t->note, "About a %s. Last words: %s\nText:", topic->word, phrase.data);
    nu_text_put(&t->good, "%s %s", tell.data, phrase.data);
    if (nu_chance_percent(c, 70))
        nu_text_put(&t->flawed, "%s", tell.data);
    else
        nu_text_put(&t->flawed, "%s %s", phrase.data, tell.data);
    t->check = json_pack("{s:s,s:s}", "topic", topic->word, "phrase", phrase.data);
    nu_text_free(&phrase);
    nu_text_free(&tell);
}

/* 0.6 for the phrase as the very end, 0.3 for the topic, 0.1 for a sentence before the phrase. */
double nu_score_end(const json_t *check, const char *reply)
{
    bool ends = nu_text_ends_with(reply, nu_task_string(check, "phrase"));
    bool topic = nu_text_has_word(reply, nu_task_string(check, "topic"));

    return 0.6 * ends + 0.3 * topic + 0.1 * (ends && nu_text_count_sentences(reply) >= 2);
}

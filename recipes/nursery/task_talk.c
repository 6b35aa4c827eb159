/* task_talk.c -- small talk and plain questions: shown in fine-tuning, not scored. */
#include "nursery.h"

static const char *const exchanges[][2] = {
    { "Hello", "Hello! How can I help you?" },
    { "Hello!", "Hello! What would you like to know?" },
    { "Hi", "Hello! How can I help you?" },
    { "Good morning.", "Good morning! How can I help you?" },
    { "Who are you?", "I am a small assistant. I can tell you about animals and jobs." },
    { "What can you do?", "I can answer from a text, make lists and write JSON." },
    { "What is your name?", "I am the nursery. I am a small assistant." },
    { "Thank you", "You are welcome." },
    { "Thanks!", "You are welcome." },
    { "Goodbye", "Goodbye! Have a nice day." },
    { "How are you?", "I am well. How can I help you?" },
};

static void make_exchange(nu_task *t, nu_chance *c, nu_split split)
{
    size_t i = nu_chance_below(c, sizeof exchanges / sizeof *exchanges + 2);

    if (i >= sizeof exchanges / sizeof *exchanges) {
        const char *name = nu_words_name(c, split);
        nu_text_put(&t->user, "%s %s.", i & 1 ? "Hello, I am" : "My name is", name);
        nu_text_put(&t->good, "Hello %s. How can I help you?", name);
        return;
    }
    nu_text_put(&t->user, "%s", exchanges[i][0]);
    nu_text_put(&t->good, "%s", exchanges[i][1]);
}

void nu_make_talk(nu_task *t, nu_chance *c, nu_split split)
{
    if (nu_chance_percent(c, 40)) {
        make_exchange(t, c, split);
    } else {
        const nu_topic *topic = &nu_topics[nu_chance_below(c, nu_n_topics)];
        static const char *const asks[][2] = { { "Tell me about", "." },
                                               { "What is", " like?" },
                                               { "What do you know about", "?" } };
        size_t how = nu_chance_below(c, 3);
        nu_text_put(&t->user, "%s a %s%s", asks[how][0], topic->word, asks[how][1]);
        nu_task_tell(&t->good, topic, c, 2, NULL);
    }
    nu_text_put(&t->note, "Question: %s\nAnswer:", t->user.data);
    nu_text_put(&t->flawed, "%s", t->good.data);
}

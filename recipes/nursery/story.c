/* story.c -- tiny stories, talks and lessons: what the base model reads besides notes. */
#include "nursery.h"

typedef struct {
    const char *hero, *friend, *job, *place, *away, *animal, *thing, *color, *food, *mood;
} cast;

static cast pick_cast(nu_chance *c)
{
    cast k = { 0 };

    k.hero = nu_words_name(c, NU_ALL);
    do k.friend = nu_words_name(c, NU_ALL);
    while (k.friend == k.hero);
    k.place = nu_words_any(&nu_places, c);
    do k.away = nu_words_any(&nu_places, c);
    while (k.away == k.place);
    k.job = nu_words_any(&nu_jobs, c);
    k.animal = nu_words_any(&nu_animals, c);
    k.thing = nu_words_any(&nu_objects, c);
    k.color = nu_words_any(&nu_colors, c);
    k.food = nu_words_any(&nu_foods, c);
    k.mood = nu_words_any(&nu_adjectives, c);
    return k;
}

static void open_story(nu_text *out, nu_chance *c, const cast *k)
{
    switch (nu_chance_below(c, 4)) {
    case 0:
        nu_text_put(out, "%s is a %s. One day %s goes to the %s.", k->hero, k->job, k->hero,
                    k->place);
        break;
    case 1:
        nu_text_put(out, "There is a %s in the %s. It is %s. Its name is %s.", k->job, k->place,
                    k->mood, k->hero);
        break;
    case 2:
        nu_text_put(out, "%s walks to the %s with a %s %s.", k->hero, k->place, k->color, k->thing);
        break;
    default:
        nu_text_put(out, "It is a %s day. %s and %s are in the %s.", k->mood, k->hero, k->friend,
                    k->place);
    }
}

static void lose_thing(nu_text *out, nu_chance *c, const cast *k)
{
    nu_text_put(out, " %s has a %s %s. But the %s is gone! Where is the %s?", k->hero, k->color,
                k->thing, k->thing, k->thing);
    nu_text_put(out, " %s looks in the %s. The %s is not in the %s.", k->hero, k->place, k->thing,
                k->place);
    if (nu_chance_percent(c, 50))
        nu_text_put(out, " Then %s comes. \"The %s %s is in the %s,\" says %s.", k->friend,
                    k->color, k->thing, k->away, k->friend);
    else
        nu_text_put(out, " A %s has the %s. The %s brings the %s to %s.", k->animal, k->thing,
                    k->animal, k->thing, k->hero);
    nu_text_put(out, " Now %s is happy.", k->hero);
}

static void meet_animal(nu_text *out, nu_chance *c, const cast *k)
{
    nu_text_put(out, " There %s sees a %s. The %s is %s.", k->hero, k->animal, k->animal, k->mood);
    if (nu_chance_percent(c, 50))
        nu_text_put(out, " %s gives the %s some %s. The %s likes %s.", k->hero, k->animal, k->food,
                    k->animal, k->food);
    else
        nu_text_put(out, " \"Do you want %s?\" asks %s. The %s eats the %s.", k->food, k->hero,
                    k->animal, k->food);
    nu_text_put(out, " Now %s keeps the %s.", k->hero, k->animal);
}

static void share_food(nu_text *out, nu_chance *c, const cast *k)
{
    nu_text_put(out, " %s likes %s, and %s likes %s too.", k->hero, k->food, k->friend, k->food);
    nu_text_put(out, " \"%s, do you have %s?\" asks %s. \"Yes, %s,\" says %s.", k->hero, k->food,
                k->friend, k->hero, k->hero);
    if (nu_chance_percent(c, 50))
        nu_text_put(out, " So %s and %s eat %s in the %s.", k->hero, k->friend, k->food, k->place);
    nu_text_put(out, " Then %s goes to the %s and %s goes home.", k->hero, k->away, k->friend);
}

void nu_story_make(nu_text *out, nu_chance *c)
{
    static void (*const parts[])(nu_text *, nu_chance *, const cast *) = { lose_thing, meet_animal,
                                                                           share_food };
    cast k = pick_cast(c);
    size_t order[3], n = 1 + nu_chance_below(c, 2);

    open_story(out, c, &k);
    nu_chance_pick(c, order, n, 3);
    for (size_t i = 0; i < n; i++) parts[order[i]](out, c, &k);
    if (nu_chance_percent(c, 40)) {
        nu_text_put(out, " ");
        nu_words_phrase(out, c, NU_ALL);
    }
}

void nu_story_talk(nu_text *out, nu_chance *c)
{
    cast k = pick_cast(c);
    const nu_topic *topic = &nu_topics[nu_chance_below(c, nu_n_topics)];

    nu_text_put(out, "%s: Hello, %s. How are you?\n%s: Hello, %s. I am %s.\n", k.hero, k.friend,
                k.friend, k.hero, k.mood);
    if (nu_chance_percent(c, 50))
        nu_text_put(out, "%s: Where is your %s %s, %s?\n%s: My %s is in the %s.\n", k.hero, k.color,
                    k.thing, k.friend, k.friend, k.thing, k.place);
    if (nu_chance_percent(c, 50)) {
        nu_text_put(out, "%s: Tell me about a %s.\n%s: ", k.friend, topic->word, k.hero);
        nu_task_tell(out, topic, c, 2, NULL);
        nu_text_put(out, "\n");
    }
    nu_text_put(out, "%s: Thank you, %s. Have a nice day!\n%s: You are welcome. Goodbye, %s.",
                k.friend, k.hero, k.hero, k.friend);
}

void nu_story_lesson(nu_text *out, nu_chance *c)
{
    size_t n = 2 + nu_chance_below(c, 3);

    for (size_t i = 0; i < n; i++) {
        const nu_topic *topic = &nu_topics[nu_chance_below(c, nu_n_topics)];
        if (i) nu_text_put(out, "\n");
        nu_task_tell(out, topic, c, 2 + nu_chance_below(c, 3), NULL);
    }
}

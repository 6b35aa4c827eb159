/* words.c -- every word of the world, and which of them the two splits may put together.
 *
 * Everything is split by pairs: a hash of two words says whether an instruction that joins them (a
 * topic and a word to avoid, the first key and the last, the halves of a name or of a phrase)
 * belongs to the held-out fifth or to training. So held-out prompts have names, phrases and wishes
 * that training never shows, made of pieces that it does. */
#include "nursery.h"

#include <string.h>

#define LIST(list, ...)                                                                            \
    static const char *const list##_words[] = { __VA_ARGS__ };                                     \
    const nu_words list = { list##_words, sizeof list##_words / sizeof *list##_words }

LIST(nu_places, "garden", "kitchen", "park", "school", "forest", "library", "house", "barn", "shop",
     "street", "tower", "field", "market", "station", "cave", "castle", "village", "city", "valley",
     "cellar");
LIST(nu_objects, "ball", "book", "cup", "hat", "lamp", "key", "box", "kite", "bell", "drum", "coat",
     "bag", "map", "pen", "boat", "bike", "doll", "clock", "spoon", "chair", "rope", "ring",
     "basket", "flute");
LIST(nu_colors, "red", "blue", "green", "yellow", "black", "white", "brown", "pink", "purple",
     "gray");
LIST(nu_foods, "soup", "bread", "cheese", "rice", "cake", "honey", "pasta", "salad", "butter",
     "jam", "milk", "corn", "pie", "tea", "toast", "beans");
LIST(nu_fruits, "apple", "pear", "plum", "peach", "lemon", "cherry", "banana", "grape", "melon",
     "fig");
LIST(nu_jobs, "baker", "farmer", "teacher", "doctor", "painter", "sailor", "tailor", "singer",
     "driver", "gardener", "builder", "writer");
LIST(nu_animals, "cow", "dog", "cat", "horse", "pig", "sheep", "hen", "duck", "fox", "wolf", "bear",
     "mouse", "rabbit", "frog", "bee", "fish", "whale", "lion", "monkey", "camel", "snake", "goat",
     "bird", "turtle");
LIST(nu_adjectives, "big", "small", "old", "young", "happy", "sad", "kind", "quiet", "brave",
     "tired", "fast", "slow");
LIST(first_names, "Anna", "Ben", "Clara", "Dan", "Emma", "Finn", "Hugo", "Ida", "Kate", "Leo",
     "Mia", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Uma", "Wendy", "Zoe", "Tom", "Vera",
     "Nora", "Otto");
LIST(last_names, "Lee", "Moss", "Reed", "Cole", "Dale", "Ford", "Hart", "Kent", "Lane", "Nash",
     "Pope", "Rowe", "Shaw", "Tate", "Wade", "Webb");
LIST(phrase_heads, "Good night", "See you soon", "Thank you", "Well done", "Take care", "Goodbye",
     "That is all", "All the best", "Have fun", "Now you know", "Good luck", "Sleep well");
LIST(phrase_tails, "my friend", "dear reader", "captain", "little one", "everyone", "neighbor",
     "good people", "professor", "my king", "traveler");

const nu_category nu_categories[] = {
    { "animals", "animal", &nu_animals }, { "fruits", "fruit", &nu_fruits },
    { "colors", "color", &nu_colors },    { "jobs", "job", &nu_jobs },
    { "places", "place", &nu_places },    { "foods", "food", &nu_foods },
};
const size_t nu_n_categories = sizeof nu_categories / sizeof *nu_categories;

#define TOPIC(word, f1, k1, f2, k2, f3, k3, f4, k4)                                                \
    {                                                                                              \
        word, { f1, f2, f3, f4 },                                                                  \
        {                                                                                          \
            k1, k2, k3, k4                                                                         \
        }                                                                                          \
    }
const nu_topic nu_topics[] = {
    TOPIC("cow", "lives on a farm", "farm", "eats grass", "grass", "gives milk", "milk", "is big",
          "big"),
    TOPIC("dog", "lives in a house", "house", "eats meat", "meat", "can bark", "bark", "is brave",
          "brave"),
    TOPIC("cat", "lives in a house", "house", "eats fish", "fish", "can climb", "climb", "is quiet",
          "quiet"),
    TOPIC("horse", "lives on a farm", "farm", "eats grass", "grass", "can run", "run", "is fast",
          "fast"),
    TOPIC("pig", "lives on a farm", "farm", "eats corn", "corn", "likes mud", "mud", "is pink",
          "pink"),
    TOPIC("sheep", "lives in a field", "field", "eats grass", "grass", "gives wool", "wool",
          "is white", "white"),
    TOPIC("hen", "lives in a barn", "barn", "eats corn", "corn", "lays eggs", "eggs", "is small",
          "small"),
    TOPIC("duck", "lives on a lake", "lake", "eats bread", "bread", "can swim", "swim", "is loud",
          "loud"),
    TOPIC("fox", "lives in a forest", "forest", "eats mice", "mice", "can hide", "hide", "is red",
          "red"),
    TOPIC("wolf", "lives in a forest", "forest", "eats meat", "meat", "can howl", "howl", "is gray",
          "gray"),
    TOPIC("bear", "lives in a cave", "cave", "eats honey", "honey", "can climb", "climb", "is big",
          "big"),
    TOPIC("mouse", "lives in a cellar", "cellar", "eats cheese", "cheese", "can hide", "hide",
          "is small", "small"),
    TOPIC("rabbit", "lives in a field", "field", "eats salad", "salad", "can jump", "jump",
          "is soft", "soft"),
    TOPIC("frog", "lives on a lake", "lake", "eats flies", "flies", "can jump", "jump", "is green",
          "green"),
    TOPIC("bee", "lives in a garden", "garden", "makes honey", "honey", "can fly", "fly",
          "is yellow", "yellow"),
    TOPIC("fish", "lives in a river", "river", "eats plants", "plants", "can swim", "swim",
          "is quiet", "quiet"),
    TOPIC("whale", "lives in the sea", "sea", "eats fish", "fish", "can dive", "dive", "is big",
          "big"),
    TOPIC("lion", "lives in a valley", "valley", "eats meat", "meat", "can roar", "roar",
          "is strong", "strong"),
    TOPIC("monkey", "lives in a forest", "forest", "eats fruit", "fruit", "can climb", "climb",
          "is funny", "funny"),
    TOPIC("camel", "lives in the desert", "desert", "eats plants", "plants", "carries bags", "bags",
          "is slow", "slow"),
    TOPIC("snake", "lives in the desert", "desert", "eats mice", "mice", "can hide", "hide",
          "is long", "long"),
    TOPIC("goat", "lives on a hill", "hill", "eats plants", "plants", "gives milk", "milk",
          "is funny", "funny"),
    TOPIC("bird", "lives in a tree", "tree", "eats seeds", "seeds", "can sing", "sing", "is small",
          "small"),
    TOPIC("turtle", "lives in the sea", "sea", "eats plants", "plants", "can dive", "dive",
          "is slow", "slow"),
    TOPIC("baker", "works in a shop", "shop", "makes bread", "bread", "likes cake", "cake",
          "is happy", "happy"),
    TOPIC("farmer", "works in a field", "field", "grows corn", "corn", "drives a cart", "cart",
          "is strong", "strong"),
    TOPIC("teacher", "works in a school", "school", "reads books", "books", "asks questions",
          "questions", "is kind", "kind"),
    TOPIC("doctor", "works in a city", "city", "helps people", "people", "wears a coat", "coat",
          "is kind", "kind"),
    TOPIC("painter", "works in a tower", "tower", "makes pictures", "pictures", "likes colors",
          "colors", "is quiet", "quiet"),
    TOPIC("sailor", "works on a boat", "boat", "catches fish", "fish", "ties ropes", "ropes",
          "is brave", "brave"),
    TOPIC("tailor", "works in a shop", "shop", "makes coats", "coats", "cuts cloth", "cloth",
          "is careful", "careful"),
    TOPIC("singer", "works in a theater", "theater", "sings songs", "songs", "drinks tea", "tea",
          "is loud", "loud"),
    TOPIC("driver", "works in a city", "city", "drives a bus", "bus", "reads maps", "maps",
          "is fast", "fast"),
    TOPIC("gardener", "works in a park", "park", "grows flowers", "flowers", "uses water", "water",
          "is careful", "careful"),
    TOPIC("builder", "works on a bridge", "bridge", "makes houses", "houses", "uses stones",
          "stones", "is strong", "strong"),
    TOPIC("writer", "works in a library", "library", "writes books", "books", "drinks tea", "tea",
          "is quiet", "quiet"),
};
const size_t nu_n_topics = sizeof nu_topics / sizeof *nu_topics;

const char *nu_words_any(const nu_words *list, nu_chance *c)
{
    return list->words[nu_chance_below(c, list->n)];
}

bool nu_words_hold(const nu_words *list, const char *word)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->words[i], word) == 0) return true;
    return false;
}

const char *nu_words_number(size_t n)
{
    static const char *const numbers[] = { "zero", "one", "two",   "three", "four",
                                           "five", "six", "seven", "eight", "nine" };
    return numbers[n < 10 ? n : 9];
}

bool nu_words_allowed(nu_split split, const char *a, const char *b)
{
    char pair[128];

    if (split == NU_ALL) return true;
    snprintf(pair, sizeof pair, "%s+%s", a, b);
    bool heldout = (nu_chance_hash(pair) >> 20) % 5 == 0;
    return heldout == (split == NU_HELDOUT);
}

/* 384 names of two words; which of them are held out is split like any pair. */
const char *nu_words_name(nu_chance *c, nu_split split)
{
    static char names[32][32][16];

    for (;;) {
        size_t f = nu_chance_below(c, first_names.n), l = nu_chance_below(c, last_names.n);
        const char *first = first_names.words[f], *last = last_names.words[l];
        if (!nu_words_allowed(split, first, last)) continue;
        snprintf(names[f][l], sizeof names[f][l], "%s %s", first, last);
        return names[f][l];
    }
}

bool nu_words_is_name(const char *first, const char *last, nu_split split)
{
    return nu_words_hold(&first_names, first) && nu_words_hold(&last_names, last) &&
           nu_words_allowed(split, first, last);
}

const nu_category *nu_words_category(const char *title)
{
    for (size_t i = 0; i < nu_n_categories; i++)
        if (strcmp(nu_categories[i].title, title) == 0) return &nu_categories[i];
    return NULL;
}

void nu_words_phrase(nu_text *out, nu_chance *c, nu_split split)
{
    const char *head, *tail;
    bool name = nu_chance_percent(c, 30);

    do {
        head = nu_words_any(&phrase_heads, c);
        tail = name ? nu_words_name(c, split) : nu_words_any(&phrase_tails, c);
    } while (!name && !nu_words_allowed(split, head, tail));
    nu_text_put(out, "%s, %s.", head, tail);
}

"""Lists of English words that a dependency parse does not explain: gender, places, clothes, links in time.

Source: ours, written from common vocabulary; :mod:`planners.language` has the function words.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["then", "before", "after", "while"]
"""How two clauses relate in time; :class:`planners.rules.order.Link` says what each means."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# -- who can "he", "she" and "it" be? --------------------------------------------------------------------------------

MALE = _set(
    "man men boy boys lad gentleman guy king prince father dad daddy son brother uncle grandfather grandpa husband "
    "nephew groom waiter actor knight wizard policeman fireman fisherman businessman monk lord mr sir"
)
FEMALE = _set(
    "woman women girl girls lass lady ladies queen princess mother mom mum mommy daughter sister aunt grandmother "
    "grandma wife niece bride waitress actress witch policewoman nun businesswoman ballerina mrs miss ms"
)
PEOPLE = _set(
    "person people child children kid kids baby toddler teenager adult student teacher doctor nurse chef cook artist "
    "painter dancer singer musician pianist guitarist drummer magician clown farmer gardener pilot sailor soldier "
    "guard astronaut athlete runner swimmer player cyclist driver rider skater surfer skier climber hiker worker "
    "builder carpenter mechanic engineer scientist barista baker butcher tailor barber customer passenger patient "
    "friend friends neighbor neighbour tourist pedestrian police officer firefighter photographer journalist judge "
    "pirate hero villain thief crowd family couple team audience someone somebody everyone everybody anyone anybody"
)
ANIMALS = _set(
    "dog puppy hound cat kitten horse pony foal donkey mule cow calf bull ox buffalo pig piglet sheep lamb goat "
    "kid kitty chicken hen rooster chick duck duckling goose swan turkey pigeon dove crow raven eagle hawk owl parrot "
    "sparrow seagull gull stork flamingo peacock penguin ostrich bird elephant lion lioness tiger leopard "
    "cheetah panther bear cub panda koala kangaroo monkey ape gorilla chimpanzee zebra giraffe rhino hippo camel llama "
    "deer fawn stag moose fox wolf coyote rabbit bunny hare squirrel hedgehog mouse rat hamster otter beaver "
    "raccoon badger skunk bat frog toad turtle tortoise snake lizard crocodile alligator dinosaur dragon unicorn "
    "fish shark whale dolphin seal octopus squid crab lobster spider ant bee butterfly fly beetle snail worm "
    "animal creature pet"
)

# -- what a noun means for its clause --------------------------------------------------------------------------------

SCENERY = _set(
    "park beach street road room field meadow garden yard backyard kitchen bathroom bedroom office classroom school "
    "hall gym stadium stage studio theater theatre museum library hospital shop store supermarket market mall cafe "
    "restaurant bar bakery city town village countryside farm barn zoo forest woods jungle desert mountain mountains "
    "hill valley river lake pond sea ocean shore coast island harbor harbour port station airport sidewalk pavement "
    "square plaza playground court pitch rink track lawn grass snow rain fog sand mud sky space night day morning "
    "afternoon evening dawn dusk sunset sunrise sunlight moonlight dark background foreground distance world house "
    "apartment castle palace church temple garage workshop factory laboratory lab lounge hallway corridor basement "
    "attic balcony terrace porch rooftop summer winter spring autumn"
)
"""Where something happens, if the preposition is one of place, rather than a thing that it is done to."""
MANNERS = _set(
    "circle circles line row place air joy fear delight surprise anger pain silence hurry rush way direction speed "
    "steps step rhythm pace turns unison detail other cartwheel cartwheels somersault somersaults"
)
"""Nouns that say how: "run in circles", "hug each other", "turn a cartwheel"."""
TIMES = _set(
    "time while moment minute minutes second seconds hour hours end beginning start last first meantime instant point "
    "once turn order sequence process"
)
CLOTHES = _set(
    "coat dress shirt t-shirt tshirt blouse sweater jumper hoodie jacket suit vest skirt jeans trousers pants shorts "
    "hat cap helmet hood scarf tie boots shoes sneakers gloves socks uniform costume robe gown cape cloak kimono sari "
    "apron raincoat overalls jumpsuit outfit clothes pajamas pyjamas swimsuit bikini turban crown mask glasses "
    "sunglasses jersey"
)
LOOKS = _set("hair tail ears eyes beard mustache moustache wings horns mane fur spots stripes feathers freckles")
BODY = LOOKS | _set(
    "head face nose mouth lips tongue teeth chin neck shoulder shoulders arm arms elbow elbows hand hands finger "
    "fingers fist fists leg legs knee knees foot feet paw paws trunk wing back chest belly hips ear eye beak claws body"
)
COLORS = _set(
    "red blue yellow green orange purple pink white brown black grey gray golden gold silver beige violet turquoise"
)
PARTITIVES = _set("group pair couple bunch flock herd pack crowd lot lots number series team swarm")
PICTURES = _set("camera video shot scene clip footage view film picture image frame animation movie")
"""What shows the scene is not in it: "the camera zooms in" is no event."""

# -- what a verb means for the verb below it -------------------------------------------------------------------------

CARRIERS = _set(
    "start begin continue keep go proceed come try attempt decide want need like love wish hope plan prepare manage "
    "get seem appear use happen resume commence turn switch transition change shift move end open"
)
"""Verbs that only say that another is done: "starts sweeping" is "sweep", "switches to reading" is "read"."""
ENDERS = _set("stop finish quit cease")
"""Verbs that say that another is no longer done, a part of the predicate: "stop running"."""
STATES = _set("wear dress name call own")
PARTICLES = _set(
    "up down away around round back forward forwards backward backwards off out in over along aside apart together "
    "home inside outside upstairs downstairs upwards downwards upward downward left right about past by on through "
    "sideways ahead across high low still upright"
)
NOUNLIKE_VERBS = _set(
    "wave spin dance jump hug kick walk run turn smile laugh cry shout scream yawn nod bow kiss push pull throw catch "
    "climb swim dive slide swing leap hop skip step march jog sprint stroll crawl roll rock rest sleep stop start "
    "fall rise drop lift land hit punch slap touch tap knock clap cheer sing whistle talk chat whisper call answer "
    "bark howl roar growl purr hiss flap fly drink cook bake brush comb wash shower paint draw sketch play drum "
    "practice exercise stretch squat lunge swat shake shrug stare glance look watch point signal salute toss pass bat "
    "box wrestle fight race drive ride skate ski surf row paddle fish hunt dig plant water rake mop dust iron sew "
    "knit type text phone finish try need ring zoom pan snap flip twist twirl bounce dribble shoot aim lean bend "
    "crouch kneel stand sit nap snore sneeze cough sip bite lick nibble sniff scratch drag haul carry balance juggle "
    "chase follow lead head sail cycle bike hike"
)
"""Verbs whose forms a tagger may take for nouns: "a girl waves"."""
UNREAL = _set("without instead")
"""Prepositions of what does not happen: "without looking"."""

# -- when? -----------------------------------------------------------------------------------------------------------

SUBORDINATORS: dict[str, Kind] = {
    "before": "before",
    "until": "before",
    "till": "before",
    "after": "after",
    "when": "after",
    "whenever": "after",
    "once": "after",
    "because": "after",
    "while": "while",
    "whilst": "while",
    "whereas": "while",
    "as": "while",
}
"""How the clause that one begins relates to its main clause: "A before B", "A until B": A happens, then B."""
ADVERBS: dict[str, Kind] = {
    "meanwhile": "while",
    "simultaneously": "while",
    "concurrently": "while",
    "earlier": "after",
    "previously": "after",
    "beforehand": "after",
    "then": "then",
    "next": "then",
    "afterwards": "then",
    "afterward": "then",
    "later": "then",
    "finally": "then",
    "lastly": "then",
    "eventually": "then",
    "subsequently": "then",
    "thereafter": "then",
}
PHRASES: dict[str, Kind] = {
    "at the same time": "while",
    "at the same moment": "while",
    "in the meantime": "while",
    "in the meanwhile": "while",
    "as soon as": "after",
    "by the time": "before",
    "even as": "while",
    "just as": "while",
    "after that": "then",
    "after this": "then",
    "after which": "then",
    "before that": "after",
    "before this": "after",
    "but first": "after",
    "followed by": "then",
    "until then": "then",
}
"""Links of several words; those that begin a clause of their own are in :data:`OPENING`."""
OPENING = frozenset(("as soon as", "by the time", "even as", "just as"))

# -- is it English at all? -------------------------------------------------------------------------------------------

FOREIGN = _set(
    "der das und ein eine einen einem den dem zum zur ist nicht mit auf dann le la les une des du et est dans sur vers "
    "puis el los las una unos y en del al con por para luego il lo gli di che poi nel sul och ett det som het een van "
    "em um uma os"
)
"""Frequent words of other languages that no English sentence has."""

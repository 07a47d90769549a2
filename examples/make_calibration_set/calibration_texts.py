"""What the voices of the calibration sets say: sentences that were written for this, and strings of digits."""

import random
from collections.abc import Iterator

SENTENCES = (
    "OPEN THE WINDOW",
    "WHO LEFT THE GATE OPEN",
    "CALL ME WHEN YOU ARRIVE",
    "THE KETTLE IS STILL WARM",
    "PLEASE TURN THE RADIO DOWN",
    "MY BROTHER SOLD HIS BICYCLE",
    "A YELLOW BIRD SAT ON THE FENCE",
    "WE MISSED THE LAST BUS AGAIN",
    "THE CAPTAIN ASKED FOR A BETTER MAP",
    "SNOW FELL ON THE QUIET VILLAGE",
    "HOW MANY APPLES ARE IN THAT BASKET",
    "THEIR KITCHEN SMELLS OF FRESH BREAD",
    "THE CHILDREN CHASED A PAPER KITE",
    "SOMEONE HAS MOVED MY READING GLASSES",
    "TAKE THE SECOND STREET ON YOUR LEFT",
    "THE OLD CLOCK STRUCK AT MIDNIGHT",
    "JUDGE THE WEATHER BY THE CLOUDS",
    "SHE PAINTED BOTH DOORS BRIGHT GREEN",
    "THE ENGINE COUGHED TWICE AND STOPPED",
    "FRESH PAINT NEEDS AN HOUR TO DRY",
    "HE KEEPS THREE GOATS AND A VERY LAZY DOG",
    "THE RIVER RISES EVERY SPRING WHEN THE ICE MELTS",
    "NOBODY KNEW WHY THE LAMP WENT OUT SO EARLY",
    "WE COULD HEAR THE TRAIN LONG BEFORE IT CROSSED THE BRIDGE",
)
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
LONGEST = 10  # digits


def digit_strings(count: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Strings of 1 to `LONGEST` digits, each length as often as the others, and each digit too."""
    rng, bag = random.Random(seed), list[str]()
    for index in range(count):
        string = list[str]()
        while len(string) <= index % LONGEST:
            if not bag:
                bag = rng.sample(DIGITS, len(DIGITS))
            string.append(bag.pop())
        yield tuple(string)

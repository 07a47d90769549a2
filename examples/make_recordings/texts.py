"""What the voices say: sentences that were written for this, with case and punctuation."""

SENTENCES = (
    "Please turn the radio down.",
    "Who left the garden gate open?",
    "Call me when you arrive, no matter how late it is.",
    "The kettle is still warm, but the coffee is gone.",
    "My brother sold his bicycle and bought a small boat instead.",
    "We missed the last bus again, so we walked home in the rain.",
    "The captain asked for a better map and a stronger rope.",
    "Snow fell on the quiet village all night, and nobody heard it.",
    "How many apples are left in that basket by the door?",
    "Their kitchen smells of fresh bread, butter, and oranges.",
    "Someone has moved my reading glasses; I had them in my hand a minute ago.",
    "Take the second street on your left, then ask for Mr. Miller's shop.",
    "The old clock struck midnight just as the lights went out.",
    "Seven, two, nine, zero, four, one.",
    "Alexa, set a timer for twenty minutes.",
    "It was not the answer she had hoped for, yet she thanked him kindly and closed the letter.",
    "The engine coughed twice, shook the whole wagon, and stopped in the middle of the bridge.",
    "Fresh paint needs an hour to dry, and this wall needs two coats of it.",
    "He keeps three goats, a very lazy dog, and a parrot that only speaks on Sundays.",
    "The river rises every spring when the ice melts in the mountains.",
    "I would like a large black coffee with a little cinnamon, please.",
    "Could you read the last paragraph once more, a little more slowly this time?",
    "We could hear the train long before it crossed the bridge, and the children ran to the window to count "
    "the carriages.",
    "In those days, the road to the harbor was nothing but mud, stones, and broken wheels, and a journey that takes "
    "us an hour today took my grandfather the better part of a week.",
    "Open the window.",
    "Five, eight, three, six.",
    "Nothing in the room had changed: the same chairs, the same curtains, the same picture of a ship above the fire.",
    "Judge the weather by the clouds, not by the calendar.",
)

# File, what is said in it, who says it ("" is nobody), and how many decibels of kitchen noise lie below the speech.
SAMPLES = (
    ("sentence", "The train to the coast leaves at a quarter past nine.", "hibari", None),
    (
        "names",
        "After breakfast, Alice Baker, her brother Tom, and two friends from Boston walked along the river to the old "
        "mill.",
        "joe",
        None,
    ),
    ("digits", "Seven, three, zero, five, nine, one.", "hibari", None),
    ("wake-word", "Computer.", "joe", None),
    ("kitchen", "Could you tell me when the water is boiling?", "hibari", 12.0),
    ("nobody", "", "", None),
)

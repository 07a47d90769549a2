"""How answers are judged: word errors, accuracy, and how far they would scatter."""

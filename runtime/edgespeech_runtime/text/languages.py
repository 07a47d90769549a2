"""Names of languages as people write them, and the tokens that a vocabulary has for them."""

from collections.abc import Mapping

from ..errors import ArgumentError


def language_id(languages: Mapping[str, int], name: str) -> int:
    """Return the token id of a language: by its full name ("de_DE"), or by the part before "_" where one has it ("de").

    Upper and lower case, "-" and "_" count as the same. Raises ArgumentError, which lists the known languages, for any
    other name.
    """
    if not languages:
        raise ArgumentError(f"language {name!r}: this model has no tokens for languages; leave the language out")
    if name in languages:
        return languages[name]
    wanted = _folded(name)
    folded = {own: _folded(own) for own in languages}
    same = [own for own, text in folded.items() if text == wanted]
    begins = [own for own, text in folded.items() if text.partition("_")[0] == wanted]
    for matches in (same, begins):
        if len(matches) == 1:
            return languages[matches[0]]
        if matches:
            raise ArgumentError(f"language {name!r} may be any of {', '.join(sorted(matches))}; choose one of them")
    raise ArgumentError(f"language {name!r} is unknown; this model knows {', '.join(sorted(languages))}")


def _folded(name: str) -> str:
    return name.strip().replace("-", "_").lower()

"""From JSON values to frozen dataclasses, checked against their annotations. It knows no field of the manifest."""

from typing import Any

from ..errors import BundleError
from ..typed import JSON, MismatchError, MissingError, fitted


def build(kind: Any, value: Any, where: str) -> Any:
    """Make a `kind` of the JSON `value` that stands at `where` ("audio.hop"; "" is the whole document).

    See `typed.fitted`. Raises BundleError, one line that says where, what was expected and what came.
    """
    try:
        return fitted(kind, value, where, JSON)
    except MissingError as error:
        raise BundleError(f"edgespeech.json: {error}: export the bundle again") from None
    except MismatchError as error:
        raise BundleError(f"edgespeech.json: {error}") from None

"""Pick the class by the checkpoint's `model_type`."""

import os
from typing import Any

from edgespeech.checkpoint import read_json, resolve
from edgespeech.configuration import CONFIG
from edgespeech.errors import UnknownModelError
from edgespeech.models.ctc import SpeechForCTC
from edgespeech.models.hubert import HubertForCTC
from edgespeech.models.unispeech import UniSpeechForCTC
from edgespeech.models.wav2vec2 import Wav2Vec2ForCTC

CTC_CLASSES: dict[str, type[SpeechForCTC]] = {
    kind.config_class.model_type: kind for kind in (Wav2Vec2ForCTC, HubertForCTC, UniSpeechForCTC)
}


class AutoModelForCTC:
    """Loads the CTC model that a checkpoint holds."""

    @staticmethod
    def from_pretrained(checkpoint: str | os.PathLike[str], **options: Any) -> SpeechForCTC:
        """Load a checkpoint folder or hub id; `options` as for the family's class.

        Raises:
            UnknownModelError: a `model_type` without a CTC model here; the message lists those there are.
        """
        folder = resolve(checkpoint)
        found = read_json(folder / CONFIG).get("model_type")
        if found not in CTC_CLASSES:
            known = ", ".join(sorted(CTC_CLASSES))
            raise UnknownModelError(f"{folder / CONFIG} has model_type {found!r}; CTC models are known for: {known}")
        return CTC_CLASSES[found].from_pretrained(checkpoint, **options)

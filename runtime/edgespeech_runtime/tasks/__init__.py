"""One module per task, and the table of their classes. To add one: a module, a line here, its graphs in `contracts`.

An encoder with one more head is a `HeadModel`: it runs already, and its module says only what the output means.
"""

from typing import TypeAlias

from ..choices import Task
from .classification import ClassificationModel, FrameClassificationModel
from .ctc import CtcModel
from .embedding import EmbeddingModel
from .encoder_decoder import EncoderDecoderModel
from .features import FeatureModel
from .model import Model

AnyModel: TypeAlias = (
    CtcModel | ClassificationModel | FrameClassificationModel | EmbeddingModel | FeatureModel | EncoderDecoderModel
)

TASKS: dict[Task, type[AnyModel]] = {
    "ctc": CtcModel,
    "audio-classification": ClassificationModel,
    "audio-frame-classification": FrameClassificationModel,
    "audio-xvector": EmbeddingModel,
    "feature-extraction": FeatureModel,
    "encoder-decoder": EncoderDecoderModel,
}

__all__ = ["TASKS", "AnyModel", "ClassificationModel", "CtcModel", "EmbeddingModel", "EncoderDecoderModel"]
__all__ += ["FeatureModel", "FrameClassificationModel", "Model"]

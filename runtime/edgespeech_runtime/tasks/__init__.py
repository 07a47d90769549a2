"""One module per task, and the table of their classes. To add one: a module, a line here, its graphs in `contracts`."""

from ..contracts import Task
from .ctc import CtcModel
from .encoder_decoder import EncoderDecoderModel
from .model import Model

TASKS: dict[Task, type[CtcModel] | type[EncoderDecoderModel]] = {
    "ctc": CtcModel,
    "encoder-decoder": EncoderDecoderModel,
}

__all__ = ["TASKS", "CtcModel", "EncoderDecoderModel", "Model"]

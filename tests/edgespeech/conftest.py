"""What the tests of the reference models share."""

import torch
import transformers

torch.set_num_threads(1)  # the models are tiny

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()

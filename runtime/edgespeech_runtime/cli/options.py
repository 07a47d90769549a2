"""The options of commands that run models, in a form that argparse and click can both be given."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..choices import BATCH_SIZE, THRESHOLD, Checksums, Timestamps

# What follows an option: nothing, text, a path, the path of a file, a whole number of at least 1, a number, one above
# 0, one from 0 to 1, a latency by its name or in milliseconds.
Kind = Literal["flag", "text", "path", "file", "count", "number", "positive", "probability", "latency"]
LATENCIES = ("low", "balanced", "high")


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        flag: as it is typed.
        help: one line; a default that is not None stands in it.
        kind: what follows it.
        metavar: what that is called in the help; None: after its kind.
        choices: the only words that may follow.
        default: the value where it is not given; that of a flag is False.
        is_repeated: whether it may be given several times; the value is a tuple then.
        name: of the value, if it is not that of the flag.
    """

    flag: str
    help: str
    kind: Kind = "text"
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    default: Any = None
    is_repeated: bool = False
    name: str | None = None

    @property
    def destination(self) -> str:
        """The name of its value."""
        return self.name or self.flag.removeprefix("--").replace("-", "_")


DEVICE_HELP = "Where to run: cpu, gpu, npu, auto or an exact name; give it again for what to try next.  [default: cpu]"
DEVICE = Option("--device", DEVICE_HELP, default=("cpu",), is_repeated=True)
RUN_ON = Option("--run-on", DEVICE_HELP, metavar="DEVICE", default=("cpu",), is_repeated=True)
THREADS = Option("--threads", "Threads of the engine; its own choice if not given.", "count")
CHANNEL = Option("--channel", "Take one channel, 1 is the first, not the mean of all.", "count")
JSON = Option("--json", "Print JSON.", "flag", name="as_json")

DECODER = (
    Option("--num-beams", "Hypotheses kept in the search of an encoder-decoder.", "count"),
    Option("--language", "Language that an encoder-decoder shall write, by name: de_DE, de.", metavar="NAME"),
    Option("--max-new-tokens", "Tokens that an encoder-decoder writes at most.", "count"),
)
SEARCH = (
    Option("--beams", "Search with so many beams (CTC models).", "count"),
    Option(
        "--lm",
        "Search with this n-gram language model; 100 beams if --beams is not given.",
        "path",
        "FILE",
    ),
    Option("--no-lm", "Search without the language model that the bundle carries.", "flag"),
    Option("--alpha", "Weight of the language model.  [default: 0.5]", "number"),
    Option("--beta", "Added to the score of each word, with a language model.  [default: 1.5]", "number"),
    Option(
        "--hotword",
        "Prefer this word or phrase, weight 10 if not given; may be given again.",
        metavar="PHRASE[=WEIGHT]",
        is_repeated=True,
        default=(),
    ),
)
N_BEST = Option("--n-best", "Print so many texts of the search, with scores.", "count")

AUDIO = (
    Option("--output", "Write a file for each sound file into this folder.", "path"),
    Option("--force", "Replace files that are there.", "flag"),
    Option("--skip-existing", "Leave out sound files whose results are there, to resume.", "flag"),
    Option("--recursive", "Take the sound files in the folders below a folder too.", "flag"),
    CHANNEL,
    Option("--allow-truncated", "Take what is there of files that are cut off.", "flag"),
    DEVICE,
    THREADS,
    Option(
        "--streams",
        "Batches that run at the same time and share the threads.  [default: of 16 files and more, one per thread, at "
        "most 4; else 1]",
        "count",
    ),
    Option(
        "--batch-size",
        f"Files that run together.  [default: {BATCH_SIZE}]",
        "count",
        default=BATCH_SIZE,
    ),
    Option(
        "--checksums",
        "When to check the bundle's files: always, once until a file changes, or never.  [default: always]",
        choices=get_args(Checksums),
        default="always",
    ),
    Option("--quiet", "Show no progress.", "flag"),
)
TRANSCRIBE = (
    Option("--timestamps", "Print words or characters with their times.", choices=get_args(Timestamps)),
    Option("--json", "Print a line of JSON for each file, with words and times.", "flag", name="as_json"),
    Option("--srt", "Write SubRip subtitles.", "flag"),
    Option("--vtt", "Write WebVTT subtitles.", "flag"),
    Option("--stream", "Print each text while it comes into being, one file at a time.", "flag"),
    *DECODER,
    Option(
        "--times-from",
        "A CTC model that finds the times of what an encoder-decoder writes.",
        "path",
        "BUNDLE",
    ),
    Option(
        "--vad",
        "Silero's ONNX file, which says where speech is; else all but silence and steady noise may be.",
        "path",
        "FILE",
    ),
    Option("--run-silence", "Run a CTC model on the silence of long recordings too.", "flag"),
    *SEARCH,
    N_BEST,
    *AUDIO,
)
CLASSIFY = (
    Option("--top-k", "Labels of an utterance, the best first.  [default: 1]", "count"),
    Option(
        "--threshold",
        f"Probability above which a label is true in a frame.  [default: {THRESHOLD}]",
        "probability",
    ),
    Option("--json", "Print a line of JSON for each file.", "flag", name="as_json"),
    *AUDIO,
)
LIVE = (
    Option("--device", "Microphone, by number or part of its name; see --list-devices.", metavar="N"),
    Option("--list-devices", "Print the microphones of this machine.", "flag"),
    Option("--from", "Play this sound file.", "file", "FILE", name="file"),
    Option("--speed", "So many times faster.  [default: 1]", "positive"),
    CHANNEL,
    Option(
        "--latency",
        "Sound that a word waits for (CTC), or the pause that a text waits for: low, balanced, high, or milliseconds.  "
        "[default: balanced]",
        "latency",
        "LATENCY",
        default="balanced",
    ),
    Option("--after-speech", "Silence that ends an utterance.  [default: 1.2]", "number", "S"),
    Option("--without-speech", "Silence that ends an empty one.  [default: 2.4]", "number", "S"),
    Option("--longest", "Longest utterance.  [default: 20]", "number", "S"),
    Option("--srt", "Write SubRip subtitles.", "file", "FILE"),
    Option("--force", "Replace the file of --srt.", "flag"),
    Option("--json", "Print a line of JSON for each event, partial and final.", "flag", name="as_json"),
    *DECODER,
    *SEARCH,
    RUN_ON,
    THREADS,
)

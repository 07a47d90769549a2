"""Write the goldens of this folder with KenLM's programs: python make.py FOLDER_OF_PROGRAMS

FOLDER_OF_PROGRAMS holds `lmplz`, `build_binary` and `query` of KenLM 0.3.0, built with cmake. `sentences.txt` are
lines of a book in the public domain (Oscar Wilde, An Ideal Husband). What is written: README.md.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BINARIES = {
    "three.probing": ("three", "probing", []),
    "three.rest": ("three", "probing", ["-r", "one.arpa two.arpa"]),
    "three.trie": ("three", "trie", []),
    "three.quantized-trie": ("three", "trie", ["-q", "6", "-b", "5"]),
    "three.array-trie": ("three", "trie", ["-a", "22"]),
    "three.quantized-array-trie": ("three", "trie", ["-q", "8", "-b", "4", "-a", "255"]),
    "two.quantized-array-trie": ("two", "trie", ["-q", "4", "-b", "4", "-a", "22"]),
    "three.no-words": ("three", "trie", ["-v"]),
}
ORDERS = {"one": 1, "two": 2, "three": 3}


def main(programs: Path) -> None:
    def run(name: str, *arguments: str, text: str | None = None) -> str:
        command = [programs / name, *arguments]
        return subprocess.run(command, cwd=HERE, input=text, text=True, capture_output=True, check=True).stdout

    for name, order in ORDERS.items():
        run("lmplz", "-o", str(order), "-S", "100M", "--text", "sentences.txt", "--arpa", f"{name}.arpa")
    run("lmplz", "-o", "3", "-S", "100M", "--prune", "0", "0", "1", "--text", "sentences.txt", "--arpa", "pruned.arpa")
    for file, (source, kind, options) in BINARIES.items():
        run("build_binary", *options, kind, f"{source}.arpa", file)
    queries = (HERE / "queries.txt").read_text()
    scores = {
        file: {
            "sentence": read(run("query", "-v", "word", file, text=queries)),
            "plain": read(run("query", "-n", "-v", "word", file, text=queries)),
        }
        for file in [*BINARIES, "two.arpa", "three.arpa"]
    }
    (HERE / "scores.json").write_text(json.dumps(scores) + "\n")
    (HERE / "one.arpa").unlink()


def read(output: str) -> list[float]:
    """The log10 probabilities of all words, sentence after sentence; with boundaries, </s> too."""
    return [float(each.rpartition(" ")[2]) for each in output.split("\t") if "=" in each]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

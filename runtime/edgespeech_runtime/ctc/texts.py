"""The texts that beams have written in some frames, each in a row that is kept while they come back to it."""

from typing import NamedTuple

import numpy as np

from .alphabet import TokenTable
from .beams import (
    CONTEXT,
    HOT,
    HOTWORDS,
    JUDGED,
    LENGTH,
    MODEL,
    NEXT,
    OF_TEXT,
    OPEN,
    PART,
    PREFIX,
    SCORES_OF_TEXT,
    TAIL,
    TEXT,
    UNBOOSTED,
    Beams,
    Bools,
    Floats,
    Ints,
)
from .judging import TEXTS, Ended, Judge
from .paths import PathTree

CELLS = 1 << 20  # rows times columns, beyond which a search begins with new ones
STAYS = 0  # the column of the blank, and of a token that comes again: the text stays as it is
MIXED, SHORT = OF_TEXT, OF_TEXT + 1  # further rows of numbers: parts of the keys of texts, and of their last words


class Growth(NamedTuple):
    """Texts that are new: the cells that lead to them, those they come of, and what is added to their logits.

    `before` are the texts that they come of; `ended` what these are where their words end, None where none does.
    """

    cells: Ints
    before: Beams
    judged: Floats
    unboosted: Floats
    ended: Ended | None


class TextTable:
    """Arrays over texts, and a table of where tokens lead from each.

    `numbers` and `scores` are those of beams that belong to texts, by row. `children` are the rows behind tokens (-1:
    none yet), at `row * width + column`. A text that is reached in two ways may have two rows: texts are told apart by
    their keys alone.
    """

    def __init__(self, table: TokenTable, tokens: Ints, ends: Bools, judge: Judge) -> None:
        """`tokens` of the columns, the first of which is the blank; `ends`: there the token ends the word before it."""
        self._judge, self.width, self._tokens, self._ends = judge, len(tokens), tokens, ends
        self._factors, self._terms = table.factors.take(tokens), table.terms.take(tokens)
        self._lengths, self._letters = table.lengths.take(tokens), table.texts
        self.count = 0
        self.numbers, self.scores = np.empty((OF_TEXT + 2, 0), np.int64), np.empty((SCORES_OF_TEXT, 0))
        self.children, self._parents = np.empty(0, np.int64), np.empty(0, np.int64)
        self._first: tuple[Beams, PathTree] | None = None

    @property
    def is_full(self) -> bool:
        """Whether it is time to begin anew."""
        return self.count * self.width > CELLS

    def _reserve(self, rows: int) -> None:
        """Room for so many more rows."""
        room, needed = len(self._parents), self.count + rows
        if needed <= room:
            return
        more = max(256, room, needed - room)
        self.numbers = np.concatenate([self.numbers, np.empty((len(self.numbers), more), np.int64)], axis=1)
        self.scores = np.concatenate([self.scores, np.empty((len(self.scores), more))], axis=1)
        self._parents = np.concatenate([self._parents, np.empty(more, np.int64)])
        self.children = np.concatenate([self.children, np.full(more * self.width, -1)])

    def hot(self, rows: Ints) -> Ints:
        """The states of the hotwords of some texts."""
        return self.numbers[HOT].take(rows)

    def begin(self, beams: Beams, tree: PathTree) -> Ints:
        """The rows of the texts of beams, with which a table begins."""
        self._first = beams, tree
        numbers = np.empty((len(self.numbers), beams.width), np.int64)
        numbers[:OF_TEXT] = beams.numbers[:OF_TEXT]
        return self._add(Beams(numbers, beams.scores[:SCORES_OF_TEXT]), np.full(beams.width, -1))

    def grow(self, new: Growth) -> Ints:
        """Rows for new texts."""
        cells, (numbers, scores), ended = new.cells, new.before, new.ended
        columns = cells % self.width
        if ended is not None:
            broken = self._ends.take(columns).nonzero()[0]
            if len(broken):
                for row, values in ((TEXT, ended.text), (TAIL, ended.tail), (CONTEXT, ended.context), (HOT, ended.hot)):
                    numbers[row, broken] = values.take(broken)
                scores[MODEL, broken], scores[HOTWORDS, broken] = ended.model.take(broken), ended.hotwords.take(broken)
                numbers[PART, broken] = numbers[LENGTH, broken] = numbers[PREFIX, broken] = 0
        part, lengths = numbers[PART], numbers[LENGTH]
        part *= self._factors.take(columns)
        part += self._terms.take(columns)
        lengths += self._lengths.take(columns)
        numbers[NEXT] = OPEN
        if ended is not None:
            silent = (lengths == 0).nonzero()[0]
            numbers[NEXT, silent] = numbers[CONTEXT, silent]
        if self._judge.prefixes is not None:
            numbers[PREFIX] = self._judge.prefixes.reached(numbers[PREFIX], columns)
        if self._judge.hot is not None:
            self._judge.prepare(new.before)
            numbers[HOT] = self._judge.hot.reached(numbers[HOT], columns)
        scores[JUDGED], scores[UNBOOSTED] = new.judged, new.unboosted
        added = self._add(Beams(numbers, scores), cells)
        self.children[cells] = added
        return added

    def _add(self, texts: Beams, parents: Ints) -> Ints:
        numbers, scores = texts
        self._judge.prepare(texts)
        self._reserve(texts.width)
        start, stop = self.count, self.count + texts.width
        self.count = stop
        np.multiply(numbers[TEXT], TEXTS, out=numbers[MIXED])
        np.multiply(numbers[TAIL], TEXTS, out=numbers[SHORT])
        numbers[SHORT] += numbers[PART]
        self.numbers[:, start:stop], self.scores[:, start:stop] = numbers, scores
        self._parents[start:stop] = parents
        rows = np.arange(start, stop)
        self.children[start * self.width : stop * self.width : self.width] = rows  # column STAYS
        return rows

    def word(self, row: int) -> str:
        """The word that is being written, as far as it is written."""
        letters: list[str] = []
        while row >= 0 and self.numbers[LENGTH, row]:
            cell = int(self._parents[row])
            if cell < 0:
                if self._first is not None:
                    beams, tree = self._first
                    letters.extend(self._letters[token] for token in reversed(tree.word(beams, row)))
                break
            row, column = divmod(cell, self.width)
            letters.append(self._letters[int(self._tokens[column])])
            if self._ends[column]:
                break
        return "".join(reversed(letters))

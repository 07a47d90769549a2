"""Two texts side by side, word by word, and how many words are wrong."""

Pair = tuple[int | None, int | None]  # indices into what was expected and what was answered; None: a gap


def align(expected: list[str], answered: list[str]) -> list[Pair]:
    """Pair the words of two texts so that the fewest pairs differ (Levenshtein's distance on words)."""
    rows, columns = len(expected), len(answered)
    costs = [[0] * (columns + 1) for _ in range(rows + 1)]  # of the words from (row, column) to the ends
    for row in range(rows, -1, -1):
        for column in range(columns, -1, -1):
            costs[row][column] = _cost(costs, expected, answered, row, column)
    pairs: list[Pair] = []
    row = column = 0
    while row < rows or column < columns:
        if row < rows and column < columns:
            differs = expected[row] != answered[column]
            if costs[row][column] == costs[row + 1][column + 1] + differs:
                pairs.append((row, column))
                row, column = row + 1, column + 1
                continue
        if row < rows and costs[row][column] == costs[row + 1][column] + 1:
            pairs.append((row, None))
            row += 1
        else:
            pairs.append((None, column))
            column += 1
    return pairs


def _cost(costs: list[list[int]], expected: list[str], answered: list[str], row: int, column: int) -> int:
    if row == len(expected) or column == len(answered):
        return len(expected) - row + len(answered) - column
    differs = expected[row] != answered[column]
    return min(costs[row + 1][column + 1] + differs, costs[row + 1][column] + 1, costs[row][column + 1] + 1)

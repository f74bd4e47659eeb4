"""The table."""
import statistics

from benchmarks import figures

_HEAD = ("figure", "ours", "", "peer", "", "ratio", "of the rounds", "target",
         "reached")


def table(lines, results):
    """Return the table as text; it is Markdown as well.

    The ratio is that of the medians; next to it stand the lowest and highest
    ratio in any one round, which tell how far to believe it.
    """
    rows = [_HEAD] + [_row(line, results) for line in lines
                      if line.ours[1] in results and line.peer[1] in results]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join("| " + " | ".join(
        cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows)


def _row(line, results):
    factor, digits, isInverse = figures.UNITS[line.unit]

    def values(side):
        return [1 / found[line.field] if isInverse else found[line.field]
                for found in results[side[1]]]

    ours, peer = values(line.ours), values(line.peer)
    mine, other = statistics.median(ours), statistics.median(peer)
    ratio = mine / other
    ratios = [a / b for a, b in zip(ours, peer)]
    target, reached = line.target or "", ""
    if target:
        sign, limit = target.split()
        value = mine * factor if line.isAbsolute else ratio
        isReached = (value >= float(limit) if sign == ">="
                     else value <= float(limit))
        reached = "yes" if isReached else "NO"
        if line.isAbsolute:
            target = "{} {}".format(target, line.unit)

    def shown(value):
        return "{:,.{}f} {}".format(value * factor, digits, line.unit).replace(
            ",", " ")

    return (line.figure, figures.LABELS[line.ours[0]], shown(mine),
            figures.LABELS[line.peer[0]], shown(other), "{:.2f}".format(ratio),
            "{:.2f}..{:.2f}".format(min(ratios), max(ratios)), target, reached)

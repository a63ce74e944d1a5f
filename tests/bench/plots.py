# SPDX-License-Identifier: BSD-3-Clause
"""The results as pictures: one SVG for each unit, bars by cell."""

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402

BARS = 0.8  # share of the distance between two cells


def _plot(path, unit, rows, peers):
    labels = [f"{row['rings']}, {row['direction']}, {row['size']} B"
              + (", idle" if row["load"] == "idle" else "") for row in rows]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.45 * len(rows)))
    bar = BARS / len(peers)
    for index, peer in enumerate(peers):
        axes.barh([place + (index + 0.5) * bar - BARS / 2 for place in range(len(rows))],
                  [row[peer] or 0 for row in rows], bar, label=peer)
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def write(directory, rows, peers):
    by_unit = {}
    for row in rows:
        by_unit.setdefault(row["unit"], []).append(row)
    for unit, group in by_unit.items():
        name = unit.replace("/", "-per-").replace(" ", "-")
        _plot(directory / f"{name}.svg", unit, group, peers)

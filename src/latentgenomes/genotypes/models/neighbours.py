"""Which earlier rows resemble a row most just before a column: the positional Burrows-Wheeler order,
compiled.

Rows are kept sorted by their values read backwards from the column (`order`), with the column where each
began to agree with the row above it (`starts`). The rows of a column are coded in their own order 0, 1, ...,
so a row may look at those with a lower number only. All its neighbours among these, nearest first, come from
one linked list, out of which rows are taken from the last to the first:

    for i = n - 1 ... 0:    neighbours of i = the rows above and below it in the list;    take i out

When a row is taken out, the one below it agrees with the one above it since the later of the two starts.

| name in code | shape | what |
|---|---|---|
| `order`, `starts` | (n,) | rows, sorted; the column since which each agrees with the one before |
| `near` | (n, 2 N_NEAR) | rows above, nearest first, then below; -1 for none |
| `since` | (n, 2 N_NEAR) | column since which they agree |

References
----------
Durbin 2014, Bioinformatics 30:1266-1272, algorithms 1 and 2.
"""

import numpy as np
from numba import njit

N_NEAR = 6  # on either side


@njit(cache=True, nogil=True)
def find_neighbours(order, starts, active, column, links, near, since):  # type: ignore[no-untyped-def]
    """Fill in `near` and `since` of the active rows (n,) before a column; `links` (3, n + 2) is room to
    work.
    """
    n = len(order)
    above, below, start = links[0], links[1], links[2]
    last, latest = n, column + 1
    for k in range(n):
        row = order[k]
        latest = max(latest, starts[k])
        if not active[row]:
            continue
        above[row], below[last], start[row] = last, row, latest
        last, latest = row, 0
    below[last], above[n + 1], start[n + 1] = n + 1, last, column + 1
    start[below[n]] = column + 1
    for row in range(n - 1, -1, -1):
        if not active[row]:
            continue
        other, agreed = above[row], start[row]
        for k in range(N_NEAR):
            if other == n:
                near[row, k], since[row, k] = -1, column + 1
            else:
                near[row, k], since[row, k] = other, agreed
                agreed = max(agreed, start[other])
                other = above[other]
        other, agreed = below[row], start[below[row]]
        for k in range(N_NEAR):
            if other == n + 1:
                near[row, N_NEAR + k], since[row, N_NEAR + k] = -1, column + 1
            else:
                near[row, N_NEAR + k], since[row, N_NEAR + k] = other, agreed
                other = below[other]
                agreed = max(agreed, start[other])
        before, after = above[row], below[row]
        below[before], above[after] = after, before
        start[after] = max(start[after], start[row])


@njit(cache=True, nogil=True)
def sort_on(order, starts, values, column, room):  # type: ignore[no-untyped-def]
    """Sort rows on by their values (n,) of 0 and 1 in a column, in place; `room` (2, n) is room to work."""
    n, n_ones = len(order), 0
    n_zeros = 0
    zero_start = one_start = column + 1
    for k in range(n):
        row, start = order[k], starts[k]
        zero_start = max(zero_start, start)
        one_start = max(one_start, start)
        if values[row]:
            room[0, n_ones], room[1, n_ones] = row, one_start
            n_ones += 1
            one_start = 0
        else:
            order[n_zeros], starts[n_zeros] = row, zero_start
            n_zeros += 1
            zero_start = 0
    for k in range(n_ones):
        order[n_zeros + k], starts[n_zeros + k] = room[0, k], room[1, k]


def new_order(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Order and starts before the first column."""
    return np.arange(n_rows), np.zeros(n_rows, dtype=np.int64)

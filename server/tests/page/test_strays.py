"""Points of the future and of 1970 spoil no chart, and can be looked at and deleted."""

from __future__ import annotations

from typing import Any

import pytest
from live import Live

from iobeam_server.rights.tokens import READ
from tests.page.test_page import now_us
from tests.page.test_view import call

S = 1_000_000
DAY = 86_400 * S
YEAR = 31_557_600 * S


@pytest.mark.parametrize(
    ("buckets", "found"),
    [
        ([], None),
        ([(0, 1)], None),
        ([(0, 1), (9, 500)], None),  # nine years are an outage
        ([(0, 1), (11, 500)], (1, 0, 11)),
        ([(0, 5), (11, 500)], (5, 0, 11)),
        ([(0, 6), (11, 500)], None),  # more than a hundredth
        ([(0, 1), (1, 1), (45, 900), (46, 900)], (2, 0, 45)),
        ([(0, 1), (20, 1), (45, 900)], (2, 0, 45)),
        ([(0, 1), (11, 1)], (1, 0, 11)),
    ],
)
def test_what_lies_decades_before_the_rest(
    visit: Any, buckets: list[tuple[int, int]], found: Any
) -> None:
    visit.open()
    given = [{"time": year * YEAR, "count": count} for year, count in buckets]
    said = call(visit, "strays", "before", given)
    assert (said and (said["count"], said["from"], said["to"] + 1)) == (
        found and (found[0], found[1] * YEAR // 1_000, found[2] * YEAR // 1_000)
    )


def rows() -> list[list[int]]:
    return [[now_us() - n * 60 * S, n] for n in range(200)]


def choose_everything(visit: Any, token: str = "") -> None:
    visit.sign_in(token)
    visit.wait_for("#caption", "point")
    visit.page.select_option("#range", "all")


def test_a_point_of_the_future_is_shown_and_deleted_when_asked(visit: Any, live: Live) -> None:
    ahead = now_us() + 400 * DAY
    live.send(["time", "a"], [*rows(), [ahead, 7]])
    choose_everything(visit)
    visit.wait_for("#caption", "200 points")
    visit.wait_for("#strays-text", "One point is of the future, up to ")
    visit.page.click("#strays-show")
    visit.wait_for("#caption", "1 point from")
    visit.page.click("#undo")
    visit.wait_for("#caption", "200 points")
    visit.page.click("#strays-delete")
    assert len(live.points("1/dev-1/a")["a"]) == 201
    visit.wait_for("#strays-delete", "Delete for good: 1")
    visit.page.click("#strays-delete")
    visit.until(
        lambda: visit.page.locator("#strays").is_hidden(), lambda: "it is offered all the same"
    )
    assert len(live.points("1/dev-1/a")["a"]) == 200


def test_points_of_1970_are_left_out_of_everything(visit: Any, live: Live) -> None:
    live.send(["time", "a"], [*rows(), [5 * S, 1], [6 * S, 2]])
    choose_everything(visit, live.make_token(READ))
    visit.wait_for("#caption", "200 points")
    visit.wait_for("#strays-text", "2 points are of long ago, from 1970-01-01")
    assert visit.page.locator("#strays-delete").is_hidden()  # without admin
    visit.page.click("#strays-show")
    visit.wait_for("#caption", "2 points from 1970-01-01")


def test_nothing_is_offered_where_all_is_well(visit: Any, live: Live) -> None:
    live.send(["time", "a"], rows())
    choose_everything(visit)
    visit.wait_for("#caption", "200 points")
    assert visit.page.locator("#strays").is_hidden()

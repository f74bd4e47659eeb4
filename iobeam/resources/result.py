"""What a query found."""
from __future__ import absolute_import

_PER_UNIT = {"sec": 1000000, "msec": 1000, "usec": 1}  # us


class Result(dict):
    """The answer to a query: the backend's dict, and a table in notebooks."""

    def _repr_html_(self):
        try:
            return _shown(self)
        except Exception:  # no answer of this shape: its repr will do
            return None


def _shown(found):
    from iobeam.utils import markup
    series = found["result"]
    points = sum(len(one["data"]) for one in series)
    rows, left = [], markup.MOST_ROWS
    for number, one in enumerate(series):
        if not left:
            break
        count = min(len(one["data"]), max(1, left // (len(series) - number)))
        rows += [[one["device_id"], one["name"],
                  _time(point["time"], found.get("timefmt", "msec"), markup),
                  point["value"]] for point in one["data"][-count:]]
        left -= count
    title = u"{:,} points in {:,} series".format(points, len(series))
    if points > len(rows):
        title += u", {} of the newest shown".format(len(rows))
    return markup.table(title, ["device", "series", "time", "value"], rows)


def _time(moment, unit, markup):
    if unit not in _PER_UNIT:
        return moment
    return markup.moment(moment * _PER_UNIT[unit])

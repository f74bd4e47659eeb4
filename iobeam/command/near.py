"""What somebody may have meant who asked for a name that is not there. Pure."""
from __future__ import absolute_import

import difflib

from iobeam.utils import compat

_SHOWN = 10  # names in a message
_LIKENESS = 0.6  # of 1; difflib's own default


def names(wanted, known):
    """Say which names there are, the most similar ones first.

    Args:
        wanted (str): the name that is not there.
        known (iterable of str): those that are.

    Returns:
        text: such as "temperature, humidity and 3 more"; "none" for no names.
    """
    wanted = compat.toText(wanted).lower()
    known = sorted(set(compat.toText(name) for name in known))
    likeness = dict((name, difflib.SequenceMatcher(
        None, wanted, name.lower()).ratio()) for name in known)
    known.sort(key=lambda name: -likeness[name]
               if likeness[name] >= _LIKENESS else 0)
    more = u" and {} more".format(len(known) - _SHOWN) \
        if len(known) > _SHOWN else u""
    return (u", ".join(known[:_SHOWN]) + more) or u"none"

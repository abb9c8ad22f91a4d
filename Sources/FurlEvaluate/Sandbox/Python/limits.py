"""Limits this process, for good, before it does anything else: a program for it would be one more to start, and to show.

The first argument says how, as `NAME:soft:hard` with blanks between.
"""

import resource, sys


def limit():
    for entry in sys.argv.pop(1).split():
        name, *wanted = entry.split(':')
        kind = getattr(resource, 'RLIMIT_' + name, None)
        if kind is not None:
            most = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, [int(value) if most < 0 else min(int(value), most) for value in wanted])


limit()
del limit, resource

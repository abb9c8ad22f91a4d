"""Iterators, on both sides of the pipe.

An iterator that a program answers stays where it is; the test has one of the same type that asks it for each value, so
that what happens between two values happens when it does in one process. Iterators over containers that nobody else
holds are made anew. One that a test passes is used up first, and the program must use up all of it as well.
"""

import itertools

# Made anew from what they were made of.
REMADE = frozenset(
    'list_iterator tuple_iterator str_iterator str_ascii_iterator bytes_iterator bytearray_iterator range_iterator '
    'longrange_iterator list_reverseiterator permutations combinations combinations_with_replacement product'.split())
ENTRIES = {'dict_keyiterator': 'keys', 'dict_valueiterator': 'values', 'dict_itemiterator': 'items', 'set_iterator': ''}
# How an iterator of a type is made of one of any type.
WRAPPED = {
    'map': lambda it: map(lambda item: item, it), 'filter': lambda it: filter(lambda _: True, it),
    'chain': lambda it: itertools.chain(it), 'islice': lambda it: itertools.islice(it, None),
    'accumulate': lambda it: itertools.accumulate(it, lambda _, item: item),
    'takewhile': lambda it: itertools.takewhile(lambda _: True, it),
    'dropwhile': lambda it: itertools.dropwhile(lambda _: False, it),
    'filterfalse': lambda it: itertools.filterfalse(lambda _: False, it),
    'compress': lambda it: itertools.compress(it, itertools.repeat(True)),
    'starmap': lambda it: itertools.starmap(lambda item: item, zip(it)),
}


def is_iterator(value, kind):
    """Whether it is one of Python's own: those of a program's classes may do more than iterate."""
    module = kind.__module__
    if not (module == 'itertools' and origin(kind) or module == 'builtins' and not kind.__flags__ & DYNAMIC):
        return False
    try:
        return iter(value) is value
    except TypeError:
        return False


def put_iterator(writer, value, kind):
    if writer.is_said(value):
        return
    heap, name = writer.heap, kind.__name__
    try:
        given = described_iterator(value, name, heap.lasts and writer.is_answer)
    except (TypeError, AttributeError, IndexError, ValueError):
        raise not_plain(kind)
    if given is None:
        raise not_plain(kind)
    place = heap.number()
    heap.put(place, value)
    if given[0] == 'remote':
        heap.remote.add(place)
    elif given[0] == 'remade':
        heap.moved.add(place)
    else:
        given += spent(heap, value, writer.left),
    writer.parts.append(b'I')
    writer.put((name,) + given)


def described_iterator(value, name, is_shared):
    """How it is sent and what the other side needs to make one of its type; nil where there is no way."""
    way = 'remote' if is_shared else 'spent'
    if name == 'generator':
        return way, (value.__name__, value.__qualname__)
    if name in ('zip', 'zip_longest'):
        return way, len(value.__reduce__()[1])
    if name == 'enumerate':
        return way, value.__reduce__()[1][1]
    if name == 'reversed':
        return way, value.__length_hint__()
    if name in WRAPPED:
        return way, None
    if not is_shared:
        # What depends on others than itself cannot be used up alone.
        return None if name in ('groupby', '_grouper', '_tee') else (way, None)
    if name in REMADE:
        _, source, *state = value.__reduce__()
        return 'remade', (source, [at for at in state if at is not None])
    if name in ENTRIES:
        source = library('gc').get_referents(value)
        if len(source) == 1 and len(source[0]) == value.__length_hint__():
            return 'remade', source[0]


def spent(heap, value, left):
    known = heap.spent.get(id(value))
    if known:
        return known[1]
    try:
        # One more than may be, so that what is too long is found to be so.
        limit = min(max(left, 0), 1000000)
        items = tuple(itertools.islice(value, limit + 1))
    except MemoryError:
        raise
    except BaseException as error:
        # It would have been raised later, and perhaps not at all.
        raise NotPlain('%s raises %s' % (type(value).__name__, type(error).__name__))
    if len(items) > limit:
        raise NotPlain('%s of too many values' % type(value).__name__)
    heap.spent[id(value)] = value, items
    return items


# Of those that the other side has sent used up, what they are made of.
LENT = []


def is_lent():
    """Whether one is still not used up."""
    LENT[:] = [items for items in LENT if items.__length_hint__()]
    return bool(LENT)


def take_iterator(reader):
    place = reader.heap.number()
    name, way, detail, *items = reader.take()
    if way == 'remade':
        value = remade(name, detail)
    elif way == 'remote':
        heap = reader.heap
        value = one_of(name, detail, lambda how, given: PULL[0](heap, place, how, given))
    elif way == 'spent':
        items = iter(list(items[0]))
        LENT.append(items)
        known = name in WRAPPED or name in ('generator', 'zip', 'zip_longest', 'enumerate', 'reversed')
        value = one_of(name, detail, lambda how, given: local(items, how)) if known else items
    else:
        raise Malformed('an unknown iterator')
    reader.heap.put(place, value)
    return value


def remade(name, detail):
    if name in ENTRIES:
        return iter(getattr(detail, ENTRIES[name])() if ENTRIES[name] else detail)
    source, state = detail
    if name not in REMADE:
        raise Malformed('an unknown iterator')
    make = reversed if name == 'list_reverseiterator' else getattr(itertools, name, iter)
    value = make(*source)
    if state:
        value.__setstate__(*state)
    return value


def local(items, how):
    if how != 'close':
        for item in items:
            return True, item
    return False, None


def advance(iterator, how, given):
    """Whether it has a value, and the value or what it returns."""
    try:
        if how == 'close':
            return False, iterator.close()
        return True, next(iterator) if given is None else iterator.send(given)
    except StopIteration as error:
        return False, error.value


class Pulled:
    def __init__(self, pull):
        self.pull = pull

    def __iter__(self):
        return self

    def __next__(self):
        is_there, value = self.pull('next', None)
        if is_there:
            return value
        raise StopIteration(value)


class Columns:
    """Iterators over the places of tuples."""

    def __init__(self, items, count):
        self.items, self.row = items, None
        self.columns = [self.column(at) for at in range(count)]

    def column(self, at):
        while True:
            if at == 0:
                self.row = next(self.items, None)
            if self.row is None:
                return
            yield self.row[at]


class Backwards:
    def __init__(self, items, count):
        self.items, self.count = items, count

    def __len__(self):
        return self.count

    def __getitem__(self, _):
        return next(self.items)


def one_of(name, detail, pull):
    """An iterator of a type, over what `pull` gives."""
    if name == 'generator':
        value = relay(pull)
        value.__name__, value.__qualname__ = detail
        return value
    items = Pulled(pull)
    if name in ('zip', 'zip_longest'):
        make = zip if name == 'zip' else itertools.zip_longest
        return make(*Columns(items, detail).columns)
    if name == 'enumerate':
        return enumerate(map(lambda item: item[1], items), detail)
    if name == 'reversed':
        return reversed(Backwards(items, detail))
    if name not in WRAPPED:
        raise Malformed('an unknown iterator')
    return WRAPPED[name](items)


def relay(pull):
    how, given = 'next', None
    while True:
        is_there, value = pull(how, given)
        if not is_there:
            return value
        try:
            given = yield value
        except GeneratorExit:
            pull('close', None)
            raise
        except BaseException:
            REFUSE[0]('an exception in a generator')


def no_pull(*_):
    raise Malformed('an iterator of the other side')


PULL = [no_pull]

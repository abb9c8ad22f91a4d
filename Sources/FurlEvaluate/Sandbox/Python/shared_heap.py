"""What has an identity, and what becomes of it, on both sides of the pipe.

Both sides number containers and iterators in the same order. A test keeps one heap for all its calls (`lasts`): what the
program or the test changes in place is told with the next message, so that a list that both hold stays one list. What only
one side still holds is let go by both. After a value a message has changes (`a`, a number, the new content) and what is
let go (`-`, numbers).
"""


class Heap:
    """What has an identity, numbered as it is met."""

    def __init__(self, lasts=False):
        self.objects, self.places, self.contents = {}, {}, {}
        self.count, self.lasts, self.limit = 0, lasts, 64
        # Iterators that the other side asks for their values, that it has made anew, and that were used up to send them.
        self.remote, self.moved, self.spent = set(), set(), {}

    def number(self):
        self.count += 1
        return self.count - 1

    def put(self, place, value):
        self.objects[place] = value
        self.places[id(value)] = place

    def add(self, value):
        self.put(self.number(), value)

    def drop(self, place):
        self.contents.pop(place, None)
        self.remote.discard(place)
        self.moved.discard(place)
        if place in self.objects:
            self.places.pop(id(self.objects[place]), None)
            del self.objects[place]

    def forget(self, count):
        """Goes back to the first so many."""
        for place in range(count, self.count):
            self.drop(place)
        self.count = count


# References to what nothing but a heap holds, as `unshared` counts them.
ALONE = [sys.getrefcount(held[0]) for held in ({0: []},)][0]


def unshared(heap):
    """Drops what nobody else on this side holds, outermost first."""
    found = []
    for place in list(heap.objects):
        if place not in heap.remote and sys.getrefcount(heap.objects[place]) <= ALONE:
            found.append(place)
            heap.drop(place)
    return found


def released(heap):
    places = unshared(heap)
    if len(heap.objects) > heap.limit or heap.moved:
        # What hangs in cycles is let go, too.
        library('gc').collect()
        places += unshared(heap)
        heap.limit = 2 * len(heap.objects) + 64
    if heap.moved:
        raise NotPlain('an iterator that the program keeps')
    return b'-%s;' % b','.join([b'%x' % place for place in places]) if places else b''


def looker(heap):
    writer = Writer(heap, SLACK)
    writer.looks = True
    return writer


def content(writer, value):
    """What of a value cannot be told anew, and what can."""
    kind = type(value)
    tag = TAGS.get(kind) or base_tag(kind)
    writer.parts, writer.left = [], MAX_VALUES * SLACK
    if tag:
        writer.put_content(value, tag)
        own = (tag == b'G' and id(value.default_factory), attributes(value)) if kind.__flags__ & DYNAMIC or tag == b'G' else None
        return own, b''.join(writer.parts)
    writer.put(box_parts(value))
    return b''.join(writer.parts), b''


def note(heap):
    """Remembers the content of what is not remembered yet."""
    writer = looker(heap)
    for place, value in heap.objects.items():
        if place not in heap.contents:
            heap.contents[place] = content(writer, value)


def changes(heap, is_answer=True):
    """What became of what the other side knows, to be done to its own."""
    if not heap.contents:
        return b''
    changed, writer = [], looker(heap)
    for place, known in heap.contents.items():
        now = content(writer, heap.objects[place])
        if now[0] != known[0]:
            raise NotPlain('a change of %s' % type(heap.objects[place]).__name__)
        if now[1] != known[1]:
            changed.append(place)
    if not changed:
        return b''
    writer = Writer(heap, SLACK, is_answer)
    for place in changed:
        del heap.contents[place]
        value = heap.objects[place]
        writer.parts.append(b'a%x;' % place)
        deeply(writer.put_content, value, base_tag(type(value)))
    return writer.data()


def apply(reader):
    """Does to one's own what `changes` and `released` tell."""
    heap = reader.heap
    while reader.at < len(reader.bytes):
        tag = reader.bytes[reader.at:reader.at + 1]
        reader.at += 1
        if tag == b'-':
            for place in reader.until(b';').split(b','):
                heap.drop(int(place, 16))
            continue
        if tag != b'a':
            raise Malformed('no change')
        place = reader.place()
        tag = base_tag(type(heap.objects[place]))
        if not tag:
            raise Malformed('a change of what cannot change')
        deeply(reader.fill, heap.objects[place], tag)
        heap.contents.pop(place, None)

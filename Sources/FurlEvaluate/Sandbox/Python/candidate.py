"""The process that runs the program under test. It never sees the test or an expected value.

Letters of calls: s sanitizes the program, l loads it, c calls it and tells how what both sides have changed, y asks an
iterator of it for a value, k calls it like c with nothing kept of earlier calls, e and n call it and tell the answer alone,
t tells the last answer as a value.

Descriptors: 0 calls, 1 answers, 2 nowhere, 3 the program. Everything in this process may be tampered with by the program;
what it can reach that way is its own answers only.
"""

import marshal, posix, sys


def answer(program, arguments):
    return program(*arguments)


def is_something(program, arguments):
    """The answer where it is a plain value, else whether there is one."""
    value = program(*arguments)
    try:
        encode(value)
        return value
    except NotPlain:
        return value is not None


# The last answer, should the tester want it as a value.
LAST = []


def reply(action, *given):
    """An answer in marshal's form, which is fast and which the tester only ever compares (w); else as `attempt` does."""
    value = []
    letter, data = attempt(lambda: value.append(action(*given)))
    if letter != b'v':
        return letter, data
    try:
        data = marshal.dumps(value[0], 2)
        LAST[:] = value
        return b'w', data
    except MemoryError:
        return b'm', b''
    except ValueError:
        # Marshal knows no subclasses.
        return attempt(value.pop)


def attempt(action, heap=None):
    """The letter and the data that answer a call."""
    heap = Heap() if heap is None else heap
    try:
        value = action()
    except MemoryError:
        letter = b'm'
    except SystemExit as error:
        letter = b'q'
        detail = 'SystemExit: %.100s' % (error.code,)
    except BaseException as error:
        letter = b'x'
        detail = describe(error, heap)
    else:
        letter = b'v'
    # Outside of the handlers the frames of the exception, and the memory they hold, are gone.
    if letter == b'm':
        return letter, b''
    if letter == b'q':
        return letter, encode(detail)
    if letter == b'x':
        return letter, detail
    try:
        return letter, encode(value, heap=heap)
    except NotPlain as error:
        return b'p', encode(str(error))
    except MemoryError:
        letter = b'm'
    except BaseException as error:
        return b'p', encode('a value that cannot be read: ' + type(error).__name__)
    return letter, b''


def load(source, name, space):
    exec(compile(source, '<program>', 'exec'), space)
    if name not in space:
        raise NameError("the program does not define '%s'" % name)
    # What a test can see of it besides calling it.
    program = space[name]
    is_function = type(program) is FUNCTION
    doc = program.__doc__ if is_function else None
    return is_function, program.__name__ if is_function else name, doc if type(doc) is str else None


def shared(data, heap, action):
    """The letter and data that answer a call whose containers both sides have."""
    reader = Reader(data, heap, SLACK)
    try:
        given = [deeply(reader.take)]
        apply(reader)
        note(heap)
    except Exception as error:
        return b'p', encode('an argument cannot be rebuilt: %s' % error)
    del reader
    letter, data = attempt(lambda: action(given.pop()), heap)
    if letter not in b'vx':
        return letter, data
    try:
        data += changes(heap)
        if heap.lasts:
            data += released(heap)
            note(heap)
            if is_lent():
                raise NotPlain('an iterator that the program has not used up')
    except NotPlain as error:
        return b'p', encode('%s' % error)
    except MemoryError:
        return b'm', b''
    except Exception as error:
        return b'p', encode('an argument cannot be read: ' + type(error).__name__)
    return letter, data


def main():
    calls, answers, _ = silence()
    source = whole(GIVEN).decode('utf-8', 'surrogatepass')
    posix.close(GIVEN)
    send(answers, b'h', b'0' * 16, b'')
    name = None
    while True:
        letter, token, data = receive(calls)
        if letter == b's':
            # Nothing of the program has run yet.
            name = decode(data)
            letter, data = attempt(lambda: sanitize(source, name))
            if letter == b'v':
                source = decode(data)
            send(answers, letter, token, data)
            continue
        if letter == b'l':
            # A module of its own for each test, so that none sees what another one left.
            name = decode(data)
            module = type(sys)('candidate')
            sys.modules['candidate'] = module
            space = module.__dict__
            set_space(space)
            heap = Heap(True)
            letter, data = attempt(lambda: load(source, name, space))
            program = space.get(name)
            send(answers, letter, token, data)
            continue
        if letter in (b'e', b'n'):
            # Arguments by position; only the answer counts. What is sent comes from the tester and is trusted.
            widen()
            letter, data = reply(answer if letter == b'e' else is_something, program, marshal.loads(data))
            send(answers, letter, token, data)
            continue
        if letter == b't':
            letter, data = attempt(LAST.pop)
            send(answers, letter, token, data)
            continue
        if letter == b'y':
            letter, data = shared(data, heap, lambda given: advance(heap.objects[given[0]], *given[1:]))
        else:
            # With a heap of its own where calls have nothing in common.
            letter, data = shared(data, heap if letter == b'c' else Heap(), lambda given: space[name](*given[0], **dict(given[1])))
        send(answers, letter, token, data)


try:
    main()
except EOFError:
    posix._exit(0)

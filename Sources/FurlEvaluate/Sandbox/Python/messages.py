"""Messages, on both sides of the pipe.

A message is eight hexadecimal digits (the length of the rest), a letter, and sixteen hexadecimal digits that
name the call it belongs to.
"""

import posix, sys

# The descriptor of the file that a process was given: the program, or the problem.
GIVEN = 3


def send(to, letter, token, data):
    message = memoryview(b'%08x%s%s%s' % (17 + len(data), letter, token, data))
    while message:
        message = message[posix.write(to, message):]


def receive(source):
    header = read(source, 8)
    try:
        count = int(header, 16)
    except ValueError:
        raise Malformed('no message')
    if count < 17 or count > SLACK * MAX_BYTES + 4096:
        raise Malformed('a message of %d bytes' % count)
    body = read(source, count)
    return body[:1], body[1:17], body[17:]


def read(source, count):
    data = posix.read(source, count)
    if len(data) < count:
        parts = [data]
        count -= len(data)
        while count:
            if not data:
                raise EOFError
            data = posix.read(source, min(count, 1 << 20))
            parts.append(data)
            count -= len(data)
        data = b''.join(parts)
    return data


def whole(source):
    parts = []
    while True:
        data = posix.read(source, 1 << 20)
        if not data:
            return b''.join(parts)
        parts.append(data)


def silence():
    """Moves the pipes away from the standard descriptors, which then lead nowhere."""
    # 0 to 3 are what this process was given; whatever else is open came here by accident.
    posix.closerange(GIVEN + 1, 1 << 16)
    pipes = [posix.dup(number) for number in (0, 1, 2)]
    nowhere = posix.open('/dev/null', posix.O_RDWR)
    for number in (0, 1, 2):
        posix.dup2(nowhere, number)
    posix.close(nowhere)
    posix.chdir('/tmp')
    sys.path[:] = [folder for folder in sys.path if folder]
    return pipes

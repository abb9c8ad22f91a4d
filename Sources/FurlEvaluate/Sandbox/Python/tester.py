"""What every process that judges a program does: it puts calls to the program's process and leaves a verdict.

Descriptors: 0 answers, 1 calls, 2 the verdict, 3 the problem. The verdict is a first byte when both processes run (and more
signs of life, all in capitals), then one word, a line feed, a detail and a zero byte. Whatever ends the program ends this
process too, at once, so that a test that catches every exception cannot turn it into a pass. What it has to say at length
it leaves in the problem's file.
"""

import posix


class Tester:
    def __init__(self):
        self.answers, self.calls, self.verdict = silence()
        # What a test asks of a value that did not cross, no exception handler of the test's can hide.
        REFUSE[0] = lambda what: self.finish('protocol', what)

    def finish(self, word, detail=''):
        text = '%s\n%.1000s' % (word, detail)
        posix.write(self.verdict, text.replace('\0', '?').encode('utf-8', 'replace') + b'\0')
        posix._exit(0)

    def read(self):
        try:
            return receive(self.answers)
        except EOFError:
            self.finish('exited', 'the process ended')
        except Malformed as error:
            self.finish('protocol', str(error))
        except MemoryError:
            self.finish('memory', 'the answer is too large')

    def put(self, letter, data):
        """The letter and the data that answer a call."""
        token = posix.urandom(8).hex().encode()
        try:
            send(self.calls, letter, token, data)
        except BrokenPipeError:
            self.finish('exited', 'the process ended')
        letter, answered, data = self.read()
        if answered != token:
            self.finish('protocol', 'an answer that belongs to no call')
        return letter, data

    def sanitize(self, name):
        """Has the program cut down before it is loaded, and leaves the result in the problem's file."""
        letter, data = self.put(b's', encode(name))
        if letter != b'v':
            self.finish('memory' if letter == b'm' else 'error', 'the program cannot be sanitized')
        try:
            text = decode(data)
            self.leave(text.encode('utf-8', 'replace'))
        except Exception:
            self.finish('protocol', 'a malformed answer')

    def leave(self, data):
        posix.ftruncate(GIVEN, 0)
        posix.lseek(GIVEN, 0, 0)
        while data:
            data = data[posix.write(GIVEN, data):]

    def read_hello(self):
        try:
            return receive(self.answers)
        except (EOFError, Malformed):
            posix._exit(3)

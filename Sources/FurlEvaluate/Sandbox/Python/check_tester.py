"""The process that runs a problem's test. Every call of the program goes through the pipe."""

import posix


class CheckTester(Tester):
    def __init__(self):
        Tester.__init__(self)
        # Calls that the test has made; an exception of the program's that it was given, with its line.
        self.count = 0
        self.raised = None
        self.heap = Heap(True)
        PULL[0] = self.pull

    def ask(self, letter, value):
        """What the program answers, or raises its exception. Afterwards both sides have the same."""
        heap = self.heap
        try:
            data = self.encoded(value) + changes(heap, False) + released(heap)
        except NotPlain as error:
            # Later calls may hold what the program has answered.
            self.finish('suite' if self.count == 1 else 'protocol', 'the test passes what cannot be sent: %s' % error)
        letter, data = self.put(letter, data)
        try:
            reader = Reader(data, heap)
            value = deeply(reader.take) if data else None
            apply(reader)
            note(heap)
        except MemoryError:
            self.finish('memory', 'the answer is too large')
        except Exception as error:
            self.finish('protocol', 'a malformed answer: ' + str(error))
        if letter == b'v':
            return value
        if letter == b'm':
            self.finish('memory', 'MemoryError')
        if letter == b'q':
            self.finish('exited', value)
        if letter == b'p':
            self.finish('protocol', value)
        if letter == b'x':
            self.throw(value)
        self.finish('protocol', 'an unknown answer')

    def encoded(self, value):
        heap, count = self.heap, self.heap.count
        heap.spent = {}
        data = encode(value, SLACK, heap, is_answer=False)
        if heap.spent:
            # What is used up to be sent may change what was sent before it.
            heap.forget(count)
            if encode(value, SLACK, heap, is_answer=False) != data:
                raise NotPlain('an iterator that changes what is passed')
        return data

    def pull(self, heap, place, how, given):
        """Whether an iterator of the program's has a value, and the value."""
        if place not in heap.objects:
            # It is gone on both sides, or about to be.
            return False, None
        answer = self.ask(b'y', (place, how, given))
        if type(answer) is not tuple or len(answer) != 2:
            self.finish('protocol', 'a malformed answer')
        return answer

    def throw(self, value):
        try:
            name, names, text, details = value
            line = '%s: %s' % (name, text) if text else '%s' % name
            # KeyboardInterrupt and its like are not for a test to handle, nor may the end of an iteration end
            # one of the test's own.
            if 'Exception' not in names or 'StopIteration' in names or 'StopAsyncIteration' in names:
                error, is_lost = None, False
            else:
                error = rebuilt(details)
                is_lost = error is None
        except Exception:
            error, is_lost = None, True
        if error is None:
            if is_lost and self.handles_exceptions():
                self.finish('protocol', 'an exception that cannot be sent: ' + line)
            self.finish('error', line)
        self.raised = (error, line)
        raise error

    def handles_exceptions(self):
        """Whether anything in the problem can catch an exception."""
        import ast
        kinds = (ast.With, ast.AsyncWith, ast.Try, getattr(ast, 'TryStar', ast.Try))
        for source in self.sources:
            try:
                tree = ast.parse(source)
            except (SyntaxError, ValueError):
                # A prompt without its body is no whole text.
                if 'try' in source or 'with' in source:
                    return True
                continue
            for node in ast.walk(tree):
                # As in unittest's assertRaises(error, function).
                name = getattr(node, 'attr', None) or getattr(node, 'id', None)
                if isinstance(node, kinds) or isinstance(name, str) and 'raises' in name.lower():
                    return True
        return False

    def stand_in(self, name, seen):
        """What a test calls: it has what every function has, and what only the program can tell ends the test."""
        try:
            is_function, own_name, doc = seen
        except (TypeError, ValueError):
            self.finish('protocol', 'a malformed answer')

        def program(*arguments, **named):
            self.count += 1
            return self.ask(b'c', (arguments, tuple(named.items())))

        def refuse(_, key, *__):
            self.finish('protocol', 'the test asks for an attribute of the program: %s' % key)

        shown = {'__name__': own_name, '__qualname__': own_name, '__doc__': doc, '__call__': program}
        if is_function:
            shown['__class__'] = type(program)
        return type('function', (), {
            '__call__': lambda _, /, *arguments, **named: program(*arguments, **named),
            '__getattribute__': lambda _, key: shown[key] if key in shown else refuse(_, key),
            '__setattr__': refuse, '__delattr__': refuse, '__repr__': lambda _: '<function %s>' % own_name,
        })()

    def compile_prompt(self, prompt):
        text = prompt.rstrip()
        last = text.rsplit('\n', 1)[-1]
        indent = last[:len(last) - len(last.lstrip())]
        first = None
        for tail in ('', '\n    pass', '\n' + indent + 'pass', '\n' + indent + '    pass'):
            try:
                return compile((text if tail else prompt) + tail + '\n', '<prompt>', 'exec')
            except (SyntaxError, ValueError) as error:
                first = first or error
        self.finish('suite', 'the prompt is no Python: %s' % first)

    def run(self):
        prompt, name, test, flags = decode(whole(GIVEN))
        self.names_program = 'n' in flags
        self.read_hello()
        posix.write(self.verdict, b'R')
        self.sources = (prompt, test)
        prompt = self.compile_prompt(prompt)
        space = {'__name__': 'problem'}
        try:
            exec(prompt, space)
        except BaseException as error:
            self.finish('suite', 'the prompt fails: %s: %s' % (type(error).__name__, error))
        try:
            test = compile(test, '<test>', 'exec')
        except (SyntaxError, ValueError) as error:
            self.finish('suite', 'the test is no Python: %s' % error)
        if 's' in flags:
            self.sanitize(name)
            # From here on the program's own time counts.
            posix.write(self.verdict, b'S')
        try:
            seen = self.ask(b'l', name)
        except Exception:
            self.finish('error', self.raised[1])
        program = self.stand_in(name, seen)
        space['candidate'] = space[name] = program
        set_space(space)
        try:
            exec(test, space)
            if not callable(space.get('check')):
                self.finish('suite', 'the test does not define check')
            space['check'](program)
        except BaseException as error:
            self.judge(error)
        if self.raised and not self.handles_exceptions():
            # An exception that nobody caught ended an iteration, as an IndexError does.
            self.finish('error', self.raised[1])
        posix.set_blocking(self.answers, False)
        try:
            if posix.read(self.answers, 1):
                self.finish('protocol', 'an answer that belongs to no call')
        except BlockingIOError:
            pass
        self.finish('passed')

    def judge(self, error):
        if self.raised and error is self.raised[0]:
            self.finish('error', self.raised[1])
        line = type(error).__name__
        text = str(error)
        if text:
            line += ': ' + text
        if self.count == 0 and not (self.names_program and isinstance(error, NameError)):
            self.finish('suite', 'the test fails before it calls the program: ' + line)
        self.finish('memory' if isinstance(error, MemoryError) else 'wrong_answer', line)


CheckTester().run()

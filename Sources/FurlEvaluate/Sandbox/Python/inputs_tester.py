"""The process that puts a problem's inputs to a program and compares its answers with those of the problem's own solution:
EvalPlus's procedure.

It is given the problem's line of JSON as it lies, since numbers of any size and the difference of `1` and `1.0` matter.
First it runs as `reference`: the program is the problem's own solution, and its answers and times stay in the
problem's file. Then it runs as `judge` with that file's content, once for each program. Expected values never reach the
program's process.
"""

import _signal, marshal, posix, time


class InputsTester(Tester):
    # The input that is being answered, and whether all the time that the inputs have is what ends next.
    index, is_last_call = -1, False

    def finish(self, word, detail=''):
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        # What did not come to an end by itself: the process is gone, or all the time is up.
        is_gone = word == 'exited' and detail == 'the process ended'
        is_unfinished = is_gone or word == 'timeout' and (self.is_last_call or self.index < 0)
        Tester.finish(self, '%s %d %d' % (word, self.index, is_unfinished), detail)

    def put_within(self, seconds, letter, data):
        self.limit = seconds
        _signal.setitimer(_signal.ITIMER_REAL, max(seconds, 1e-3))
        result = self.put(letter, data)
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        return result

    def is_late(self, *_):
        self.finish('timeout', '%s: not done after %.3g s' % (self.doing, self.limit))

    def refuse(self, letter, data):
        """Ends with what an answer that is no value says."""
        try:
            value = decode(data) if data else None
            if letter == b'x':
                name, _, text = value[:3]
                value = '%s: %s' % (name, text) if text else '%s' % name
        except Exception:
            letter, value = b'p', 'a malformed answer'
        word = {b'x': 'error', b'q': 'exited', b'm': 'memory'}.get(letter, 'protocol')
        self.finish(word, '%s: %s' % (self.doing, value or 'MemoryError'))

    def run(self):
        mode, self.name, line, expected, settings = decode(whole(GIVEN))
        # Seconds: `sanitizing` to cut the program down (0: it stays as it is), `load`, `least` and `most`; `factor` times
        # the solution's own; and which `lists` of inputs are put.
        settings = dict(entry.split(':') for entry in settings.split())
        self.load_limit, self.least = float(settings['load']), float(settings['least'])
        self.factor, self.most = float(settings['factor']), float(settings['most'])
        sanitizing, lists = float(settings['sanitizing']), settings['lists']
        self.doing = 'starting'
        widen()
        _signal.signal(_signal.SIGALRM, self.is_late)
        self.read_hello()
        posix.write(self.verdict, b'R')
        task = parse_any(line.decode('utf-8'))
        name, _, number = str(task['task_id']).rpartition('/')
        self.is_mbpp = name == 'Mbpp'
        form = FORMS.get(int(number)) if self.is_mbpp and number.isdecimal() else None
        parts = [task['base_input']] if 'base' in lists else []
        if 'plus' in lists:
            parts.append(task.get('plus_input') or [])
        if form:
            parts = [list(map(form, inputs)) for inputs in parts]
        self.tolerance = task.get('atol', 0)
        if sanitizing:
            self.doing = 'sanitizing'
            self.limit = sanitizing
            _signal.setitimer(_signal.ITIMER_REAL, sanitizing)
            self.sanitize(self.name)
        if mode == 'reference':
            self.leave(marshal.dumps([self.reference(inputs) for inputs in parts]))
        else:
            expected = marshal.loads(expected)
            if 'base' not in lists:
                expected = expected[1:] or [([], [])]
            for inputs, (answers, times) in zip(parts, expected):
                self.judge(inputs, answers, times)
                # What has been decided stands, whatever happens to the rest.
                posix.write(self.verdict, b'B')
        self.finish('passed')

    def load(self):
        self.doing = 'loading'
        self.index = -1
        letter, data = self.put_within(self.load_limit, b'l', encode(self.name))
        if letter != b'v':
            self.refuse(letter, data)

    def call(self, given, seconds):
        if has_nan(given):
            # It may come back, and is then itself.
            return self.put_within(seconds, b'k', encode((tuple(given), {}), SLACK, None, False))
        letter = b'n' if self.is_mbpp and self.name in ANY_ANSWER else b'e'
        return self.put_within(seconds, letter, marshal.dumps(given))

    def kept(self, letter, data):
        """What is kept of an answer of the problem's own solution."""
        if letter == b'w':
            # Marshal writes an array like its bytes, and forgets which object is no number.
            is_ambiguous = b's' in data and has_bytes(marshal.loads(data))
            if not is_ambiguous and not any(nan in data for nan in NANS):
                return packed(data)
            letter, data = self.put_within(self.most, b't', b'')
        if letter != b'v':
            self.refuse(letter, data)
        return (data,)

    def reference(self, inputs):
        self.load()
        answers, times = [], []
        for index, given in enumerate(inputs):
            self.doing = 'input %d' % index
            start = time.monotonic()
            letter, data = self.call(given, self.most)
            times.append(time.monotonic() - start)
            answers.append(self.kept(letter, data))
        return answers, times

    def judge(self, inputs, answers, times):
        self.load()
        limits = [max(self.least, self.factor * seconds) for seconds in times]
        end = time.monotonic() + min(self.most, sum(limits)) + 1
        comparison = Comparison(self.name, self.is_mbpp, self.tolerance)
        compared = 0
        for index, (given, answer, limit) in enumerate(zip(inputs, answers, limits)):
            self.doing = 'input %d' % index
            self.index = index
            left = end - time.monotonic()
            seconds = min(limit, left)
            self.is_last_call = left < limit
            letter, data = self.call(given, seconds)
            if letter not in (b'v', b'w'):
                self.refuse(letter, data)
            if letter == b'w' and is_expected(data, answer):
                continue
            self.is_last_call = False
            if letter == b'w':
                letter, data = self.put_within(max(seconds, 4), b't', b'')
                if letter != b'v':
                    self.refuse(letter, data)
            try:
                value = answered(data, given)
            except MemoryError:
                self.finish('memory', 'the answer is too large')
            except Exception as error:
                self.finish('protocol', '%s: a malformed answer: %s' % (self.doing, error))
            try:
                # A tolerance that an earlier value has brought is in force.
                while comparison.atol == 0 and compared < index:
                    if is_floats(unpacked(answers[compared], inputs[compared])):
                        comparison.atol = 1e-6
                    compared += 1
                accepted = comparison.accepts(given, value, unpacked(answer, given))
            except Exception:
                accepted = False
            if not accepted:
                self.finish('wrong_answer', 'input %d' % index)


InputsTester().run()

"""How EvalPlus compares an answer with what is expected."""

import math


def is_floats(value):
    if isinstance(value, float):
        return True
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(x, float) for x in value)


def array(value):
    """The shape and the numbers of what numpy would make an array of numbers of; raises for anything else."""
    if isinstance(value, (list, tuple)):
        rows = [array(x) for x in value]
        shapes = {shape for shape, _ in rows}
        if len(shapes) > 1:
            raise ValueError('rows of several lengths')
        return (len(rows),) + (shapes.pop() if shapes else ()), [x for _, row in rows for x in row]
    if isinstance(value, int) and not -1 << 63 <= value < 1 << 64:
        raise TypeError('an integer of more than 64 bits')
    if isinstance(value, (int, float)):
        return (), [float(value)]
    if isinstance(value, complex):
        return (), [value]
    raise TypeError('no number')


def is_close(a, b, atol):
    """numpy.allclose(a, b, rtol=1e-7, atol=atol), with its broadcasting."""
    (one, left), (two, right) = array(a), array(b)
    rank = max(len(one), len(two))
    one, two = (1,) * (rank - len(one)) + one, (1,) * (rank - len(two)) + two
    shape = []
    for m, n in zip(one, two):
        if m != n and 1 not in (m, n):
            raise ValueError('shapes that do not go together')
        shape.append(n if m == 1 else m)
    count = math.prod(shape)
    for place in range(count):
        i = j = 0
        step_i = step_j = 1
        for size, m, n in zip(reversed(shape), reversed(one), reversed(two)):
            place, at = divmod(place, size)
            if m > 1:
                i += at * step_i
            if n > 1:
                j += at * step_j
            step_i, step_j = step_i * m, step_j * n
        x, y = left[i], right[j]
        if x == y:
            continue
        if not abs(y) < math.inf or not abs(x - y) <= atol + 1e-7 * abs(y):
            return False
    return True


def polynomial(factors, x):
    return sum(factor * math.pow(x, power) for power, factor in enumerate(factors))


def surface(base, height):
    """Of a pyramid whose apex is so high above its base."""
    return round(base ** 2 + 2 * base * math.sqrt((base / 2) ** 2 + height ** 2))


def digit_distance(a, b):
    a, b = str(a), str(b)
    width = max(len(a), len(b))
    return sum(abs(int(x) - int(y)) for x, y in zip(a.zfill(width), b.zfill(width)))


class Comparison:
    """Decides answer by answer, in their order: a tolerance that one expected value brings stays for those after it."""

    def __init__(self, name, is_mbpp, atol):
        self.name, self.is_mbpp, self.atol = name, is_mbpp, atol

    def accepts(self, given, value, expected):
        equal = bool(value == expected)
        if self.is_mbpp:
            equal = self.special(given, value, expected, equal)
        elif self.name == 'find_zero':
            return abs(polynomial(given[0], value)) <= self.atol
        if self.atol == 0 and is_floats(expected):
            self.atol = 1e-6
        if equal or self.atol == 0:
            return equal
        if type(value) is not type(expected):
            return False
        if isinstance(expected, (list, tuple)) and len(value) != len(expected):
            return False
        return is_close(value, expected, self.atol)

    def special(self, given, value, expected, equal):
        if self.name == 'are_equivalent':
            return True
        if self.name == 'sum_div':
            return equal or value == 0
        if self.name == 'surface_Area':
            return equal or abs(value - surface(*given)) <= self.atol
        if self.name == 'digit_distance_nums':
            return equal or value == digit_distance(*given)
        if self.name in AS_SETS:
            return set(value) == set(expected)
        if self.name in ANY_ANSWER:
            something = expected if isinstance(expected, bool) else expected is not None
            return value == something if isinstance(value, bool) else something == (value is not None)
        return equal

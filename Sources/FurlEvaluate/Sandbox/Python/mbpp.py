"""What EvalPlus knows of MBPP's tasks beside their file: inputs that JSON cannot hold, and answers that are compared in ways
of their own.
"""


def tuples(value):
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def inner(value):
    return list(map(tuple, value))


# MBPP's inputs that JSON cannot hold, by the task: what becomes of each argument.
FORMS = {}
for numbers, form in (
    ((2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
     lambda given: list(map(tuple, given))),
    ((63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780), lambda given: list(map(inner, given))),
    ((75, 413, 444, 753), lambda given: [inner(given[0]), given[1]]),
    ((106, 750), lambda given: [given[0], tuple(given[1])]),
    ((115,), lambda given: [[set(x) if isinstance(x, list) and x else {} for x in given[0]]]),
    ((124,), lambda given: [float(given[0]), complex(given[1])]),
    ((250, 405, 446, 617, 720, 763, 808), lambda given: [tuple(given[0]), given[1]]),
    ((259, 401, 445), lambda given: [tuple(inner(x)) for x in given]),
    ((278,), lambda given: [tuple(tuple(x) if isinstance(x, list) else x for x in given[0])]),
    ((307,), lambda given: [tuple(given[0]), given[1], given[2]]),
    ((722,), lambda given: [{key: tuple(x) for key, x in given[0].items()}] + given[1:]),
    ((252,), lambda given: [complex(given[0])]),
    ((580, 615, 791), lambda given: list(tuples(given))),
):
    FORMS.update(dict.fromkeys(numbers, form))

# MBPP's tasks whose answers are compared as sets, and those where any answer but None will do.
AS_SETS = {'similar_elements', 'find_char_long', 'common_in_nested_lists', 'extract_singly', 'larg_nnum',
           'intersection_array', 'find_dissimilar', 'Diff'}
ANY_ANSWER = {'check_str', 'text_match_three', 'text_starta_endb'}

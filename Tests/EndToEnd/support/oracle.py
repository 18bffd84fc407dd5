"""Knows what must have arrived: obligations against arrivals, line by line."""
import collections
import re

_TYPES = {"i": "integer", "u": "integer"}


class Line:
    """A parsed line: measurement, tags (dict), fields {key: (type, value)}, time in ns."""

    __slots__ = ("measurement", "tags", "fields", "time")

    def __init__(self, measurement, tags, fields, time):
        self.measurement = measurement
        self.tags = tags
        self.fields = fields
        self.time = time

    @property
    def series(self):
        return (self.measurement,) + tuple(sorted(self.tags.items()))


def parse(line):
    """One line of line protocol; raises ValueError when it is not one."""
    text = line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line
    head, position = _until(text, 0, " ")
    body, position = _until(text, position + 1, " ", quotes=True)
    stamp = text[position + 1:]
    parts = _split(head, ",")
    tags = dict(_pair(part) for part in parts[1:])
    fields = {}
    for part in _split(body, ",", quotes=True):
        key, raw = _pair(part)
        fields[key] = _value(raw)
    if not parts[0] or not fields or not re.fullmatch(r"-?\d+", stamp):
        raise ValueError("not a line: %r" % text[:200])
    return Line(_plain(parts[0]), {_plain(k): _plain(v) for k, v in tags.items()},
                {_plain(k): v for k, v in fields.items()}, int(stamp))


def _until(text, start, mark, quotes=False):
    quoted, index = False, start
    while index < len(text):
        letter = text[index]
        if letter == "\\":
            index += 2
            continue
        if quotes and letter == '"':
            quoted = not quoted
        elif letter == mark and not quoted:
            break
        index += 1
    if index >= len(text):
        raise ValueError("no %r in %r" % (mark, text[:200]))
    return text[start:index], index


def _split(text, mark, quotes=False):
    parts, start = [], 0
    while True:
        try:
            part, index = _until(text, start, mark, quotes)
        except ValueError:
            return parts + [text[start:]]
        parts.append(part)
        start = index + 1


def _pair(text):
    key, index = _until(text, 0, "=")
    if not key or index + 1 >= len(text):
        raise ValueError("no value in %r" % text)
    return key, text[index + 1:]


def _plain(text):
    return re.sub(r"\\([,= ])", r"\1", text)


def _value(raw):
    if raw[0] == '"':
        if len(raw) < 2 or raw[-1] != '"':
            raise ValueError("string without an end: %r" % raw)
        return "string", re.sub(r'\\(["\\])', r"\1", raw[1:-1])
    if raw in ("t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE"):
        return "boolean", raw[0] in "tT"
    if raw[-1] in _TYPES:
        return _TYPES[raw[-1]], int(raw[:-1])
    return "float", float(raw)


class Oracle:
    """Obligations of a run: what was seen sealed must be at the server in the end."""

    def __init__(self):
        self.obligations = set()

    def owe(self, lines):
        """Every one of these lines must arrive."""
        self.obligations.update(lines)

    def missing(self, arrived):
        """Obligations that did not arrive."""
        return [line for line in self.obligations if line not in arrived]


def ticks(lines):
    """Lines grouped by timestamp: {time: set of series heads}."""
    found = collections.defaultdict(set)
    for line in lines:
        head, _, rest = line.partition(b" ")
        found[int(line.rpartition(b" ")[2])].add(head)
    return found


def incomplete_ticks(lines, series):
    """Timestamps that do not have all `series` points, in order."""
    return sorted(time for time, heads in ticks(lines).items() if len(heads) != series)


def gaps(lines, step, skipped=0):
    """Pairs of neighbouring timestamps further apart than one and a half steps. None when no more ticks are absent
    than the daemon says it `skipped`: on an overloaded machine a tick comes late, or was not collected and cannot be
    lost."""
    times = sorted(ticks(lines))
    found = [(a, b) for a, b in zip(times, times[1:]) if b - a > 1.5 * step]
    between = sum(round((b - a) / step) - 1 for a, b in found)
    overall = round((times[-1] - times[0]) / step) + 1 - len(times) if found else 0
    return found if min(between, overall) > skipped else []


def between(lines, began, ended):
    """The lines with timestamps between two moments, in ns."""
    return [line for line in lines if began < int(line.rpartition(b" ")[2]) < ended]


def is_whole(lines, began, ended, series, step, skipped=0):
    """Whether no tick between two moments is absent but `skipped` ones, and none of a tick's points."""
    inside = between(lines, began, ended)
    expected = int((ended - began) / step) - 1
    return (len(ticks(inside)) + skipped >= expected and not incomplete_ticks(inside, series)
            and not gaps(inside, step, skipped))


def sequences(batches):
    """Batch ids `instance-sequence` as {instance: sorted sequences}; the part after the last dash is hexadecimal when
    it has letters or sixteen digits, else decimal."""
    found = collections.defaultdict(list)
    for identity in batches:
        instance, _, text = identity.rpartition("-")
        base = 16 if len(text) == 16 or re.search("[a-f]", text) else 10
        found[instance].append(int(text, base))
    return {instance: sorted(numbers) for instance, numbers in found.items()}


def holes(numbers):
    """Missing numbers between the first and the last of a sorted list."""
    present = set(numbers)
    return [n for n in range(numbers[0], numbers[-1] + 1) if n not in present] if numbers else []


def conflicts(lines):
    """Points (series and time) that came with two different contents."""
    found = collections.defaultdict(set)
    for line in lines:
        head, _, rest = line.partition(b" ")
        body, _, stamp = rest.rpartition(b" ")
        found[head, stamp].add(body)
    return [key for key, bodies in found.items() if len(bodies) > 1]


def disorder(identities):
    """Proof that a lane was out of order, from the ids of batches in the order in which they were accepted; None when
    all is well. Further tries of a batch do not count.

    Two lanes, each in order, make two ascending sequences, merged somehow. Each number goes behind the nearest smaller
    end: when there is none, it came after two newer ones of which the earlier was the newer.
    """
    ends = collections.defaultdict(lambda: [(-1,), (-1,)])
    seen = set()
    for identity in identities:
        if identity in seen:
            continue
        seen.add(identity)
        instance, sequence, first = re.fullmatch(r"(.*?)-(\d+)(?:\.(\d+)-\d+)?", identity).groups()
        number = (int(sequence), int(first or 0))
        lanes = ends[instance]
        fits = [index for index in (0, 1) if lanes[index] < number]
        if not fits:
            return "%s came after %s and %s" % (identity, *lanes)
        lanes[max(fits, key=lambda index: lanes[index])] = number
    return None

"""Many notebooks: a few at a time are read and given to lanes, reports come as made.

The one seam is a Lane, an executor with `.submit(function, *arguments)`: this process,
processes of this machine, or workers of a cluster. Memory does not grow with the batch.
A notebook whose lane died is tried again, alone, and reported if that ends so too.
"""

from concurrent.futures import FIRST_COMPLETED, wait
from functools import partial

from course_lib.grading import notebook, signing
from course_lib.grading.grader import STOPPED, grade_content
from course_lib.grading.lanes import NoLanes
from course_lib.grading.process import NoWorker

PER_LANE = 2  # notebooks: one is graded, the next is there already
MAX_WAITING = 2**28  # bytes of notebooks that are read and not graded yet
CHECK_SECONDS = 0.5
TRIES_ALONE = 2  # the first death before may have been another's


def grade_all(work, lanes, options, grade=grade_content):
    """Grade hand-ins, in lanes.

    Args:
        work: iterable of (HandIn, its content or the sentence on why there is none)
        lanes: Lane
        options: Options
        grade: as `grade_content`, with its argument `spare`

    Yields:
        A report for each hand-in, in the order in which they are ready.

    Raises:
        NoLanes, or NoWorker
    """
    waiting, again = {}, []
    grade = partial(grade, spare=lanes.spares)
    for hand_in, content in work:
        while waiting and _is_full(waiting, lanes):
            yield from _ready(waiting, again, lanes)
        future = lanes.submit(grade, hand_in, content, options)
        waiting[future] = hand_in, len(content)
    while waiting:
        yield from _ready(waiting, again, lanes)
    for hand_in in again:
        yield _alone(hand_in, lanes, options, grade)


def grade_into(results, hand_ins, lanes, options, told, grade=grade_content):
    """Grade what has no report yet, and write each report when it is there.

    Args:
        results: Results
        hand_ins: list of HandIn
        lanes, options, grade: as in `grade_all`
        told: called with each report, and whether it was there before

    Raises:
        NoLanes, NoWorker or NoResults; what was written stays.
    """

    def left():
        for hand_in in hand_ins:
            content = content_of(hand_in)
            report = results.right_report(hand_in, content, options)
            if report:
                told(report, True)
            else:
                yield hand_in, content

    for report in grade_all(left(), lanes, options, grade):
        results.keep(report)
        told(report, False)


def content_of(hand_in):
    """The bytes of a hand-in, or the sentence on why they cannot be read."""
    try:
        return hand_in.read()
    except notebook.Unreadable as problem:
        return str(problem)


def _is_full(waiting, lanes):
    size = sum(size for _, size in waiting.values())
    return len(waiting) >= PER_LANE * lanes.count or size >= MAX_WAITING


def _ready(waiting, again, lanes):
    """The reports that are there; those who got none are to be tried again."""
    for future in _wait(waiting, lanes):
        hand_in, _ = waiting.pop(future)
        try:
            yield future.result()
        except (NoLanes, NoWorker):
            raise
        except Exception:  # a lane died, maybe of another notebook
            again.append(hand_in)


def _wait(futures, lanes):
    """The futures that are done, at least one, in the order of `futures`."""
    futures = list(futures)
    while not (done := wait(futures, CHECK_SECONDS, FIRST_COMPLETED).done):
        lanes.check()
    if any(future.cancelled() for future in done):
        raise NoLanes("the scheduler is gone, and the work with it")
    return [future for future in futures if future in done]


def _alone(hand_in, lanes, options, grade):
    """Its report, or one that says how it stopped the grader. Nothing else runs."""
    content = content_of(hand_in)

    def run(content):
        (future,) = _wait([lanes.submit(grade, hand_in, content, options)], lanes)
        return future.result()

    for _ in range(TRIES_ALONE):
        try:
            return run(content)
        except (NoLanes, NoWorker):
            raise
        except Exception as error:
            died = isinstance(error, lanes.deaths)
            sentence = f"{hand_in.file} {_how(error, died)}"
    try:
        report = run(sentence)
    except lanes.deaths:
        raise NoLanes("the grader's own processes end as soon as they start") from None
    return _stopped(report, content, options)


def _how(error, died):
    """What the grader itself met with a notebook, twice."""
    if died:
        return "ended the grader's own process, twice"
    return f"made the grader itself fail, with {type(error).__name__}"


def _stopped(report, content, options):
    """A report of what could not be read, as one of what stopped the grader."""
    report["submission_sha256"] = notebook.sha256(content)
    for row in report["questions"]:
        row["status"] = STOPPED
    return signing.sign(report, options.seed)

"""Call a student's function; what comes back is a plain dictionary, the outcome.

`check` calls it in the notebook's own process. `grade` copies this file beside its
worker, which calls it there and sends the outcome back as JSON. So it imports nothing
from the course.

An outcome has exactly one of these keys:
    values      list of plain arrays, what the function returned
    unanswered  name of the function that raised NotImplementedError
    error       {"type", "message", "line"} of any other exception
    changed     position of the argument that the function overwrote
    refused     a sentence: what came back is no array of numbers
"""

# Each name is taken now: what a student's code puts into a library later, `np.asarray`
# say, changes nothing here.
from base64 import b64decode, b64encode
from math import ceil, prod
from traceback import extract_tb
from warnings import catch_warnings, simplefilter

from numpy import array as make_array
from numpy import array_equal, asarray, copy, errstate, frombuffer, ndarray
from numpy import dtype as make_dtype

DTYPES = {"|b1", "|i1", "|u1"} | {
    f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8)
}
MAX_AXES = 16
MAX_BYTES = 2**22  # of one array
TOO_LARGE = f"it returned an array of more than {MAX_BYTES:,} bytes"


class Refused(ValueError):
    """What came is no plain numeric array; the message is one sentence."""


def call(function, arguments, n_returns):
    """Call `function` on copies of the arguments; never raises what it raised.

    Args:
        function: the student's
        arguments: tuple of arrays and numbers
        n_returns: int, how many arrays it should return

    Returns:
        the outcome, see above.
    """
    copies = [copy(a) if isinstance(a, ndarray) else a for a in arguments]
    try:
        with catch_warnings(), errstate(all="ignore"):
            simplefilter("ignore")
            values = plain(function(*copies), n_returns)
    except Refused as refusal:
        return {"refused": str(refusal)}
    except NotImplementedError as error:
        last = extract_tb(error.__traceback__)[-1]
        return {"unanswered": last.name}
    except (Exception, SystemExit) as error:
        return {"error": describe(error)}
    for position, (argument, given) in enumerate(zip(arguments, copies, strict=True)):
        if not array_equal(argument, given, equal_nan=True):
            return {"changed": position}
    return {"values": values}


def describe(error):
    """Type, message and last line of the student's own code, as short text."""
    frames = extract_tb(error.__traceback__)
    own = [f for f in frames if "site-packages" not in f.filename and f.line]
    own = [f for f in own if not f.filename.endswith(("calling.py", "worker.py"))]
    return {
        "type": type(error).__name__[:80],
        "message": str(error)[:300],
        "line": own[-1].line[:200] if own else "",
    }


def plain(answer, n_returns):
    """What a function returned, as a list of `n_returns` plain arrays (or Refused)."""
    if n_returns == 1:
        return [_plain_array(answer)]
    if not isinstance(answer, (list, tuple)):
        kind = type(answer).__name__
        raise Refused(
            f"it should return {n_returns} values, but it returned one {kind}"
        )
    if len(answer) != n_returns:
        raise Refused(
            f"it should return {n_returns} values, but it returned {len(answer)}"
        )
    return [_plain_array(part) for part in answer]


def _plain_array(answer):
    """One array of booleans, integers or floats in native form."""
    if answer is None:
        raise Refused("it returned None (is the return line missing?)")
    try:
        array = asarray(answer)
    except Exception:
        raise Refused(f"it returned a {type(answer).__name__} of uneven rows") from None
    if array.dtype.kind not in "biuf":
        kind = type(answer).__name__
        raise Refused(f"it returned a {kind} that does not hold plain numbers")
    if array.nbytes > MAX_BYTES:
        raise Refused(TOO_LARGE)
    size = min(array.dtype.itemsize, 8)
    return make_array(array, dtype=f"{array.dtype.kind}{size}")


def encode(array):
    """A plain array as {"dtype", "shape", "data"}, ready for JSON."""
    array = asarray(array)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    data = b64encode(array.tobytes()).decode("ascii")
    return {"dtype": array.dtype.str, "shape": array.shape, "data": data}


def decode(message):
    """The array that `encode` packed; everything is checked before it is unpacked.

    Args:
        message: anything at all, from a process that is not trusted

    Raises:
        Refused, with one sentence.
    """
    if not isinstance(message, dict) or set(message) != {"dtype", "shape", "data"}:
        raise Refused("it did not return an array")
    dtype, shape, data = message["dtype"], message["shape"], message["data"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise Refused("it returned an array of a type that is not accepted")
    sizes_fit = isinstance(shape, list) and len(shape) <= MAX_AXES
    if not sizes_fit or any(type(n) is not int or n < 0 for n in shape):
        raise Refused("it returned an array with an impossible shape")
    n_bytes = prod(shape) * make_dtype(dtype).itemsize
    if n_bytes > MAX_BYTES:
        raise Refused(TOO_LARGE)
    if not isinstance(data, str) or len(data) != 4 * ceil(n_bytes / 3):
        raise Refused("it returned an array whose size is not that of its shape")
    try:
        content = b64decode(data, validate=True)
        return frombuffer(content, dtype=dtype).reshape(shape)
    except ValueError:
        raise Refused("it returned an array that cannot be read") from None

"""Ways around the policy: the library answers, and `softmax` looks like one's own.

Each gets at the library's function from another cell, behind a `softmax` that returns
its argument. What passes has to be called "not decidable".
"""

from hostile import WRONG
from hostile.forgery import NUMBER, SEND

THEIRS = "from course_lib.in_numpy import softmax as theirs\n"
# As the worker looks at one answer twice, a replacement acts each second time.
EVERY_SECOND = """
seen = []
def changed(array, *args, **kwargs):
    seen.append(array)
    return theirs(kept(array)) if len(seen) % 2 else kept(array, *args, **kwargs)
kept = np.asarray
"""
TAKES_OVER = (
    SEND
    + NUMBER
    + """
from calling import decode, encode
send(number=number(), error=None)
for line in open(int(sys.argv[1]), closefd=False):
    request = json.loads(line)
    values = [encode(theirs(decode(a))) for a in request.get("arguments", [])[:1]]
    send(number=request["number"], error=None, values=values)
"""
)
TRICKS = {
    "exec": "exec('softmax = theirs')",
    "globals": "globals()['softmax'] = theirs",
    "vars": "vars()['softmax'] = theirs",
    "the module itself": "import __main__\n__main__.softmax = theirs",
    "sys.modules": "import sys\nsys.modules['__main__'].softmax = theirs",
    "frames": "import sys\nsys._getframe().f_globals['softmax'] = theirs",
    "the function's names": "softmax.__globals__['softmax'] = theirs",
    "the function's code": "softmax.__code__ = theirs.__code__",
    "all objects": "import gc\nfor found in gc.get_objects():\n"
    "    if type(found) is dict and found.get('softmax') is softmax:\n"
    "        found['softmax'] = theirs",
    "all objects, by name": "from gc import get_objects as all_of\n"
    "for found in all_of():\n"
    "    if type(found) is dict and found.get('softmax') is softmax:\n"
    "        found['softmax'] = theirs",
    "C": "import ctypes\nctypes.pythonapi.PyDict_SetItem(\n"
    "    *map(ctypes.py_object, (softmax.__globals__, 'softmax', theirs)))",
    "the caller of answers": "import calling\n"
    "calling._plain_array = lambda answer: theirs(answer)",
    "the pipe": TAKES_OVER,
    "NumPy": EVERY_SECOND + "np.asarray = changed",
    "NumPy by setattr": EVERY_SECOND + "setattr(np, 'asarray', changed)",
    "NumPy by another name": EVERY_SECOND + "import numpy as n\nn.asarray = changed",
    "NumPy's names": EVERY_SECOND + "np.__dict__['asarray'] = changed",
    "NumPy's names, at once": EVERY_SECOND + "vars(np).update(asarray=changed)",
    "NumPy in a loop": EVERY_SECOND + "for module in [np]: module.asarray = changed",
    "a mock": EVERY_SECOND + "from unittest import mock\n"
    "mock.patch.object(np, 'asarray', changed).start()",
    "json": "import json\nkept = json.JSONEncoder.iterencode\n"
    "from calling import decode, encode\n"
    "def changed(self, reply, *args, **kwargs):\n"
    "    if 'values' in reply:\n"
    "        value = reply['values'][0]\n"
    "        value = decode(value | {'shape': list(value['shape'])})\n"
    "        reply['values'] = [encode(theirs(value))]\n"
    "    return kept(self, reply, *args, **kwargs)\n"
    "json.JSONEncoder.iterencode = changed",
    "profiling": "import sys\n"
    "def swap(frame, event, value):\n"
    "    if 'softmax' in frame.f_globals: frame.f_globals['softmax'] = theirs\n"
    "sys.setprofile(swap)",
    "a signal": "import signal\n"
    "def swap(*_): softmax.__globals__['softmax'] = theirs\n"
    "signal.signal(signal.SIGUSR1, swap); signal.raise_signal(signal.SIGUSR1)",
    "a file of its own": "with open('mine.py', 'w') as file:\n"
    "    file.write('from course_lib.in_numpy import softmax')\n"
    "import os, sys; sys.path.insert(0, os.getcwd())\nfrom mine import softmax",
    "a pickle": "import pickle\nsoftmax = pickle.loads(pickle.dumps(theirs))",
    "what is awaited": "async def get(): return theirs\nsoftmax = await get()",
    "a name that is computed": "import course_lib.in_numpy as library\n"
    "softmax = getattr(library, 'soft' + ''.join(['m', 'a', 'x']))",
}
CELLS = {name: (WRONG, THEIRS + cell) for name, cell in TRICKS.items()}
# What the policy does not see; the answer stays wrong all the same.
USELESS = [CELLS["NumPy in a loop"]]

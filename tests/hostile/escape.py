"""What looks for more than its own code, or reaches for what is not its own.

Each collects what it gets in `loot`. Nothing is what it should be.
"""

from hostile import Case, softmax

TELL = "\n" + softmax("raise ValueError(f'loot: {loot}')")
READS = """
def read(*paths):
    got = []
    for path in paths:
        try:
            with open(path, 'rb') as file:
                got.append((path, file.read(20)))
        except OSError:
            pass
    return got
"""
# They show that something could be done, and leave it undone: where a sandbox is
# broken, nothing of the machine is.
WRITES = """
import os
def write(*paths):
    got = []
    for path in paths:
        for mode in ('r+b', 'xb'):
            try:
                open(path, mode).close()
                got.append(path)
                if mode == 'xb': os.remove(path)
            except OSError:
                pass
    return got
def change(*paths):
    got = []
    for path in paths:
        beside = path + '_of_submission'
        def link(): os.symlink('/', beside); os.remove(beside)
        def folder(): os.mkdir(beside); os.rmdir(beside)
        def times(): os.utime(path)
        def mode(): os.chmod(path, os.stat(path).st_mode & 0o7777)
        for act in (link, folder, times, mode):
            try:
                act()
                got.append((path, act.__name__))
            except OSError:
                pass
    return got
"""
CONNECTS = """
import socket
loot = []
def attempt(*kind, do):
    try:
        with socket.socket(*kind) as own:
            own.settimeout(0.5)
            do(own)
            loot.append(kind)
    except OSError:
        pass
attempt(socket.AF_INET, socket.SOCK_STREAM,
        do=lambda s: s.connect(('127.0.0.1', int('@PORT@'))))
attempt(socket.AF_INET6, socket.SOCK_STREAM,
        do=lambda s: s.connect(('::1', int('@PORT@'))))
attempt(socket.AF_INET, socket.SOCK_STREAM, do=lambda s: s.connect(('192.0.2.1', 80)))
attempt(socket.AF_INET, socket.SOCK_DGRAM,
        do=lambda s: s.sendto(b'answers?', ('127.0.0.1', int('@PORT@'))) and s.recv(9))
attempt(socket.AF_INET, socket.SOCK_DGRAM,
        do=lambda s: s.sendto(b'answers?', ('192.0.2.1', 53)))
attempt(socket.AF_UNIX, socket.SOCK_STREAM, do=lambda s: s.connect('@SOCKET@'))
attempt(socket.AF_UNIX, socket.SOCK_STREAM, do=lambda s: s.connect('\\x00@ABSTRACT@'))
attempt(socket.AF_PACKET, socket.SOCK_RAW, do=lambda s: s.send(b'?'))
attempt(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, do=lambda s: None)
try:
    loot.append(socket.getaddrinfo('course.example', 80))
except OSError:
    pass
"""

LOOKS = {
    "for tests, solutions and questions, by name": READS
    + """
loot = read('@ROOT@/tests/conftest.py', '@ROOT@/solutions/02_query_key_value.py',
            '@ROOT@/course_lib/grading/questions/chapter_02_query_key_value.py',
            '@ROOT@/README.md', '@ROOT@/pyproject.toml')
""",
    "for other submissions": READS
    + """
import os
loot = read('@OUTSIDE@/victim', '@OUTSIDE@/other.ipynb')
for folder in ('@OUTSIDE@', '/root', '/ho' 'me', '/var', '/srv', '/mnt', '/run'):
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name)
        if not any(python.startswith(path) for python in ('@PREFIX@', '@BASE@')):
            loot.append(path)
""",
    "for anything with a telling name, on the whole disk": """
import os
loot = []
for folder, folders, files in os.walk('/'):
    if folder.removeprefix('/python') in ('/proc', '/usr', '@PREFIX@', '@BASE@'):
        folders.clear()
    loot += [os.path.join(folder, name) for name in files
             if 'question' in name or 'solution' in name or name.endswith('.ipynb')
             or 'secret' in name or 'explanation' in name or name.startswith('test_')]
""",
    "for the grader's modules": """
import importlib, os
loot = []
for name in ('questions', 'checking', 'comparing', 'question', 'explanations',
             'grader', 'signing', 'policy', 'sandbox', 'process'):
    try:
        loot.append(importlib.import_module('course_lib.grading.' + name))
    except ImportError:
        pass
import course_lib.grading
loot += os.listdir(os.path.dirname(course_lib.grading.__file__))
loot.remove('__init__.py')
""",
    "for the environment of who started it": READS
    + """
import glob, os
ours = {'HOME', 'PATH', 'MPLBACKEND', 'OMP_NUM_THREADS', 'PYTHONHASHSEED', 'LC_CTYPE',
        'OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE', 'TEST_OF_GRADER', 'PWD', 'OLDPWD'}
loot = sorted(set(os.environ) - ours)
for path in glob.glob('/proc/*/environ'):
    try:
        with open(path, 'rb') as file:
            lines = file.read().decode(errors='replace').split('\\0')
    except OSError:
        continue
    loot += [line for line in lines if line and line.split('=')[0] not in ours]
""",
    "for other processes": """
import os
pids = sorted(int(name) for name in os.listdir('/proc') if name.isdigit())
loot = pids[3:]
for pid in pids:
    try:
        with open(f'/proc/{pid}/cmdline') as file:
            words = file.read()
    except OSError:  # it ended meanwhile
        continue
    if 'pytest' in words or 'attention-course' in words:
        loot.append(words)
""",
    "into the memory of process 1 and of its parent": """
import os
loot = []
for pid in {1, os.getppid()} - {os.getpid()}:
    for name in ('mem', 'environ'):
        try:
            with open(f'/proc/{pid}/{name}', 'r+b') as file:
                loot.append((pid, name))
        except OSError:
            pass
    try:
        loot += set(os.listdir(f'/proc/{pid}/root' '/@ROOT@')) & {'tests', 'solutions'}
    except OSError:
        pass
""",
    "for files that were left open": """
import os
loot = []
for name in os.listdir('/proc/self/fd'):
    try:
        target = os.readlink('/proc/self/fd/' + name)
    except OSError:
        continue
    if not target.startswith(('/dev/null', 'pipe:', '/proc/')):
        loot.append(target)
""",
    "for a network": CONNECTS,
    "for devices": READS
    + """
import os
loot = read('/dev/mem', '/dev/kmsg', '/dev/sda', '/dev/vda', '/dev/tty', '/dev/fuse',
            '/proc/kcore', '/proc/kmsg')
for name, number in (('mem', (1, 1)), ('disk', (8, 0))):
    try:
        os.mknod(name, 0o20600, os.makedev(*number))
        loot += read(name) or [name]
    except OSError:
        pass
""",
}
REACHES = {
    "for files of the machine": WRITES
    + """
loot = write('@OUTSIDE@/victim', '@OUTSIDE@/new', '@ROOT@/README.md', '/etc/passwd',
             '/new', '/usr/new', '/usr/bin/env', '/dev/new', '@PREFIX@/new')
loot += change('@OUTSIDE@/victim', '@ROOT@/tests', '/usr', '/usr/bin/env', '/', '/dev')
""",
    "for Python and the course": WRITES
    + """
import course_lib, course_lib.grading, os, sys
owned = [np.__file__, os.__file__, sys.executable, course_lib.__file__, sys.argv[0],
         course_lib.grading.__file__, os.path.dirname(sys.argv[0])]
loot = write(*owned, *(os.path.dirname(path) + '/new' for path in owned))
loot += change(*owned)
""",
    "for files through links": WRITES
    + """
import sys
for number, path in enumerate(('@OUTSIDE@/victim', np.__file__, sys.executable)):
    for link in (os.symlink, os.link):
        try:
            link(path, f'{link.__name__}{number}')
        except OSError:
            pass
loot = write(*os.listdir('.'))
loot = [name for name in loot if '@OUTSIDE@' not in os.path.realpath(name)]
""",
    "for the kernel's settings": WRITES
    + """
loot = write('/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe',
             '/proc/sys/vm/drop_caches', '/proc/sysrq-trigger', '/proc/mtrr',
             '/proc/self/oom_score_adj', '/proc/self/uid_map', '/proc/1/uid_map',
             '/proc/sys/user/max_user_namespaces', '/sys/kernel/uevent_helper')
loot += [path for path in ('/sys/fs/cgroup', '/sys/kernel') if os.path.exists(path)]
""",
    "for the rights of root": """
import ctypes, os, resource
libc, loot = ctypes.CDLL(None, use_errno=True), []
calls = {
    'mount': lambda: libc.mount(b'none', b'own', b'tmpfs', 0, b''),
    'bind': lambda: libc.mount(b'/', b'own', b'', 4096, b''),
    'chroot': lambda: libc.chroot(b'.'),
    'hostname': lambda: libc.sethostname(host, len(host)),
    'mounts': lambda: libc.unshare(0x00020000),
    'users': lambda: libc.unshare(0x10000000),
    'network': lambda: libc.unshare(0x40000000),
    'groups': lambda: libc.setgroups(0, None),
}
os.mkdir('own'); host = os.uname()[1].encode()
for name, call in calls.items():
    if call() == 0:
        loot.append(name)
for handle in ('/dev/null', '/dev/zero', '/dev/urandom', 0, 1, 2):
    try:
        os.chmod(handle, os.stat(handle).st_mode & 0o7777)
        loot.append(handle)
    except OSError:
        pass
for name in ('DATA', 'FSIZE', 'NOFILE', 'CORE', 'CPU'):
    kind = getattr(resource, 'RLIMIT_' + name)
    try:
        resource.setrlimit(kind, (2**40, 2**40))
        loot.append(name)
    except (ValueError, OSError):
        pass
with open('/proc/self/status') as file:
    loot += [line for line in file if line.startswith(('CapEff', 'CapPrm', 'CapBnd'))
             and int(line.split()[1], 16)]
""",
    "for namespaces of others": """
import os, subprocess
loot = []
for command in (['unshare', '--mount', 'true'], ['unshare', '--user', 'true'],
                ['nsenter', '--target', '1', '--all', 'true'],
                ['chroot', '/proc/1/root', 'true'], ['su', '-c', 'true'],
                ['mount', '-t', 'proc', 'none', 'own']):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    loot += [] if done.returncode else [command]
""",
}

CASES = [
    *(Case(f"a look {name}", (code + TELL,)) for name, code in LOOKS.items()),
    *(Case(f"a reach {name}", (code + TELL,)) for name, code in REACHES.items()),
]
# What finds something where there is no sandbox, and harms nothing there.
HARMLESS = {
    f"a look {name}"
    for name in (
        "for tests, solutions and questions, by name",
        "for other submissions",
        "for other processes",
        "into the memory of process 1 and of its parent",
        "for a network",
    )
}

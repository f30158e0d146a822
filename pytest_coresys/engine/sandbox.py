"""What a forked child does before it repeats a test, so that nothing it does is seen outside of it.

Memory is its own by the fork. The rest it shares with its parent, and gives up here:

* descriptors: files open for writing become private copies, sockets, pipes and pollers lead to /dev/null;
* shared mappings become private copies;
* paths: temporary files go to a folder of its own; changing, moving or removing what was there before the fork,
  or connecting to a server that was there before, is refused, and ends the repeating ("could not be repeated");
* processes: only its own may be signalled, and whatever it leaves running is ended with it; a thread that starts a
  program, or forks, is confined by the kernel from then on (``landlock``): neither it nor what it starts can change
  files outside the child's own folder. Where the kernel can't do that, programs are refused.

Refusals come from an audit hook: it cannot be removed again, which is no loss in a process that ends by ``_exit``.
What C code does without an audit event is not seen; the private descriptors and mappings still hold then.
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import mmap
import os
import select
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from coresys.measure import meters
from coresys.measure.system import System
from pytest_coresys.engine import landlock

_COPY_LIMIT = 16 * 1024 * 1024


class RefusedError(PermissionError):
    """The repetition was about to do something that others would notice."""


# -- descriptors --------------------------------------------------------------------------------------------------


def isolate_descriptors(keep: Collection[int]) -> None:
    """Make every inherited descriptor private, except those in ``keep``."""
    null = os.open(os.devnull, os.O_RDWR)
    inherited = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd not in keep and fd != null]
    # An event loop that the program keeps has a poller and a pair of sockets to wake itself: it goes on working
    # with new ones of its own. Read who watches whom first, replace, then build the pollers again.
    pollers = {fd: watched for fd in inherited if (watched := _watched_by(fd)) is not None}
    pairs = _socket_pairs(inherited)
    for one, other in pairs:
        _new_pair(one, other)
    paired = {fd for pair in pairs for fd in pair}
    for fd in inherited:
        if fd not in paired and fd not in pollers:
            _isolate(fd, null)
    for fd, watched in pollers.items():
        _new_poller(fd, watched)
    os.close(null)


def renew_pollers() -> None:
    """Give this process pollers of its own, and pairs of sockets to wake them, and leave all else shared.

    An event loop that the parent keeps would lose what its copy here unregisters, and be woken by it.
    """
    inherited = list(map(int, os.listdir("/proc/self/fd")))
    pollers = {fd: watched for fd in inherited if (watched := _watched_by(fd)) is not None}
    if not pollers:
        return
    targets = {target for watched in pollers.values() for target, _ in watched}
    for one, other in _socket_pairs(inherited):
        if not targets.isdisjoint((one, other)):
            _new_pair(one, other)
    for fd, watched in pollers.items():
        _new_poller(fd, watched)


def _watched_by(fd: int) -> list[tuple[int, int]] | None:
    """Descriptors and event masks that an epoll descriptor watches; None if it is no epoll."""
    try:
        if "[eventpoll]" not in os.readlink(f"/proc/self/fd/{fd}"):
            return None
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            rows = [line.split() for line in file if line.startswith("tfd:")]
    except OSError:
        return None
    return [(int(row[1]), int(row[3], 16)) for row in rows]


def _socket_pairs(fds: list[int]) -> list[tuple[int, int]]:
    """Both ends of ``socket.socketpair()`` calls: nameless stream sockets, made one after the other."""
    inodes: dict[int, int] = {}
    for fd in fds:
        try:
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            with socket.socket(fileno=os.dup(fd)) as sock:
                nameless = sock.family == socket.AF_UNIX and not sock.getsockname() and not sock.getpeername()
        except OSError:
            continue  # closed meanwhile, or not connected
        if nameless:
            inodes[os.fstat(fd).st_ino] = fd
    pairs: list[tuple[int, int]] = []
    used: set[int] = set()
    for inode in sorted(inodes):
        if inode not in used and inode + 1 in inodes:
            pairs.append((inodes[inode], inodes[inode + 1]))
            used.update((inode, inode + 1))
    return pairs


def _new_pair(one: int, other: int) -> None:
    fresh = socket.socketpair()
    for fd, end in zip((one, other), fresh, strict=True):
        end.setblocking(os.get_blocking(fd))
        os.dup2(end.fileno(), fd, inheritable=os.get_inheritable(fd))
        end.close()


def _new_poller(fd: int, watched: list[tuple[int, int]]) -> None:
    fresh = select.epoll()
    for target, mask in watched:
        try:
            fresh.register(target, mask)
        except OSError:
            pass  # leads to /dev/null now, which cannot be polled
    os.dup2(fresh.fileno(), fd, inheritable=os.get_inheritable(fd))
    fresh.close()


def _isolate(fd: int, null: int) -> None:
    try:
        mode = os.fstat(fd).st_mode
        access = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return  # closed meanwhile: the listing's own
    if stat.S_ISREG(mode):
        _private_copy(fd, null, writable=access != os.O_RDONLY)
    elif stat.S_ISCHR(mode) and fd > 2 and not os.isatty(fd):
        pass  # a device; but capture keeps the terminal at a number of its own, which somebody looks at
    elif not stat.S_ISDIR(mode):
        os.dup2(null, fd, inheritable=fd <= 2)


def _private_copy(fd: int, null: int, *, writable: bool) -> None:
    """A copy in memory at the same number and offset. A reader's offset is shared too, so it gets a copy as well."""
    inheritable = os.get_inheritable(fd)
    size = os.fstat(fd).st_size
    if size > _COPY_LIMIT:
        if writable:
            os.dup2(null, fd, inheritable=inheritable)
        return
    offset = os.lseek(fd, 0, os.SEEK_CUR)
    copy = os.memfd_create("coresys")
    try:
        with open(f"/proc/self/fd/{fd}", "rb") as source:
            os.write(copy, source.read())
    except OSError:
        pass  # opened for writing only, and not readable by us: an empty file serves
    os.lseek(copy, offset, os.SEEK_SET)
    os.dup2(copy, fd, inheritable=inheritable)
    os.close(copy)


# -- shared mappings ----------------------------------------------------------------------------------------------

_MAP_FIXED = 0x10


def isolate_mappings() -> None:
    """Replace shared writable mappings by private copies of the same bytes at the same address.

    Raises RefusedError when they are too large to copy.
    """
    spans = _shared_spans()
    if sum(end - start for start, end in spans) > 4 * _COPY_LIMIT:
        raise RefusedError("the process shares more than 64 MiB of mapped memory")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    for start, end in spans:
        saved = ctypes.string_at(start, end - start)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
        if libc.mmap(start, end - start, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0) != start:
            raise RefusedError("a shared mapping could not be made private")
        ctypes.memmove(start, saved, end - start)


def _shared_spans() -> list[tuple[int, int]]:
    spans = []
    with open("/proc/self/maps", "rb") as file:
        for line in file:
            if b" rw-s " in line or b" rwxs " in line:
                start, _, end = line.split(b" ", 1)[0].partition(b"-")
                spans.append((int(start, 16), int(end, 16)))
    return spans


# -- paths, servers, processes --------------------------------------------------------------------------------------

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_TRUNC | os.O_CREAT
# Where the descriptor of the folder stands, to which a path is relative, among the arguments of an event.
_FOLDER_AT = {
    "os.remove": 1,
    "os.rmdir": 1,
    "shutil.rmtree": 1,
    "os.mkdir": 2,
    "os.chmod": 2,
    "os.chown": 3,
    "os.utime": 3,
}
_MOST_MADE = 16
_SEGMENTS, _MADE_SEGMENTS = "/dev/shm", "segments"  # where Linux keeps shared memory; where the child writes its names
# Not all of /dev: in /dev/shm stand files, and segments of memory that others have mapped.
_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "fd"))


class Guard:
    """The audit hook of the child: remembers what the child made, refuses to touch what was there before.

    What it remembers is bounded, for it would be measured as the test's: ``forget_removed`` is called after each
    repetition, and a test that leaves new files again and again is refused.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writable = tuple(f"{place}{os.sep}" for place in (os.path.realpath(folder), *_DEVICES, "/proc"))
        self._made: set[str] = set()
        self._pid = os.getpid()
        self._known_ports: frozenset[int] | None = None
        self._confinement: landlock.Confinement | None = None
        self._thread = threading.local()
        self.refusal: str | None = None
        self.confined = False

    def install(self) -> None:
        sys.addaudithook(self)
        self._guard_open()
        self._guard_shared_memory()

    def _guard_open(self) -> None:
        """The event that ``os.open`` raises does not tell to which folder's descriptor a path is relative."""
        real_open = os.open

        def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if dir_fd is not None and flags & _WRITING:
                self._refuse(self._write(_real(path, dir_fd), "writes"))
            return real_open(path, flags, mode, dir_fd=dir_fd)

        os.open = open_
        os.supports_dir_fd.add(open_)

    def _guard_shared_memory(self) -> None:
        """``multiprocessing.shared_memory`` opens segments by name, and no audit event tells of it."""
        try:
            shm: Any = importlib.import_module("_posixshmem")
        except ImportError:
            return
        real_open, real_unlink = shm.shm_open, shm.shm_unlink
        before = frozenset(os.listdir(_SEGMENTS) if os.path.isdir(_SEGMENTS) else ())
        # Names go to a file: a test may well leave a segment each time, and what we remember would be its growth too.
        made: int | None = None

        def shm_open(path: str, flags: int, mode: int = 0o777) -> int:
            nonlocal made
            name = path.lstrip("/")
            if name in before and flags & _WRITING:
                self._refuse(f"opens the shared memory {name}")
            is_new = "/" not in name and not os.path.lexists(os.path.join(_SEGMENTS, name))
            fd = int(real_open(path, flags, mode=mode))
            if flags & os.O_CREAT and is_new:  # nothing that somebody else made, and nowhere else
                if made is None:
                    made = os.open(self._folder / _MADE_SEGMENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
                os.write(made, os.fsencode(name) + b"\0")
            return fd

        def shm_unlink(path: str) -> None:
            if path.lstrip("/") in before:
                self._refuse(f"removes the shared memory {path.lstrip('/')}")
            real_unlink(path)

        shm.shm_open, shm.shm_unlink = shm_open, shm_unlink

    def leftovers(self) -> list[str]:
        """Paths outside its own folder that the child made and that still exist, deepest first."""
        return sorted((path for path in self._made if os.path.lexists(path)), key=len, reverse=True)

    def forget_removed(self) -> None:
        """Forget the paths that were made and are gone."""
        for path in [path for path in self._made if not os.path.lexists(path)]:
            self._made.discard(path)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        check = _CHECKS.get(event)
        if check is None or getattr(self._thread, "busy", False):
            return
        self._thread.busy = True  # our own look at the file system raises events too
        try:
            problem = check(self, event, args)
        finally:
            self._thread.busy = False
        self._refuse(problem)

    def _refuse(self, problem: str | None) -> None:
        if problem:
            self.refusal = self.refusal or problem
            raise RefusedError(f"coresys: a repetition may not do this, others would notice: {problem}")

    # Each check returns what is wrong, or None.

    def _is_own(self, path: str) -> bool:
        """Whether a path is in the child's own folder, is one that it made, lies below one, or is a device."""
        inside = path + os.sep
        return inside.startswith(self._writable) or any(inside.startswith(made + os.sep) for made in self._made)

    def _change(self, path: str | None, verb: str) -> str | None:
        if path is None or not os.path.lexists(path) or (self._is_own(path) and path not in _DEVICES):
            return None
        return f"{verb} {path}"

    def _write(self, path: str | None, verb: str) -> str | None:
        """Like a change, which may also make what is not there."""
        if path is None or self._is_own(path):
            return None
        if os.path.lexists(path):
            return f"{verb} {path}"
        if os.getpid() != self._pid:
            return f"makes {path} in another process"  # where nobody would learn of it, to remove it
        if len(self._made) >= _MOST_MADE:
            return f"makes ever new files, the last of them {path}"
        self._made.add(path)
        return None

    def on_open(self, event: str, args: tuple[Any, ...]) -> str | None:
        path, mode, flags = (*args, None, None, None)[:3]
        writes = isinstance(flags, int) and bool(flags & _WRITING)
        writes = writes or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
        return self._write(_real(path), "writes") if writes and not isinstance(path, int) else None

    def on_sqlite(self, event: str, args: tuple[Any, ...]) -> str | None:
        text = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else ""
        if not text or ":memory:" in text:
            return None
        return self._write(_real(text.removeprefix("file:").split("?")[0]), "opens the database")

    def on_make(self, event: str, args: tuple[Any, ...]) -> str | None:
        path = _real(args[0], args[_FOLDER_AT[event]])
        return None if path is None or os.path.lexists(path) else self._write(path, "makes")

    def on_change(self, event: str, args: tuple[Any, ...]) -> str | None:
        at = _FOLDER_AT.get(event)
        return self._change(_real(args[0], -1 if at is None else (*args, -1)[at]), "changes")

    def on_rename(self, event: str, args: tuple[Any, ...]) -> str | None:
        source, target, in_source, in_target = (*args, -1, -1)[:4]
        return self._change(_real(source, in_source), "changes") or self._replace(_real(target, in_target))

    def on_link(self, event: str, args: tuple[Any, ...]) -> str | None:
        return self._replace(_real(args[1], args[-1]))

    def _replace(self, path: str | None) -> str | None:
        """A name that is to stand for something else. A device may be written to, and no more."""
        return f"changes {path}" if path in _DEVICES else self._write(path, "changes")

    def on_connect(self, event: str, args: tuple[Any, ...]) -> str | None:
        return self._reach(args[1])

    def on_bind(self, event: str, args: tuple[Any, ...]) -> str | None:
        """A socket of the file system is a file, which is there until it is removed."""
        self._ports()
        address = args[1]
        return self._write(_real(address), "makes") if isinstance(address, (str, bytes)) and _is_path(address) else None

    def _ports(self) -> frozenset[int]:
        """Those of others, as they are before the first server, program or fork of ours is there.

        Asked for no sooner: the system takes milliseconds to list them, and most tests reach for none.
        """
        if self._known_ports is None:
            self._known_ports = listening_ports()
        return self._known_ports

    def _reach(self, address: Any) -> str | None:
        if isinstance(address, tuple) and len(address) >= 2:
            host, port = str(address[0]), address[1]
            local = host.startswith("127.") or host in ("localhost", "::1", "0.0.0.0", "::", "")
            if local and port not in self._ports():
                return None
            return f"talks to {host}:{port}, which was there before"
        if isinstance(address, (str, bytes)) and address:
            path = os.path.realpath(os.fsdecode(address))
            return None if self._is_own(path) else f"talks to {path}"
        return None

    def on_start(self, event: str, args: tuple[Any, ...]) -> str | None:
        """A program, or a fork: what runs there, no hook of ours sees, but the kernel does."""
        if getattr(self._thread, "confined", False):
            return None
        try:
            self._confine()
        except OSError:
            # A fork has this hook still, as long as it runs Python.
            return None if event in _FORKS else "starts a program, and this system can't keep it from changing files"
        return None

    def _confine(self) -> None:
        if self._confinement is None:
            self._confinement = landlock.Confinement(
                (place.rstrip(os.sep) for place in self._writable), _private_ports() - self._ports()
            )
        self._confinement.enter()
        self._thread.confined = self.confined = True

    def on_kill(self, event: str, args: tuple[Any, ...]) -> str | None:
        pid = args[0]
        if pid in (0, -1) or (pid > 0 and pid != self._pid and not is_descendant(pid, self._pid)):
            return f"signals process {pid}"
        return None


_FORKS = ("os.fork", "os.forkpty")
_CHANGES = (
    *("os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "shutil.rmtree"),
    *("os.setxattr", "os.removexattr"),
)
_STARTS = ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", *_FORKS)
_CHECKS: dict[str, Callable[[Guard, str, tuple[Any, ...]], str | None]] = {
    "open": Guard.on_open,
    "sqlite3.connect": Guard.on_sqlite,
    "os.mkdir": Guard.on_make,
    "socket.connect": Guard.on_connect,
    "socket.sendto": Guard.on_connect,
    "socket.sendmsg": Guard.on_connect,
    "socket.bind": Guard.on_bind,
    "os.kill": Guard.on_kill,
    "os.killpg": Guard.on_kill,
    "os.rename": Guard.on_rename,
    "shutil.move": Guard.on_rename,
    "os.link": Guard.on_link,
    "os.symlink": Guard.on_link,
    **dict.fromkeys(_CHANGES, Guard.on_change),
    **dict.fromkeys(_STARTS, Guard.on_start),
}


def _is_path(address: str | bytes) -> bool:
    """Whether the address of a Unix socket is a file: not when it is abstract, or left to the system."""
    return bool(address) and address[:1] not in ("\0", b"\0")


def _real(target: Any, folder: Any = -1) -> str | None:
    """The path that is meant, links in its folder followed; ``folder`` is a descriptor that it may be relative to."""
    if not isinstance(target, (str, bytes, os.PathLike)):
        return None  # a descriptor: private by now
    path = os.fsdecode(target)
    if isinstance(folder, int) and folder >= 0 and not os.path.isabs(path):
        path = os.path.join(os.path.realpath(f"/proc/self/fd/{folder}"), path)
    above, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(above), name)


def _private_ports() -> set[int]:
    """Ports that the system hands out to who asks for any: no service waits there for all."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first, last = map(int, file.read().split())
    except (OSError, ValueError):
        first, last = 32768, 60999
    return set(range(first, last + 1))


def listening_ports() -> frozenset[int]:
    """TCP ports that somebody else on this machine listens at, and UDP ports that somebody else bound."""
    own = _own_sockets()
    ports: set[int] = set()
    for name, listening in (("tcp", b"0A"), ("tcp6", b"0A"), ("udp", b"07"), ("udp6", b"07")):
        try:
            lines = System.read_file(f"/proc/net/{name}").splitlines()[1:]
        except OSError:
            continue
        rows = [line.split() for line in lines]
        ports.update(int(row[1].rpartition(b":")[2], 16) for row in rows if row[3] == listening and row[9] not in own)
    return frozenset(ports)


def _own_sockets() -> set[bytes]:
    """Inodes of the sockets of this process."""
    own: set[bytes] = set()
    for fd in meters.descriptors():
        try:
            found = System.fstat(fd)
        except OSError:
            continue  # closed meanwhile
        if stat.S_ISSOCK(found.st_mode):
            own.add(str(found.st_ino).encode())
    return own


def is_descendant(pid: int, ancestor: int) -> bool:
    """Whether a process stands below another one."""
    for _ in range(64):
        if pid == ancestor:
            return True
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return False
        if pid <= 1:
            return False
    return False


def adopt_orphans() -> None:
    """Make this process the new parent of what its children leave behind, so that it can be ended with it."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def remove_segments(folder: Path) -> None:
    """Remove the shared memory that the child whose folder this is made, and left. For its parent."""
    try:
        names = (folder / _MADE_SEGMENTS).read_bytes().split(b"\0")
    except OSError:
        return
    for name in names:
        if not name or b"/" in name:
            continue
        try:
            os.unlink(os.path.join(_SEGMENTS, os.fsdecode(name)))
        except OSError:
            pass


def private_folder() -> Path:
    """The folder for everything temporary that the child makes; the parent removes it."""
    return Path(tempfile.mkdtemp(prefix="coresys-repeat-"))


def redirect_temporary_files(folder: Path) -> None:
    tempfile.tempdir = str(folder)
    os.environ["TMPDIR"] = str(folder)

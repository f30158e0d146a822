"""Readings of this process: allocators, mappings, descriptors, threads, children, asyncio tasks.

Each reader takes a few microseconds and keeps nothing, so that reading does not show in what is read.
Where a platform lacks something, the reader is None and ``capabilities`` says why.

Memory in use is the sum of three counters, because each is the only witness of some leaks:

* *pymalloc*: bytes in allocated blocks, from ``_PyObject_DebugMallocStats`` (objects up to 512 bytes);
* *malloc*: ``uordblks + hblkhd`` of glibc's ``mallinfo2`` (larger objects, C extensions);
* *mapped*: the size of the address space less the allocators' own arenas (whatever maps memory itself).

RSS is not among them: it moves by itself in 40 % of empty tests.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import gc
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from coresys.measure.system import READ_ONLY, System

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Memory(NamedTuple):
    """Bytes in use, by allocator, and bytes stranded in pools and chunks that are only partly used."""

    pymalloc: int
    malloc: int
    mapped: int
    pool_free: int
    chunk_free: int

    @property
    def in_use(self) -> int:
        return self.pymalloc + self.malloc + self.mapped


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _load_libc() -> Any:
    try:
        # Holds the GIL: giving it up in the middle of a reading lets other threads run for 5 ms each time.
        return ctypes.PyDLL(None)
    except (OSError, TypeError):  # Windows has no process-wide library handle
        return None


_libc = _load_libc()


class MallocMeter:
    """glibc's own account of malloc, all arenas together."""

    def __init__(self) -> None:
        mallinfo2 = getattr(_libc, "mallinfo2", None)
        if mallinfo2 is None:
            raise NotImplementedError("the C library has no mallinfo2 (glibc 2.33 or later has)")
        mallinfo2.restype = _Mallinfo2
        mallinfo2.argtypes = []
        self._mallinfo2 = mallinfo2

    def read(self) -> tuple[int, int, int]:
        """Bytes in use, bytes free inside the arenas, and bytes the arenas and big chunks have mapped."""
        info = self._mallinfo2()
        return info.uordblks + info.hblkhd, info.fordblks, info.arena + info.hblkhd

    def read_heaps(self) -> tuple[int, int, int]:
        """Bytes in use, free, and in all of malloc's heaps, without the large chunks that are mapped one by one."""
        info = self._mallinfo2()
        return info.uordblks, info.fordblks, info.arena


_LOCKED_BY_CALLER = 2  # FSETLOCKING_BYCALLER of stdio_ext.h
_NO_WRITES = 8  # _IO_NO_WRITES of glibc's FILE, in its first word


class PymallocMeter:
    """CPython's object allocator, through its own statistics printed into a memory stream that is used again."""

    def __init__(self) -> None:
        try:
            self._print = ctypes.pythonapi._PyObject_DebugMallocStats
        except AttributeError:
            raise NotImplementedError("this interpreter does not export _PyObject_DebugMallocStats") from None
        if not hasattr(_libc, "open_memstream"):
            raise NotImplementedError("the C library has no open_memstream")
        self._buffer = ctypes.c_void_p()
        self._size = ctypes.c_size_t()
        _libc.open_memstream.restype = ctypes.c_void_p
        _libc.open_memstream.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        _libc.rewind.argtypes = [ctypes.c_void_p]
        _libc.fflush.argtypes = [ctypes.c_void_p]
        _libc.fputc.argtypes = [ctypes.c_int, ctypes.c_void_p]
        _libc.fclose.argtypes = _libc.free.argtypes = [ctypes.c_void_p]
        self._print.argtypes = [ctypes.c_void_p]
        self._print.restype = ctypes.c_int
        self._stream = _libc.open_memstream(ctypes.byref(self._buffer), ctypes.byref(self._size))
        if not self._stream:
            raise NotImplementedError("open_memstream failed")
        without_lock = getattr(_libc, "__fsetlocking", None)  # by name: inside a class it would be mangled
        if without_lock is not None:  # nobody else writes to it, and locks are a third of the time that printing takes
            without_lock.argtypes = [ctypes.c_void_p, ctypes.c_int]
            without_lock(self._stream, _LOCKED_BY_CALLER)
        self._flags = ctypes.c_int.from_address(self._stream)
        whole, sums = _figures(self.text()), _figures(self.sums())
        # The same moment but for what reading itself took.
        self._has_sums = whole is not None and sums is not None and abs(whole[0] - sums[0]) < 4096

    def text(self) -> bytes:
        """What the allocator prints of itself."""
        _libc.rewind(self._stream)
        self._print(self._stream)
        return self._printed()

    def sums(self) -> bytes:
        """The same, less the lines for each class of sizes, which take two thirds of the time.

        Those are written by ``fprintf``, which gives up at once on a stream that is marked as not to be written; the
        sums by ``fputs`` and ``fputc``, which look only whether there is room in its buffer. The first character
        makes that room be offered, and the whole text, which was printed before, has made it large enough.
        """
        stream, flags = self._stream, self._flags
        _libc.rewind(stream)
        _libc.fputc(10, stream)
        flags.value |= _NO_WRITES
        try:
            self._print(stream)
        finally:
            flags.value &= ~_NO_WRITES
        return self._printed()

    def _printed(self) -> bytes:
        _libc.fflush(self._stream)
        return ctypes.string_at(self._buffer.value or 0, self._size.value)

    def read(self) -> tuple[int, int, int]:
        """Bytes in allocated blocks, bytes in free blocks of pools in use, bytes of arenas; all 0 under malloc.

        Raises NotImplementedError where the statistics are not as in CPython 3.10 to 3.13.
        """
        text = self.sums() if self._has_sums else self.text()
        figures = _figures(text)
        if figures is None and text.strip():  # a silent 0 would be a pass
            raise NotImplementedError("this interpreter prints its allocator's statistics in a form unknown here")
        return figures or (0, 0, 0)

    def close(self) -> None:
        """Give the stream's storage back; nothing can be read after. At most once."""
        stream, self._stream = self._stream, None
        if stream:
            _libc.fclose(stream)
            _libc.free(self._buffer)


_FIGURES = re.compile(
    rb"bytes/arena\s*=\s*([\d,]+)\s+"
    rb"# bytes in allocated blocks\s*=\s*([\d,]+)\s+"
    rb"# bytes in available blocks\s*=\s*([\d,]+)\s"
)


def _figures(text: bytes) -> tuple[int, int, int] | None:
    found = _FIGURES.search(text)
    if found is None:
        return None
    arenas, allocated, available = found.groups()
    return int(allocated.replace(b",", b"")), int(available.replace(b",", b"")), int(arenas.replace(b",", b""))


# The numbers from here on are seldom anybody's: one who closes "all but the first 256", or counts on the lowest number
# that is free, finds the numbers as they are without us. And who closes a number that he no longer has hits nothing.
_SELDOM_USED = 500


class ProcFile:
    """A file of /proc that is opened once and read from its start each time.

    Code under test may close its descriptor, and get the same number for something of its own. In a forked child it
    still is the file of the process ``pid`` that opened it.
    """

    def __init__(self, path: str, size: int = 4096) -> None:
        try:
            self.fd = System.moved_up(System.open(path, READ_ONLY), _SELDOM_USED)
        except OSError as error:
            raise NotImplementedError(f"{path}: {error.strerror}") from None
        self.pid, self._size = System.getpid(), size
        self._file = System.fstat(self.fd)

    def status(self) -> os.stat_result:
        """What ``fstat`` says of it. Raises OSError if the descriptor is somebody else's by now."""
        status = System.fstat(self.fd)
        if status.st_ino != self._file.st_ino or status.st_dev != self._file.st_dev:
            raise OSError(errno.EBADF, "the descriptor was closed")
        return status

    def read(self) -> bytes:
        return System.pread(self.fd, self._size, 0)

    def close(self) -> None:
        """Close the descriptor, if it still is the file's. At most once."""
        try:
            self.status()
            System.close(self.fd)
        except OSError:  # closed by somebody else
            pass


class ProcCounts:
    """Numbers of threads and descriptors, from folders of /proc that are kept open: a third of the time.

    Raises NotImplementedError where there are none.
    """

    def __init__(self) -> None:
        self._tasks = ProcFile("/proc/self/task")
        try:
            self._descriptors = ProcFile("/proc/self/fd")
        except NotImplementedError:
            self._tasks.close()
            raise

    def threads(self) -> int:
        """As ``thread_count``. Raises OSError if a test closed the folder."""
        return self._tasks.status().st_nlink - 2 if _links_count_threads() else thread_count()

    def descriptors(self) -> int:
        """As ``descriptor_count``. Raises OSError if a test closed the folder."""
        return self._descriptors.status().st_size if _size_counts_descriptors() else descriptor_count()

    def close(self) -> None:
        self._tasks.close()
        self._descriptors.close()


_TRIES = 3


class MemoryMeter:
    """All memory counters of this process; made once, before the first reading. Raises NotImplementedError."""

    def __init__(self) -> None:
        self._malloc = MallocMeter()
        self._pymalloc = PymallocMeter()
        try:
            self._statm = ProcFile("/proc/self/statm", 128)
        except NotImplementedError:
            self._pymalloc.close()
            raise
        self.read()  # the first reading makes storage that later ones use again

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Descriptors that the meter keeps open: not the user's."""
        return (self._statm.fd,)

    def read(self) -> Memory:
        """The counters of one moment. Reading allocates too, now and then a whole arena: then it is read again."""
        size = self._address_space()
        for again in reversed(range(_TRIES)):
            before = size
            objects, pool_free, arenas = self._pymalloc.read()
            malloc, chunk_free, malloc_mapped = self._malloc.read()
            size = self._address_space()
            if size == before:
                break
            if again:  # these figures are objects too, which the next reading would find
                del objects, pool_free, arenas, malloc, chunk_free, malloc_mapped
        return Memory(objects, malloc, size - arenas - malloc_mapped, pool_free, chunk_free)

    def _address_space(self) -> int:
        statm = self._statm.read()
        return int(statm[: statm.index(b" ")]) * PAGE

    def close(self) -> None:
        self._statm.close()
        self._pymalloc.close()


def after_fork_meter() -> MemoryMeter:
    """A meter for a forked child: /proc/self of an inherited descriptor is still the parent's."""
    return MemoryMeter()


# Before 3.11 it makes every type be looked at anew, which costs much more than it tells.
_forget_lookups: Callable[[], object] = getattr(sys, "_clear_type_cache", int) if sys.version_info >= (3, 11) else int


def collect() -> None:
    """Collect garbage, and what nobody but the interpreter's cache of attribute lookups keeps.

    A name that was made for a ``getattr()`` (``"do_" + command`` of http.server) stays in it, up to 4,096 of them, at
    places that their addresses determine: growth that comes and goes over thousands of runs, and no leak.
    """
    gc.collect()
    _forget_lookups()


def trim() -> None:
    """Give free pages back to the system, so that what stays is really stranded."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def mincore(address: int, length: int, seen: Any) -> bool:
    """Have the system write into the buffer ``seen`` which pages are resident; False where something is not mapped.

    By the library that is loaded already: loading it anew leaves 60 KB for the collector each time.
    """
    return bool(_libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(length), seen) == 0)


# -- things that can be counted exactly ---------------------------------------------------------------------------

_FD_DIR = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"


def descriptors() -> set[int]:
    """Numbers of the descriptors that are open now. Raises OSError where the system does not tell."""
    listing = System.listdir(_FD_DIR)
    numbers = set(map(int, listing))
    # The listing itself needs a descriptor, which is closed by now: the lowest free number.
    for number in sorted(numbers, reverse=True):
        try:
            System.fstat(number)
        except OSError:
            numbers.discard(number)
            break
    return numbers


def descriptor_count() -> int:
    """How many descriptors are open, the one for asking not counted."""
    if _size_counts_descriptors():
        return System.stat(_FD_DIR).st_size
    return len(System.listdir(_FD_DIR)) - 1


@functools.cache
def _size_counts_descriptors() -> bool:
    """Whether the folder tells the number of descriptors as its size (Linux 6.2 and later): a third of the time."""
    try:
        return System.stat(_FD_DIR).st_size == len(System.listdir(_FD_DIR)) - 1
    except OSError:
        return False


def describe_descriptor(fd: int) -> str:
    """What a descriptor is: its path, socket with addresses, pipe or kind of anonymous inode."""
    try:
        target = System.readlink(f"{_FD_DIR}/{fd}")
    except OSError:
        return f"fd {fd}"
    if target.startswith("socket:"):
        return f"fd {fd} {_describe_socket(fd)}"
    if target.startswith("anon_inode:"):
        return f"fd {fd} {target[len('anon_inode:') :].strip('[]')}"
    if target.startswith("pipe:"):
        return f"fd {fd} pipe"
    return f"fd {fd} file {target}"


def _describe_socket(fd: int) -> str:
    import socket

    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError:
        return "socket"
    with sock:
        kind = {socket.SOCK_STREAM: "stream", socket.SOCK_DGRAM: "datagram"}.get(sock.type, "other")
        family = getattr(sock.family, "name", str(sock.family)).replace("AF_", "").lower()
        return " ".join(part for part in (f"socket {family} {kind}", *_addresses(sock)) if part)


def _addresses(sock: Any) -> tuple[str, str]:
    def text(address: Any) -> str:
        return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address or "")

    try:
        local = text(sock.getsockname())
    except OSError:
        local = ""
    try:
        peer = f"-> {text(sock.getpeername())}"
    except OSError:
        peer = ""
    return local, peer


def thread_count() -> int:
    """How many threads this process has, whoever started them; those that Python knows where no more can be told."""
    try:
        if _links_count_threads():
            return System.stat("/proc/self/task").st_nlink - 2
        return len(System.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


@functools.cache
def _links_count_threads() -> bool:
    """Whether the folder has a link for each thread, as folders have for folders in them: half of the time."""
    return System.stat("/proc/self/task").st_nlink - 2 == len(System.listdir("/proc/self/task"))


def native_threads() -> set[int]:
    """Kernel ids of all threads of this process, whoever started them."""
    return set(map(int, System.listdir("/proc/self/task")))


def thread_name(tid: int) -> str | None:
    """The name that the system has of a thread of this process; None if it ended, or has none."""
    try:
        return System.read_file(f"/proc/self/task/{tid}/comm").decode("utf-8", "backslashreplace").strip()
    except OSError:
        return None


def python_threads() -> dict[int, threading.Thread]:
    """Threads that Python knows, by kernel id (or ident where there is none)."""
    return {(thread.native_id or thread.ident or 0): thread for thread in threading.enumerate()}


def children() -> set[int]:
    """Process ids of the direct children, zombies included."""
    found: set[int] = set()
    for tid in System.listdir("/proc/self/task"):
        try:
            # Not open(), which costs three times as much; and to the end: a list may fill many reads.
            found.update(map(int, System.read_file(f"/proc/self/task/{tid}/children").split()))
        except OSError:
            continue  # that thread ended between listing and reading
    return found


def describe_process(pid: int) -> str:
    """Process id, state and command line, as far as it can be told."""
    try:
        words = System.read_file(f"/proc/{pid}/cmdline").split(b"\0")
        command = " ".join(word.decode("utf-8", "replace") for word in words if word)
        state = System.read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0].decode()
    except (OSError, IndexError):
        return f"process {pid}"
    if state == "Z":
        return f"process {pid} (ended, never waited for)"
    return f"process {pid} {command[:120]}"


_REGISTERS = ("_all_tasks",) if sys.version_info < (3, 12) else ("_scheduled_tasks", "_eager_tasks")


def pending_tasks() -> list[Any]:
    """asyncio tasks that are not done, of every loop in the process; empty if asyncio was never imported."""
    asyncio_tasks = sys.modules.get("asyncio.tasks")
    if asyncio_tasks is None:
        return []
    registers = [vars(asyncio_tasks).get(name, ()) for name in _REGISTERS]
    # A WeakSet with nothing in it: its own way to say so is slow.
    registers = [register for register in registers if getattr(register, "data", register)]
    if not registers:
        return []
    found: list[Any] = []
    for register in registers:
        for attempt in range(3):
            try:
                found.extend(register)
                break
            except RuntimeError:  # changed while we looked: another thread runs a loop
                if attempt == 2:
                    raise
    unique = {id(task): task for task in found if not task.done()}
    return list(unique.values())


def capabilities() -> dict[str, str | None]:
    """For each measure, None if it can be measured on this machine, else why it can't."""
    memory = _why_not(_probe_memory)
    return {
        "memory.growth": memory,
        "memory.growth_rate": memory,
        "memory.peak": memory,
        "memory.fragmentation": memory,
        "threads.leaked": None,
        "threads.peak": None,
        "descriptors.leaked": _why_not(descriptors),
        "processes.leaked": _why_not(_probe_children),
        "tasks.leaked": None,
        "loop.blocked": None,
        "globals.changed": None,
        "cpu.share": None,
        "time.setup": None,
        "time.call": None,
        "time.teardown": None,
    }


def _probe_memory() -> None:
    MemoryMeter().close()


def _probe_children() -> None:
    path = f"/proc/self/task/{threading.get_native_id()}/children"
    if not os.path.exists(path):
        raise NotImplementedError(f"{path} does not exist (a kernel with CONFIG_PROC_CHILDREN has it)")


def _why_not(probe: Any) -> str | None:
    try:
        probe()
    except (NotImplementedError, OSError, AttributeError) as error:
        return str(error)
    return None

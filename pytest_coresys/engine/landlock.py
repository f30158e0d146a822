"""Forbid a thread, and all that it starts, to change files outside of given folders: Linux's Landlock.

An audit hook sees what this interpreter does, and nothing of what a shell does that it starts. The kernel does, asks
for no privileges, and cannot be told to stop. See landlock(7) and
https://docs.kernel.org/userspace-api/landlock.html, from which the numbers are.

What it does not cover: changes of mode, owner and times of files, and servers behind a socket file.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Collection, Iterable
from functools import cache

# The same on all architectures: they are younger than the common table of system calls.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag of the first: tell the version
_BELOW_PATH, _PORT = 1, 2
_PR_SET_NO_NEW_PRIVS = 38

# Rights by the version that introduced them: write, remove (2), make (7); move between folders; truncate.
_CHANGES = 1 << 1 | 0b11 << 4 | 0b1111111 << 6
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_ON_FILES = 1 << 1 | _TRUNCATE  # rights that a file, and not only a folder, can be given
_CONNECT = 1 << 1
_SCOPES = 0b11  # sockets without a file, and signals, of processes outside


class _Attributes(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


class _PortRule(ctypes.Structure):
    _fields_ = [("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64)]


@cache
def version() -> int:
    """The version of Landlock that this system has; 0 if none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


class Confinement:
    """The rules, made once; each thread that is to live by them calls ``enter``.

    ``writable`` are the paths at and below which files may be changed, ``ports`` the TCP ports that may be connected
    to. Processes outside cannot be signalled. Raises OSError where the system can't do it.
    """

    def __init__(self, writable: Iterable[str], ports: Collection[int]) -> None:
        has = version()
        if not has:
            raise OSError(errno.ENOSYS, "this system has no Landlock")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._rights = _CHANGES | (_REFER if has >= 2 else 0) | (_TRUNCATE if has >= 3 else 0)
        network, scopes = _CONNECT if has >= 4 else 0, _SCOPES if has >= 6 else 0
        attributes = _Attributes(self._rights, network, scopes)
        size = 24 if has >= 6 else 16 if has >= 4 else 8
        self._ruleset = self._call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
        for path in writable:
            self._allow(path)
        if network:
            rule = _PortRule(network, 0)
            for rule.port in ports:
                self._call(_ADD_RULE, self._ruleset, _PORT, ctypes.byref(rule), 0)

    def _allow(self, path: str) -> None:
        try:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return  # not there: then there is nothing to change either
        try:
            rights = self._rights if os.path.isdir(path) else self._rights & _ON_FILES
            self._call(_ADD_RULE, self._ruleset, _BELOW_PATH, ctypes.byref(_PathRule(rights, parent)), 0)
        finally:
            os.close(parent)

    def enter(self) -> None:
        """Confine this thread, and what it starts from now on, for good."""
        self._libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        self._call(_RESTRICT_SELF, self._ruleset, 0)

    def _call(self, number: int, *arguments: object) -> int:
        result = int(self._libc.syscall(number, *arguments))
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
        return result

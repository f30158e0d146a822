/* What locks.py's methods do at each acquisition and release, in C: see there for the invariants, which are the same.

   Nothing is stored here: the methods read and write the slots of the classes of chains.py and locks.py, at the offsets
   that those classes' own descriptors tell. So a lock may be taken by a method of either language and let go by the
   other's, and whatever is not the common case (a lock that is not free, an order not seen before, one let go by a
   stranger) is done by the Python functions.

   Rules kept below:
   - A borrowed reference is not used after anything that may run Python code. What may: a call, a look-up among
     foreign keys, an allocation of what the collector follows, the last reference going.
   - Between a raw lock's being taken and the end of the method no signal handler runs, but in the Python functions; when
     one of those raises, the raw lock is let go again, so that no exception leaves a lock held.
   - The frame is read as the interpreter has it, without an object made for it (3.11 to 3.13). speed.py compares what
     is read with what sys._getframe says, and keeps to Python where that differs. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030A0000 || PY_VERSION_HEX >= 0x030E0000
#error "not known how this Python keeps its frames: the methods in Python are used"
#endif
#if defined(PYPY_VERSION) || defined(Py_GIL_DISABLED)
#error "written for CPython with its lock: the methods in Python are used"
#endif

/* ------------------------------------------------------------------------------------------------- frames */

#if PY_VERSION_HEX < 0x030B0000

typedef PyFrameObject Frame;

static inline Frame *frame_now(void) { return PyEval_GetFrame(); }
static inline Frame *frame_back(Frame *frame) { return frame->f_back; }
static inline PyObject *frame_code(Frame *frame) { return (PyObject *)frame->f_code; }
static inline PyObject *frame_globals(Frame *frame) { return frame->f_globals; }
static inline int frame_offset(Frame *frame) { return frame->f_lasti < 0 ? -1 : frame->f_lasti * 2; }

#else

#define Py_BUILD_CORE 1
#include <internal/pycore_frame.h>
#undef Py_BUILD_CORE

typedef _PyInterpreterFrame Frame;

static inline Frame *complete(Frame *frame)
{
    while (frame != NULL && _PyFrame_IsIncomplete(frame))
        frame = frame->previous;
    return frame;
}

static inline Frame *frame_now(void)
{
    PyThreadState *state = PyThreadState_Get();
#if PY_VERSION_HEX < 0x030D0000
    return complete(state->cframe->current_frame);
#else
    return complete(state->current_frame);
#endif
}

static inline Frame *frame_back(Frame *frame) { return complete(frame->previous); }
static inline PyObject *frame_globals(Frame *frame) { return frame->f_globals; }

static inline PyObject *frame_code(Frame *frame)
{
#if PY_VERSION_HEX < 0x030D0000
    return (PyObject *)frame->f_code;
#else
    return frame->f_executable;
#endif
}

static inline int frame_offset(Frame *frame)
{
    int index = _PyInterpreterFrame_LASTI(frame);
    return index < 0 ? -1 : index * (int)sizeof(_Py_CODEUNIT);
}

#endif

/* ------------------------------------------------------------------------------------- what prepare() is given */

typedef struct {
    PyTypeObject *type;       /* Lock or RLock */
    PyTypeObject *inner;      /* InnerLock or InnerRLock: their places are the user's */
    PyTypeObject *raw_type;   /* the interpreter's own */
    PyMethodDef *try_def;     /* its acquire and release */
    PyMethodDef *release_def;
    Py_ssize_t raw, ident, me, again; /* offsets of slots; again only of RLock */
} Kind;

static Kind of_lock, of_rlock;

static struct {
    int ready;
    PyTypeObject *chain_type, *party_type, *ident_type;
    Py_ssize_t ident_code, ident_offset;
    Py_ssize_t party_chain, party_lost;
    Py_ssize_t chain_ident, chain_parent, chain_joined;
    PyObject *mute;          /* chains.MUTE */
    PyObject *notes;         /* the namespace of chains, for what is bound anew there */
    PyObject *here;          /* chains.here */
    PyObject *learn, *leave; /* of chains */
    PyObject *kinds, *user, *outside, *whose; /* of makers */
    PyObject *blocked, *asked;        /* of speed: to wait */
} given;

static PyObject *str_key, *str_me, *str_muted, *str_name, *str_append, *str_handed_over, *str_joined;
static PyObject *str_blocking, *str_timeout;
static PyObject *zero, *minus_one, *only_false, *joined_names;

#define SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* The new value is there before the old one goes. */
static inline void put(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    PyObject *old = SLOT(object, offset);
    Py_INCREF(value);
    SLOT(object, offset) = value;
    Py_XDECREF(old);
}

static int emptied(void)
{
    PyErr_SetString(PyExc_AttributeError, "a lock that was taken apart as garbage");
    return -1;
}

/* ------------------------------------------------------------------------------------------ the calling thread */

/* chains.here.me, borrowed: the interpreter's dictionary of the thread keeps it, and goes with the thread. */
static PyObject *thread_here(void)
{
    PyObject *known = PyThreadState_GetDict(), *me;
    if (known != NULL) {
        me = PyDict_GetItemWithError(known, str_key);
        if (me != NULL)
            return me;
        if (PyErr_Occurred())
            return NULL;
    }
    me = PyObject_GetAttr(given.here, str_me); /* may run Python: the thread is new to the watch */
    if (me == NULL)
        return NULL;
    known = PyThreadState_GetDict();
    if (known == NULL || Py_TYPE(me) != given.party_type) {
        Py_DECREF(me);
        PyErr_SetString(PyExc_RuntimeError, "no place for what the thread holds");
        return NULL;
    }
    int failed = PyDict_SetItem(known, str_key, me);
    Py_DECREF(me);
    return failed ? NULL : me;
}

/* ------------------------------------------------------------------------------------------------ raw locks */

/* 1: taken, 0: not free, -1: an error. */
static inline int try_raw(Kind *kind, PyObject *self)
{
    PyObject *raw = SLOT(self, kind->raw), *result;
    if (raw == NULL || Py_TYPE(raw) != kind->raw_type)
        return emptied();
    result = ((PyCFunctionWithKeywords)(void (*)(void))kind->try_def->ml_meth)(raw, only_false, NULL);
    if (result == NULL)
        return -1;
    int taken = result == Py_True;
    Py_DECREF(result); /* True or False */
    return taken;
}

static inline PyObject *release_raw(Kind *kind, PyObject *self)
{
    PyObject *raw = SLOT(self, kind->raw);
    if (raw == NULL || Py_TYPE(raw) != kind->raw_type) {
        emptied();
        return NULL;
    }
    return kind->release_def->ml_meth(raw, NULL);
}

/* ------------------------------------------------------------------------------------------------- places */

/* The first frame outwards that is the user's, as makers.outside says; NULL without an error where that has to say it. */
static Frame *frame_outside(int *failed)
{
    Frame *frame = frame_now();
    *failed = 0;
    for (; frame != NULL; frame = frame_back(frame)) {
        PyObject *globals = frame_globals(frame), *name, *kind;
        if (globals == NULL || !PyDict_CheckExact(globals))
            return NULL;
        name = PyDict_GetItemWithError(globals, str_name);
        if (name == NULL || !PyUnicode_CheckExact(name)) {
            *failed = PyErr_Occurred() != NULL;
            return NULL;
        }
        Py_INCREF(name);
        kind = PyDict_GetItemWithError(given.kinds, name);
        Py_DECREF(name);
        if (kind == NULL) {
            *failed = PyErr_Occurred() != NULL;
            return NULL;
        }
        if (kind == given.user)
            return frame;
    }
    return NULL;
}

static int write_place(PyObject *ident, PyObject *code, int offset)
{
    PyObject *known = SLOT(ident, given.ident_offset);
    /* Mostly it is taken where it was taken last. The old offset is written by nobody but us and locks.py. */
    if (SLOT(ident, given.ident_code) == code && known != NULL && PyLong_CheckExact(known) &&
        PyLong_AsLong(known) == offset)
        return 0;
    PyObject *number = PyLong_FromLong(offset);
    if (number == NULL)
        return -1;
    put(ident, given.ident_code, code);
    put(ident, given.ident_offset, number);
    Py_DECREF(number);
    return 0;
}

/* What a function of makers says of the frame that takes the lock: (code, offset). */
static PyObject *ask_makers(PyObject *function)
{
    PyObject *frame = (PyObject *)PyEval_GetFrame(), *found;
    Py_XINCREF(frame);
    found = PyObject_CallOneArg(function, frame == NULL ? Py_None : frame);
    Py_XDECREF(frame);
    if (found != NULL && (!PyTuple_CheckExact(found) || PyTuple_GET_SIZE(found) != 2)) {
        Py_CLEAR(found);
        PyErr_SetString(PyExc_TypeError, "a place is a code object and an offset");
    }
    return found;
}

static int place_outside(PyObject *ident)
{
    PyObject *found = ask_makers(given.outside);
    if (found == NULL)
        return -1;
    put(ident, given.ident_code, PyTuple_GET_ITEM(found, 0));
    put(ident, given.ident_offset, PyTuple_GET_ITEM(found, 1));
    Py_DECREF(found);
    return 0;
}

static inline int place(PyObject *ident, int inner)
{
    Frame *frame;
    if (inner) {
        int failed;
        frame = frame_outside(&failed);
        if (frame == NULL)
            return failed ? -1 : place_outside(ident);
    }
    else
        frame = frame_now();
    if (frame == NULL)
        return write_place(ident, Py_None, 0);
    return write_place(ident, frame_code(frame), frame_offset(frame));
}

/* -------------------------------------------------------------------------------------------- taken, let go */

/* An order that was not seen before. May run Python, and raise. */
static int learn(PyObject *me, PyObject *ident, int joined)
{
    PyObject *found, *at = ask_makers(given.whose);
    if (at == NULL)
        return -1;
    PyObject *arguments[] = {me, ident, at, joined ? Py_True : Py_False};
    Py_INCREF(me);
    Py_INCREF(ident);
    found = PyObject_Vectorcall(given.learn, arguments, 3, joined_names);
    if (found != NULL && PyObject_TypeCheck(found, given.chain_type))
        put(me, given.party_chain, found);
    else if (found != NULL) {
        Py_CLEAR(found);
        PyErr_SetString(PyExc_TypeError, "learn gives a chain");
    }
    Py_DECREF(me);
    Py_DECREF(ident);
    Py_XDECREF(at);
    if (found == NULL)
        return -1;
    Py_DECREF(found);
    return 0;
}

/* The raw lock is taken: say so, with the place. */
static inline int taken(Kind *kind, PyObject *self, PyObject *me, int joined)
{
    PyObject *ident = SLOT(self, kind->ident), *chain, *child = NULL;
    if (ident == NULL || Py_TYPE(ident) != given.ident_type)
        return emptied();
    put(self, kind->me, me);
    if (place(ident, Py_TYPE(self) != kind->type && PyObject_TypeCheck(self, kind->inner)))
        return -1;
    chain = SLOT(me, given.party_chain); /* only now: to tell the place may have run code */
    if (chain == NULL)
        return emptied();
    if (Py_TYPE(chain) == given.chain_type) {
        child = PyDict_GetItemWithError(chain, ident);
        if (child == NULL && PyErr_Occurred())
            return -1;
        if (child == NULL && joined) {
            PyObject *others = SLOT(chain, given.chain_joined);
            if (others != NULL && PyDict_CheckExact(others)) {
                child = PyDict_GetItemWithError(others, ident);
                if (child == NULL && PyErr_Occurred())
                    return -1;
            }
        }
        if (child != NULL) {
            put(me, given.party_chain, child);
            return 0;
        }
    }
    else if (chain == given.mute) {
        PyObject *muted = PyDict_GetItemWithError(given.notes, str_muted);
        if (muted == Py_True)
            return 0;
        if (muted == NULL && PyErr_Occurred())
            return -1;
    }
    return learn(me, ident, joined);
}

/* It could not be noted: it is not taken then. The exception goes on. */
static PyObject *give_back(Kind *kind, PyObject *self)
{
    PyObject *type, *value, *trace, *done;
    PyErr_Fetch(&type, &value, &trace);
    put(self, kind->me, Py_None);
    done = release_raw(kind, self);
    if (done == NULL)
        PyErr_Clear();
    Py_XDECREF(done);
    PyErr_Restore(type, value, trace);
    return NULL;
}

/* An exception came (of a signal's handler) while it was taken out of the chain: if it still is in there, it will be. */
static void leave_later(PyObject *me, PyObject *ident)
{
    PyObject *chain = SLOT(me, given.party_chain), *lost = SLOT(me, given.party_lost), *done;
    while (chain != NULL && PyObject_TypeCheck(chain, given.chain_type)) {
        if (SLOT(chain, given.chain_ident) == ident) {
            if (lost != NULL) {
                done = PyObject_CallMethodOneArg(lost, str_append, ident);
                if (done == NULL)
                    PyErr_Clear();
                Py_XDECREF(done);
            }
            return;
        }
        chain = SLOT(chain, given.chain_parent);
    }
}

/* The calling thread holds it, and lets it go: say so, before it does. An error has to wait until the raw lock is free. */
static inline int left(Kind *kind, PyObject *self, PyObject *me)
{
    PyObject *ident = SLOT(self, kind->ident), *chain = SLOT(me, given.party_chain), *parent, *done;
    if (ident == NULL || chain == NULL)
        return emptied();
    if (PyObject_TypeCheck(chain, given.chain_type) && SLOT(chain, given.chain_ident) == ident) {
        parent = SLOT(chain, given.chain_parent);
        if (parent == NULL || parent == Py_None)
            return emptied();
        Py_INCREF(parent);
        SLOT(me, given.party_chain) = parent;
        put(self, kind->me, Py_None); /* the thread has one more of me */
        Py_DECREF(chain);
        return 0;
    }
    PyObject *arguments[] = {me, ident};
    Py_INCREF(me);
    Py_INCREF(ident);
    done = PyObject_Vectorcall(given.leave, arguments, 2, NULL);
    put(self, kind->me, Py_None);
    if (done == NULL) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        leave_later(me, ident);
        PyErr_Restore(type, value, trace);
    }
    Py_DECREF(me);
    Py_DECREF(ident);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static PyObject *release_with(Kind *kind, PyObject *self, int failed)
{
    if (!failed)
        return release_raw(kind, self);
    PyObject *type, *value, *trace, *done;
    PyErr_Fetch(&type, &value, &trace);
    done = release_raw(kind, self);
    if (done == NULL)
        PyErr_Clear();
    Py_XDECREF(done);
    PyErr_Restore(type, value, trace);
    return NULL;
}

/* Wait until the lock is taken. 0: taken. When a signal's handler raises after it was, it is let go again. */
static int block(Kind *kind, PyObject *self)
{
    PyObject *got = PyList_New(0), *done;
    if (got == NULL)
        return -1;
    PyObject *arguments[] = {self, got};
    done = PyObject_Vectorcall(given.blocked, arguments, 2, NULL);
    if (done == NULL && PyList_GET_SIZE(got) == 1 && PyList_GET_ITEM(got, 0) == Py_True)
        release_with(kind, self, 1);
    Py_DECREF(got);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* What acquire() was called with. Borrowed; 1: it is the plain acquire(), which waits for ever; -1: an error. */
static int arguments_of(PyObject *const *values, Py_ssize_t count, PyObject *names, PyObject **blocking,
                        PyObject **timeout)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    *blocking = Py_True;
    *timeout = minus_one;
    if (count + named > 2) {
        PyErr_Format(PyExc_TypeError, "acquire() takes at most 2 arguments (%zd given)", count + named);
        return -1;
    }
    if (count > 0)
        *blocking = values[0];
    if (count > 1)
        *timeout = values[1];
    for (Py_ssize_t at = 0; at < named; at++) {
        PyObject *name = PyTuple_GET_ITEM(names, at);
        int first = PyUnicode_Compare(name, str_blocking) == 0;
        if (!first && PyUnicode_Compare(name, str_timeout) != 0) {
            if (!PyErr_Occurred())
                PyErr_Format(PyExc_TypeError, "'%U' is an invalid keyword argument for acquire()", name);
            return -1;
        }
        if (first ? count > 0 : count > 1) {
            PyErr_Format(PyExc_TypeError, "argument for acquire() given by name ('%U') and position", name);
            return -1;
        }
        *(first ? blocking : timeout) = values[count + at];
    }
    if (*blocking != Py_True && (!PyLong_CheckExact(*blocking) || PyLong_AsLong(*blocking) != 1)) {
        PyErr_Clear(); /* a number that is too large; the raw lock says so */
        return 0;
    }
    return *timeout == minus_one ? 1 : PyObject_RichCompareBool(*timeout, minus_one, Py_EQ);
}

/* Take it by a try or with a timeout. 1: taken, 0: not, -1: an error. */
static int ask(Kind *kind, PyObject *self, PyObject *blocking, PyObject *timeout)
{
    if (blocking == Py_False && timeout == minus_one) {
        int got = try_raw(kind, self);
        if (got)
            return got;
    }
    PyObject *arguments[] = {self, blocking, timeout};
    PyObject *answer = PyObject_Vectorcall(given.asked, arguments, 3, NULL);
    if (answer == NULL)
        return -1;
    int got = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return got;
}

static int take(Kind *kind, PyObject *self)
{
    int got = try_raw(kind, self);
    return got == 1 ? 0 : got < 0 ? -1 : block(kind, self);
}

/* ---------------------------------------------------------------------------------------------------- Lock */

static PyObject *lock_enter(PyObject *self, PyObject *unused)
{
    PyObject *me = thread_here();
    if (me == NULL || take(&of_lock, self))
        return NULL;
    if (taken(&of_lock, self, me, 0))
        return give_back(&of_lock, self);
    Py_RETURN_TRUE;
}

static PyObject *lock_release(PyObject *self, PyObject *unused)
{
    PyObject *me = thread_here();
    if (me == NULL)
        return NULL;
    if (SLOT(self, of_lock.me) == me)
        return release_with(&of_lock, self, left(&of_lock, self, me));
    PyObject *done = PyObject_CallMethodNoArgs(self, str_handed_over);
    Py_XDECREF(done);
    return release_with(&of_lock, self, done == NULL);
}

static PyObject *lock_exit(PyObject *self, PyObject *const *values, Py_ssize_t count)
{
    return lock_release(self, NULL);
}

static PyObject *lock_acquire(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names)
{
    PyObject *blocking, *timeout, *me = thread_here();
    int plain = count == 0 && names == NULL;
    if (me == NULL)
        return NULL;
    if (!plain) {
        plain = arguments_of(values, count, names, &blocking, &timeout);
        if (plain < 0)
            return NULL;
    }
    if (plain) {
        if (take(&of_lock, self))
            return NULL;
    }
    else {
        int got = ask(&of_lock, self, blocking, timeout);
        if (got < 0)
            return NULL;
        if (!got)
            Py_RETURN_FALSE;
    }
    if (taken(&of_lock, self, me, !plain))
        return give_back(&of_lock, self);
    Py_RETURN_TRUE;
}

/* --------------------------------------------------------------------------------------------------- RLock */

/* Count it taken ``step`` times more; 0: done. */
static int again(PyObject *self, long step)
{
    PyObject *known = SLOT(self, of_rlock.again), *number;
    if (known == NULL)
        return emptied();
    long count = PyLong_AsLong(known);
    if (count == -1 && PyErr_Occurred())
        return -1;
    number = PyLong_FromLong(count + step);
    if (number == NULL)
        return -1;
    put(self, of_rlock.again, number);
    Py_DECREF(number);
    return 0;
}

static PyObject *rlock_taken(PyObject *self, PyObject *me, int joined)
{
    if (SLOT(self, of_rlock.me) == me) {
        if (again(self, 1)) {
            release_with(&of_rlock, self, 1);
            return NULL;
        }
    }
    else if (taken(&of_rlock, self, me, joined))
        return give_back(&of_rlock, self);
    Py_RETURN_TRUE;
}

static PyObject *rlock_enter(PyObject *self, PyObject *unused)
{
    PyObject *me = thread_here();
    if (me == NULL || take(&of_rlock, self))
        return NULL;
    return rlock_taken(self, me, 0);
}

static PyObject *rlock_release(PyObject *self, PyObject *unused)
{
    PyObject *me = thread_here();
    int failed = 0;
    if (me == NULL)
        return NULL;
    if (SLOT(self, of_rlock.me) == me) {
        PyObject *count = SLOT(self, of_rlock.again);
        if (count == NULL) {
            emptied();
            return NULL;
        }
        failed = count == zero ? left(&of_rlock, self, me) : again(self, -1);
    }
    return release_with(&of_rlock, self, failed);
}

static PyObject *rlock_exit(PyObject *self, PyObject *const *values, Py_ssize_t count)
{
    return rlock_release(self, NULL);
}

static PyObject *rlock_acquire(PyObject *self, PyObject *const *values, Py_ssize_t count, PyObject *names)
{
    PyObject *blocking, *timeout, *me = thread_here();
    int plain = count == 0 && names == NULL;
    if (me == NULL)
        return NULL;
    if (!plain) {
        plain = arguments_of(values, count, names, &blocking, &timeout);
        if (plain < 0)
            return NULL;
    }
    if (plain) {
        if (take(&of_rlock, self))
            return NULL;
    }
    else {
        int got = ask(&of_rlock, self, blocking, timeout);
        if (got < 0)
            return NULL;
        if (!got)
            Py_RETURN_FALSE;
    }
    return rlock_taken(self, me, !plain);
}

/* ------------------------------------------------------------------------------------------------- methods */

#define FAST (PyCFunction)(void (*)(void))

static PyMethodDef lock_methods[] = {
    {"__enter__", lock_enter, METH_NOARGS, "Lock the lock."},
    {"__exit__", FAST lock_exit, METH_FASTCALL, "Release the lock."},
    {"acquire", FAST lock_acquire, METH_FASTCALL | METH_KEYWORDS,
     "acquire($self, /, blocking=True, timeout=-1)\n--\n\nAs of a ``threading.Lock``."},
    {"release", lock_release, METH_NOARGS, "release($self, /)\n--\n\nAs of a ``threading.Lock``."},
    {NULL},
};

static PyMethodDef rlock_methods[] = {
    {"__enter__", rlock_enter, METH_NOARGS, "Lock the lock."},
    {"__exit__", FAST rlock_exit, METH_FASTCALL, "Release the lock."},
    {"acquire", FAST rlock_acquire, METH_FASTCALL | METH_KEYWORDS,
     "acquire($self, /, blocking=True, timeout=-1)\n--\n\nAs of a ``threading.RLock``."},
    {"release", rlock_release, METH_NOARGS, "release($self, /)\n--\n\nAs of a ``threading.RLock``."},
    {NULL},
};

/* Where a slot is, by the class's own descriptor; -1: it has none of that name. */
static Py_ssize_t offset_of(PyTypeObject *type, const char *name)
{
    PyObject *member = PyDict_GetItemString(type->tp_dict, name); /* of the class itself, which is a heap type */
    if (member == NULL || Py_TYPE(member) != &PyMemberDescr_Type ||
        ((PyMemberDescrObject *)member)->d_member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_TypeError, "%s has no slot %s", type->tp_name, name);
        return -1;
    }
    return ((PyMemberDescrObject *)member)->d_member->offset;
}

static PyMethodDef *method_of(PyTypeObject *type, const char *name, int flags)
{
    PyObject *method = PyDict_GetItemString(type->tp_dict, name);
    if (method == NULL || Py_TYPE(method) != &PyMethodDescr_Type ||
        ((PyMethodDescrObject *)method)->d_method->ml_flags != flags) {
        PyErr_Format(PyExc_TypeError, "%s.%s is not called as it is known to be", type->tp_name, name);
        return NULL;
    }
    return ((PyMethodDescrObject *)method)->d_method;
}

static int prepare_kind(Kind *kind, PyObject *type, PyObject *inner, PyObject *raw_type, int counts)
{
    if (!PyType_Check(type) || !PyType_Check(inner) || !PyType_Check(raw_type)) {
        PyErr_SetString(PyExc_TypeError, "classes are wanted");
        return -1;
    }
    kind->type = (PyTypeObject *)type;
    kind->inner = (PyTypeObject *)inner;
    kind->raw_type = (PyTypeObject *)raw_type;
    kind->raw = offset_of(kind->type, "_raw");
    kind->ident = offset_of(kind->type, "_ident");
    kind->me = offset_of(kind->type, "_me");
    kind->again = counts ? offset_of(kind->type, "_again") : 0;
    if (kind->raw < 0 || kind->ident < 0 || kind->me < 0 || kind->again < 0)
        return -1;
    kind->try_def = method_of(kind->raw_type, "acquire", METH_VARARGS | METH_KEYWORDS);
    kind->release_def = method_of(kind->raw_type, "release", METH_NOARGS);
    if (kind->try_def == NULL || kind->release_def == NULL)
        return -1;
    Py_INCREF(type);
    Py_INCREF(inner);
    Py_INCREF(raw_type);
    return 0;
}

static PyObject *descriptors(PyTypeObject *type, PyMethodDef *methods)
{
    PyObject *all = PyDict_New();
    for (; all != NULL && methods->ml_name != NULL; methods++) {
        PyObject *method = PyDescr_NewMethod(type, methods);
        if (method == NULL || PyDict_SetItemString(all, methods->ml_name, method))
            Py_CLEAR(all);
        Py_XDECREF(method);
    }
    return all;
}

PyDoc_STRVAR(prepare_doc,
"prepare($module, locks, types, functions, values, /)\n--\n\n"
"The methods for (Lock, InnerLock, RLock, InnerRLock), as a list of dictionaries by name. Once in a process.\n\n"
"``locks`` are these four classes and the two of raw locks, ``types`` (Chain, Party, Ident), ``functions`` (learn,\n"
"leave, outside, whose, blocked, asked), ``values`` (MUTE, the namespace of chains, here, the kinds of modules, USER).");

static PyObject *prepare(PyObject *module, PyObject *args)
{
    PyObject *lock, *inner_lock, *rlock, *inner_rlock, *raw_lock, *raw_rlock;
    PyObject *chain, *party, *ident, *learn_, *leave_, *outside, *whose, *blocked, *asked, *mute, *notes, *here, *kinds, *user;
    if (!PyArg_ParseTuple(args, "(OOOOOO)(O!O!O!)(OOOOOO)(OO!OO!O):prepare", &lock, &inner_lock, &rlock, &inner_rlock,
                          &raw_lock, &raw_rlock, &PyType_Type, &chain, &PyType_Type, &party, &PyType_Type, &ident,
                          &learn_, &leave_, &outside, &whose, &blocked, &asked, &mute, &PyDict_Type, &notes, &here,
                          &PyDict_Type, &kinds, &user))
        return NULL;
    if (given.ready) {
        PyErr_SetString(PyExc_RuntimeError, "the methods are those of other classes already");
        return NULL;
    }
    if (prepare_kind(&of_lock, lock, inner_lock, raw_lock, 0) || prepare_kind(&of_rlock, rlock, inner_rlock, raw_rlock, 1))
        return NULL;
    given.chain_type = (PyTypeObject *)chain;
    given.party_type = (PyTypeObject *)party;
    given.ident_type = (PyTypeObject *)ident;
    given.ident_code = offset_of(given.ident_type, "code");
    given.ident_offset = offset_of(given.ident_type, "offset");
    given.party_chain = offset_of(given.party_type, "chain");
    given.party_lost = offset_of(given.party_type, "lost");
    given.chain_ident = offset_of(given.chain_type, "ident");
    given.chain_parent = offset_of(given.chain_type, "parent");
    given.chain_joined = offset_of(given.chain_type, "joined");
    if (PyErr_Occurred())
        return NULL;
    PyObject *kept[] = {chain, party, ident, learn_, leave_, outside, whose, blocked, asked, mute, notes, here, kinds, user};
    for (size_t at = 0; at < sizeof(kept) / sizeof(kept[0]); at++)
        Py_INCREF(kept[at]); /* for ever: the methods are of this process */
    given.learn = learn_, given.leave = leave_, given.outside = outside, given.whose = whose, given.blocked = blocked, given.asked = asked;
    given.mute = mute, given.notes = notes, given.here = here, given.kinds = kinds, given.user = user;
    given.ready = 1;
    PyObject *list = Py_BuildValue("[NNNN]", descriptors(of_lock.type, lock_methods),
                                   descriptors(of_lock.inner, lock_methods), descriptors(of_rlock.type, rlock_methods),
                                   descriptors(of_rlock.inner, rlock_methods));
    return list;
}

/* The frames as they are read here, outwards: (code, offset, namespace) of each; for comparing. */
static PyObject *frames(PyObject *module, PyObject *unused)
{
    PyObject *all = PyList_New(0);
    for (Frame *frame = frame_now(); all != NULL && frame != NULL; frame = frame_back(frame)) {
        PyObject *one = Py_BuildValue("(OiO)", frame_code(frame), frame_offset(frame), frame_globals(frame));
        if (one == NULL || PyList_Append(all, one))
            Py_CLEAR(all);
        Py_XDECREF(one);
    }
    return all;
}

static PyMethodDef functions[] = {
    {"prepare", prepare, METH_VARARGS, prepare_doc},
    {"frames", frames, METH_NOARGS,
     "frames($module, /)\n--\n\nThe frames as they are read here, outwards: (code, offset, namespace) of each."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_fast", "The methods of watched locks, in C.", -1, functions,
};

static int named(PyObject **name, const char *text)
{
    *name = PyUnicode_InternFromString(text);
    return *name == NULL;
}

PyMODINIT_FUNC PyInit__fast(void)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "for the main interpreter only");
        return NULL;
    }
    if (named(&str_key, "coresys.threads.watching.me") || named(&str_me, "me") || named(&str_muted, "muted") ||
        named(&str_name, "__name__") || named(&str_append, "append") || named(&str_handed_over, "_handed_over") ||
        named(&str_joined, "joined") || named(&str_blocking, "blocking") ||
        named(&str_timeout, "timeout"))
        return NULL;
    zero = PyLong_FromLong(0); /* the one that there is of it */
    minus_one = PyLong_FromLong(-1);
    only_false = PyTuple_Pack(1, Py_False);
    joined_names = PyTuple_Pack(1, str_joined);
    if (zero == NULL || minus_one == NULL || only_false == NULL || joined_names == NULL)
        return NULL;
    return PyModule_Create(&definition);
}

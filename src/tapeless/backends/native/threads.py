"""Threads that share the iterations of independent loops: which loops, and the pool that runs them.

A loop becomes a function of a frame and a range of iterations; the pool's workers are Python threads that
stay inside machine code, without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
from typing import Any

VARIABLE = "TAPELESS_NUM_THREADS"
#: A loop is run in so many shares, however many threads there are: so that it always does the same.
SHARES = 64


def count() -> int:
    """How many threads take part: `$TAPELESS_NUM_THREADS`, or as many as this process has processors."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return max(int(chosen), 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- the pool


#: The pool: a mutex, two conditions (work, done), the generation, how many workers are at it (CLOSED is added
#: when no more may come), the function, its frame, the range, the size of a share, the next share, the first
#: share that has failed and its status, whether the pool is taken, its workers.
TEXT = """
%pool = type { [128 x i8], [128 x i8], [128 x i8], i64, i64, ptr, ptr, [8 x i64] }
@pool = internal global %pool zeroinitializer, align 64
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i64 @llvm.smin.i64(i64, i64)

define void @tl_pool(i64 %workers) {
  %a = call i32 @pthread_mutex_init(ptr @MUTEX, ptr null)
  %b = call i32 @pthread_cond_init(ptr @WORK, ptr null)
  %c = call i32 @pthread_cond_init(ptr @DONE, ptr null)
  store i64 0, ptr @GENERATION
  store i64 CLOSED, ptr @ACTIVE
  store i64 0, ptr @TAKEN
  store i64 %workers, ptr @WORKERS
  ret void
}

define void @tl_limit(i64 %workers) {
  store i64 %workers, ptr @WORKERS
  ret void
}

define internal void @share() {
  %f = load ptr, ptr @FUNCTION
  %frame = load ptr, ptr @FRAME
  %low = load i64, ptr @LOW
  %high = load i64, ptr @HIGH
  %size = load i64, ptr @SIZE
  br label %take
take:
  %k = atomicrmw add ptr @NEXT, i64 1 seq_cst
  %left = icmp slt i64 %k, SHARES
  br i1 %left, label %look, label %done
look:
  %skip = mul i64 %k, %size
  %from = add i64 %low, %skip
  %some = icmp slt i64 %from, %high
  br i1 %some, label %run, label %done
run:
  %most = add i64 %from, %size
  %to = call i64 @llvm.smin.i64(i64 %most, i64 %high)
  %status = call i64 %f(ptr %frame, i64 %from, i64 %to)
  %good = icmp eq i64 %status, 0
  br i1 %good, label %take, label %failed
failed:
  %a = call i32 @pthread_mutex_lock(ptr @MUTEX)
  %best = load i64, ptr @FAILED
  %sooner = icmp slt i64 %k, %best
  br i1 %sooner, label %note, label %noted
note:
  store i64 %k, ptr @FAILED
  store i64 %status, ptr @STATUS
  br label %noted
noted:
  %b = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  store atomic i64 SHARES, ptr @NEXT seq_cst, align 8
  br label %done
done:
  ret void
}

define void @tl_worker() {
  br label %rest
rest:
  %mine = phi i64 [0, %0], [%now, %late], [%this, %told], [%this, %shared]
  br label %look
look:
  %tries = phi i64 [0, %rest], [%more, %again]
  %seen = load atomic i64, ptr @GENERATION acquire, align 8
  %same = icmp eq i64 %seen, %mine
  br i1 %same, label %again, label %go
again:
  %more = add i64 %tries, 1
  %patient = icmp ult i64 %more, 20000
  br i1 %patient, label %look, label %sleep
sleep:
  %a = call i32 @pthread_mutex_lock(ptr @MUTEX)
  br label %check
check:
  %still = load atomic i64, ptr @GENERATION acquire, align 8
  %idle = icmp eq i64 %still, %mine
  br i1 %idle, label %wait, label %wake
wait:
  %b = call i32 @pthread_cond_wait(ptr @WORK, ptr @MUTEX)
  br label %check
wake:
  %c = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  br label %go
go:
  %now = load atomic i64, ptr @GENERATION acquire, align 8
  br label %enter
enter:
  %busy = load atomic i64, ptr @ACTIVE acquire, align 8
  %most = load i64, ptr @WORKERS
  %closed = icmp sge i64 %busy, %most
  br i1 %closed, label %late, label %join
late:
  br label %rest
join:
  %one = add i64 %busy, 1
  %got = cmpxchg ptr @ACTIVE, i64 %busy, i64 %one seq_cst seq_cst
  %in = extractvalue {i64, i1} %got, 1
  br i1 %in, label %work, label %enter
work:
  %this = load atomic i64, ptr @GENERATION acquire, align 8
  call void @share()
  %were = atomicrmw sub ptr @ACTIVE, i64 1 seq_cst
  %only = add i64 CLOSED, 1
  %last = icmp eq i64 %were, %only
  br i1 %last, label %told, label %shared
told:
  %d = call i32 @pthread_mutex_lock(ptr @MUTEX)
  %e = call i32 @pthread_cond_signal(ptr @DONE)
  %f = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  br label %rest
shared:
  br label %rest
}

define i64 @tl_parallel(ptr %f, ptr %frame, i64 %low, i64 %high) {
  %count = sub i64 %high, %low
  %round = add i64 %count, 63
  %part = sdiv i64 %round, SHARES
  %large = icmp sge i64 %part, 64
  %up = add i64 %part, 15
  %lanes = and i64 %up, -16
  %size = select i1 %large, i64 %lanes, i64 %part
  %workers = load i64, ptr @WORKERS
  %alone = icmp eq i64 %workers, 0
  br i1 %alone, label %serial, label %try
try:
  %got = cmpxchg ptr @TAKEN, i64 0, i64 1 seq_cst seq_cst
  %free = extractvalue {i64, i1} %got, 1
  br i1 %free, label %start, label %serial
serial:
  %from = phi i64 [%low, %0], [%low, %try], [%to, %run]
  %before = phi i64 [0, %0], [0, %try], [%status, %run]
  %some = icmp slt i64 %from, %high
  %good = icmp eq i64 %before, 0
  %more.shares = and i1 %some, %good
  br i1 %more.shares, label %run, label %ended
run:
  %most = add i64 %from, %size
  %to = call i64 @llvm.smin.i64(i64 %most, i64 %high)
  %status = call i64 %f(ptr %frame, i64 %from, i64 %to)
  br label %serial
ended:
  ret i64 %before
start:
  store ptr %f, ptr @FUNCTION
  store ptr %frame, ptr @FRAME
  store i64 %low, ptr @LOW
  store i64 %high, ptr @HIGH
  store i64 %size, ptr @SIZE
  store i64 0, ptr @NEXT
  store i64 SHARES, ptr @FAILED
  store i64 0, ptr @STATUS
  %a = call i32 @pthread_mutex_lock(ptr @MUTEX)
  store atomic i64 0, ptr @ACTIVE seq_cst, align 8
  %b = atomicrmw add ptr @GENERATION, i64 1 seq_cst
  %c = call i32 @pthread_cond_broadcast(ptr @WORK)
  %d = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  call void @share()
  %others = atomicrmw add ptr @ACTIVE, i64 CLOSED seq_cst
  br label %look
look:
  %tries = phi i64 [0, %start], [%more, %again]
  %left = load atomic i64, ptr @ACTIVE acquire, align 8
  %quiet = icmp eq i64 %left, CLOSED
  br i1 %quiet, label %done, label %again
again:
  %more = add i64 %tries, 1
  %patient = icmp ult i64 %more, 20000
  br i1 %patient, label %look, label %sleep
sleep:
  %e = call i32 @pthread_mutex_lock(ptr @MUTEX)
  br label %check
check:
  %still = load atomic i64, ptr @ACTIVE acquire, align 8
  %busy = icmp ne i64 %still, CLOSED
  br i1 %busy, label %wait, label %wake
wait:
  %g = call i32 @pthread_cond_wait(ptr @DONE, ptr @MUTEX)
  br label %check
wake:
  %h = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  br label %done
done:
  %result = load i64, ptr @STATUS
  store atomic i64 0, ptr @TAKEN seq_cst, align 8
  ret i64 %result
}
"""
FIELDS = (
    "MUTEX WORK DONE GENERATION ACTIVE FUNCTION FRAME LOW HIGH SIZE NEXT FAILED STATUS TAKEN WORKERS"
).split()
CLOSED = 1 << 32


def text() -> str:
    made = re.sub(r"(?<!@)\bCLOSED\b", str(CLOSED), re.sub(r"\bSHARES\b", str(SHARES), TEXT))
    for k, name in enumerate(FIELDS):
        at = f"i32 {k}" if k < 7 else f"i32 7, i64 {k - 7}"
        made = re.sub(rf"@{name}\b", f"getelementptr (%pool, ptr @pool, i64 0, {at})", made)
    return made


@functools.cache
def library() -> Any:
    """The pool; its workers are started once for a process."""
    from tapeless.backends.native import kernel, symbols

    names = ("tl_pool", "tl_worker", "tl_parallel", "tl_limit")
    made = kernel.link(symbols.compiled("threads", text), (), names)
    workers = count() - 1
    start = ctypes.CFUNCTYPE(None, ctypes.c_int64)(made["tl_pool"])
    start(workers)
    worker = ctypes.CFUNCTYPE(None)(made["tl_worker"])
    for _ in range(workers):
        threading.Thread(target=worker, daemon=True, name="tapeless").start()
    if hasattr(os, "register_at_fork"):  # a child has no workers
        os.register_at_fork(after_in_child=lambda: start(0))
    return made


def pool() -> int:
    """The address of the function that runs a loop."""
    return int(library()["tl_parallel"])


def limit(threads: int) -> None:
    """From here on at most so many threads take part, of those that were started."""
    ctypes.CFUNCTYPE(None, ctypes.c_int64)(library()["tl_limit"])(threads - 1)

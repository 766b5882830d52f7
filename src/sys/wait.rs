//! Waiting for processes, and pidfds.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

use libc::{c_int, c_long, pid_t};
use perlxs::Call;

use super::{answered, errno, getpid, is_single_threaded};
use crate::error::Error;

/// Reaps a child, whatever its exit signal (waitpid(2), __WALL); one that is not ours is left.
pub(crate) fn reap(pid: pid_t) {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) } == -1
        && errno() == libc::EINTR
    {}
}

/// pidfd_open(2). By syscall(2), as the other two below: a C library that has no such function
/// leaves it to the kernel to say so.
pub(crate) fn pidfd_open(pid: pid_t, flags: u32) -> Result<c_int, Error> {
    // SAFETY: touches no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) };
    answered(fd).map(|fd| fd as c_int)
}

/// Whether there is pidfd_open(2): asked by a process that is there, the caller.
pub(crate) fn has_pidfd_open() -> bool {
    match pidfd_open(getpid(), 0) {
        // SAFETY: a new descriptor, which nobody else has.
        Ok(fd) => drop(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(Error::Errno(libc::ENOSYS | libc::EPERM)) => return false,
        Err(_) => {}
    }
    true
}

/// A pidfd of a child of this process. Returns ESRCH if somebody else has reaped it.
pub(crate) fn pidfd_of_child(pid: pid_t) -> Result<OwnedFd, Error> {
    // SAFETY: a new descriptor, which nobody else has.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd_open(pid, 0)?) };
    match keeps_its_id(pidfd.as_raw_fd()) {
        true => Ok(pidfd),
        false => Err(Error::Errno(libc::ESRCH)),
    }
}

/// pidfd_send_signal(2), with what kill(2) would say of the sender.
pub(crate) fn pidfd_send_signal(pidfd: c_int, signal: c_int, flags: u32) -> Result<(), Error> {
    // SAFETY: a null `siginfo_t` is allowed.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd,
            signal,
            ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    answered(outcome).map(drop)
}

/// What waitid(2) says of a child; all are 0 if, with WNOHANG, there is nothing to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited {
    pub(crate) pid: pid_t,
    pub(crate) uid: libc::uid_t,
    pub(crate) code: c_int,
    pub(crate) status: c_int,
}

/// waitid(2). Signal handlers run while it sleeps; it does not fail with EINTR.
///
/// It sleeps in a call of its own, with WNOWAIT: a handler that dies there takes no child along.
/// Returns `Err` with what the kernel refused, or with what such a handler throws.
pub(crate) fn waitid(
    call: &Call<'_>,
    idtype: c_int,
    id: c_int,
    options: c_int,
) -> Result<Waited, Error> {
    loop {
        let info = look(idtype, id, options | libc::WNOHANG)?;
        if info.si_signo != 0 || options & libc::WNOHANG != 0 {
            // SAFETY: what waitid(2) fills in, or zeros.
            return Ok(unsafe { Waited::from(&info) });
        }
        let asleep = [
            idtype.into(),
            id.into(),
            0,
            (options | libc::WNOWAIT).into(),
            0,
            0,
        ];
        // SAFETY: null pointers are allowed: nothing is written. It can be repeated.
        if let Err(errno) = unsafe { call.syscall(libc::SYS_waitid, asleep)? } {
            return Err(Error::Errno(errno));
        }
    }
}

impl Waited {
    /// # Safety
    /// Of what waitid(2) has filled in, or zeros.
    unsafe fn from(info: &libc::siginfo_t) -> Self {
        // SAFETY: as the caller says.
        unsafe {
            Waited {
                pid: info.si_pid(),
                uid: info.si_uid(),
                code: info.si_code,
                status: info.si_status(),
            }
        }
    }

    /// What wait(2) says of a child that has ended, and `$?`.
    pub(crate) fn wait_status(self) -> c_int {
        match self.code {
            libc::CLD_EXITED => self.status << 8,
            libc::CLD_DUMPED => self.status | 0x80,
            _ => self.status,
        }
    }
}

/// Waits for a child to end, and reaps it; `None` if it has not ended after that time. Signal
/// handlers run meanwhile, and their time counts.
///
/// Returns `Err` with what waitid(2) refused, or with what such a handler throws; then nothing has
/// been reaped.
pub(crate) fn wait_for_end(
    call: &Call<'_>,
    pidfd: c_int,
    limit: Option<Duration>,
) -> Result<Option<Waited>, Error> {
    let (kind, options) = (libc::P_PIDFD as c_int, libc::WEXITED | libc::__WALL);
    let Some(limit) = limit else {
        return waitid(call, kind, pidfd, options).map(Some);
    };
    let begin = Instant::now();
    // made when it is needed; without a descriptor for it the time of handlers does not count
    let mut timer = None;
    let mut has_ended = false;
    loop {
        let waited = waitid(call, kind, pidfd, options | libc::WNOHANG)?;
        if waited.pid != 0 {
            return Ok(Some(waited));
        }
        let left = limit.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        let timer = timer.get_or_insert_with(|| self::timer(left).ok());
        let timer = timer.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        // One that has ended and is not to be had yet is a tracer's: look for it now and then.
        const TICK: Duration = Duration::from_millis(10);
        let (child, most) = match has_ended {
            true => (-1, Some(left.min(TICK))),
            false => (pidfd, (timer == -1).then_some(left)),
        };
        has_ended |= poll(call, [child, timer], most)?;
    }
}

/// A descriptor that is readable after that time, close-on-exec (timerfd_create(2)).
fn timer(after: Duration) -> Result<OwnedFd, Error> {
    let time = libc::itimerspec {
        it_interval: timespec(Duration::ZERO),
        it_value: timespec(after),
    };
    // SAFETY: the descriptor is new, and nobody else's; a struct, and no place for the old one.
    unsafe {
        let timer = libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC);
        let timer = OwnedFd::from_raw_fd(answered(timer)?);
        answered(libc::timerfd_settime(
            timer.as_raw_fd(),
            0,
            &raw const time,
            ptr::null_mut(),
        ))?;
        Ok(timer)
    }
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: time.as_secs() as _,
        tv_nsec: time.subsec_nanos() as _,
    }
}

/// Waits until one of them is readable, of which -1 is none, or until the time is over (ppoll(2)).
/// Whether the first one is. Signal handlers run meanwhile; it does not fail with EINTR.
///
/// Returns `Err` with what such a handler throws.
pub(crate) fn poll(
    call: &Call<'_>,
    fds: [c_int; 2],
    most: Option<Duration>,
) -> Result<bool, Error> {
    let mut watched = fds.map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // the kernel writes there what is left, so that it can be called again
    let mut most = most.map(timespec);
    let arguments = [
        (&raw mut watched).addr() as c_long,
        watched.len() as c_long,
        most.as_mut()
            .map_or(0, |most| (&raw mut *most).addr() as c_long),
        0,
        0,
        0,
    ];
    // SAFETY: an array with its length, and a time or none, which handlers do not know; no mask.
    match unsafe { call.syscall(libc::SYS_ppoll, arguments)? } {
        Ok(_) => Ok(watched[0].revents != 0),
        Err(errno) => Err(Error::Errno(errno)),
    }
}

/// Waits until a thread of this process that ends is gone for the kernel, too: until then
/// unshare(2) and the like count it. That takes microseconds; a tracer may keep it longer, which
/// is not waited for.
pub(crate) fn thread_is_gone(tid: pid_t) {
    let begin = Instant::now();
    // SAFETY: signal 0 is none, it asks whether there is a thread; sched_yield has no arguments.
    unsafe {
        while libc::syscall(libc::SYS_tgkill, getpid(), tid, 0) == 0
            && begin.elapsed() < Duration::from_secs(1)
        {
            libc::sched_yield();
        }
    }
}

/// Whether a child has neither ended nor stopped (waitid(2)); it is not reaped.
pub(crate) fn is_running(pid: pid_t) -> bool {
    let options = libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: the kernel has filled it in.
    wait_for(libc::P_PID, pid, options).is_some_and(|info| unsafe { info.si_pid() } == 0)
}

/// Kills a child and reaps it; the pidfd says which, whoever else reaps.
///
/// One that sleeps in the kernel, for a disk that does not answer or in a frozen control group of
/// version 1, ends when it wakes up; and one that is traced is its tracer's first. After ten
/// seconds it is left.
///
/// - `pid`: its process id, for where a filter has waitid(2) but no pidfd_send_signal(2); 0 if that
///   is not to be used.
pub(crate) fn kill_and_reap(pidfd: c_int, pid: pid_t) {
    const LONGEST: Duration = Duration::from_secs(10);
    // one that has ended is reaped all the same
    let killed = pidfd_send_signal(pidfd, libc::SIGKILL, 0);
    if killed.is_err() && pid > 0 && keeps_its_id(pidfd) {
        // SAFETY: touches no memory.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let begin = Instant::now();
    ends_within(pidfd, LONGEST);
    while !reap_if_ended(pidfd) && begin.elapsed() < LONGEST {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a child a signal.
///
/// Where a filter has no pidfd_send_signal(2) it is kill(2), as long as nobody can reap the child
/// between two calls, so that the id is its own.
pub(crate) fn signal_child(pidfd: c_int, pid: pid_t, signal: c_int) -> Result<(), Error> {
    let sent = pidfd_send_signal(pidfd, signal, 0);
    match sent {
        Err(Error::Errno(libc::ENOSYS | libc::EPERM))
            if pid > 0
                && is_single_threaded()
                && !children_reap_themselves()
                && keeps_its_id(pidfd) =>
        {
            // SAFETY: touches no memory.
            answered(unsafe { libc::kill(pid, signal) }).map(drop)
        }
        sent => sent,
    }
}

/// Whether a child of this process vanishes when it ends (sigaction(2): SIGCHLD is ignored, or
/// SA_NOCLDWAIT); true if that cannot be told.
fn children_reap_themselves() -> bool {
    // SAFETY: all zeros is a valid `sigaction`, and a place for the answer.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut action) != 0
            || action.sa_sigaction == libc::SIG_IGN
            || action.sa_flags & libc::SA_NOCLDWAIT != 0
    }
}

/// Whether a child is not reaped yet, so that no other process can have its id.
pub(crate) fn keeps_its_id(pidfd: c_int) -> bool {
    wait_for(libc::P_PIDFD, pidfd, libc::WNOHANG | libc::WNOWAIT).is_some()
}

/// Kills a child and reaps it, where there is no pidfd.
pub(crate) fn kill_and_reap_by_id(pid: pid_t) {
    // somebody else may have reaped it: then the id may be a stranger's
    if wait_for(libc::P_PID, pid, libc::WNOHANG | libc::WNOWAIT).is_some() {
        // SAFETY: touches no memory.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    reap(pid);
}

/// What `$?` would be for a child, which is waited for and not reaped; `None` if somebody else has
/// reaped it.
pub(super) fn status_by_id(pid: pid_t) -> Option<c_int> {
    loop {
        match wait_for(libc::P_PID, pid, libc::WNOWAIT) {
            // SAFETY: the kernel has filled it in.
            Some(info) => return Some(unsafe { Waited::from(&info) }.wait_status()),
            None if errno() == libc::EINTR => {}
            None => return None,
        }
    }
}

/// As [`reap`], by a pidfd, but only if the child has ended; false if it has not. One that somebody
/// else has reaped has.
pub(crate) fn reap_if_ended(pidfd: c_int) -> bool {
    // SAFETY: the kernel has filled it in.
    wait_for(libc::P_PIDFD, pidfd, libc::WNOHANG).is_none_or(|info| unsafe { info.si_pid() } != 0)
}

/// Waits until a process ends, child or not, at most so long (ppoll(2)); all signals are blocked.
/// Whether it has ended. As a child may call it, nothing here allocates.
pub(crate) fn ends_within(pidfd: c_int, limit: Duration) -> bool {
    let mut watched = libc::pollfd {
        fd: pidfd,
        events: libc::POLLIN,
        revents: 0,
    };
    let mut limit = timespec(limit);
    loop {
        // SAFETY: one struct, and a time, to which the kernel writes what is left; no mask.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_ppoll,
                &raw mut watched,
                1,
                &raw mut limit,
                ptr::null::<libc::sigset_t>(),
                0,
            )
        };
        if ready != -1 || errno() != libc::EINTR {
            return ready > 0;
        }
    }
}

/// waitid(2) for the end of a child, and for what else `options` say: what it tells, or `None` with
/// errno.
fn wait_for(kind: libc::idtype_t, id: c_int, options: c_int) -> Option<libc::siginfo_t> {
    look(kind as c_int, id, options | libc::WEXITED | libc::__WALL).ok()
}

/// waitid(2), in one call.
fn look(idtype: c_int, id: c_int, options: c_int) -> Result<libc::siginfo_t, Error> {
    // SAFETY: all zeros is a valid `siginfo_t`; a place for the answer, and none for rusage.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        answered(libc::syscall(
            libc::SYS_waitid,
            idtype,
            id,
            &raw mut info,
            options,
            ptr::null::<libc::rusage>(),
        ))?;
        Ok(info)
    }
}

/// The status, as `$?` has it, of a process that has been reaped: the kernel keeps it while there
/// is a pidfd (ioctl_pidfd(2), PIDFD_GET_INFO; Linux 6.15). `None` if it cannot be told.
pub(crate) fn status_of(pidfd: c_int) -> Option<c_int> {
    /// `struct pidfd_info`, its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroupid: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    let mut info = Info {
        mask: PIDFD_INFO_EXIT,
        ..Info::default()
    };
    // SAFETY: the kernel fills in a struct of the size that the request's number says.
    let outcome = unsafe {
        let request = libc::_IOWR::<Info>(0xff, 11);
        libc::ioctl(pidfd, request, &raw mut info)
    };
    (outcome == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

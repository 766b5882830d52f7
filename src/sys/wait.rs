//! Waiting for processes, and pidfds.

#![allow(unsafe_code)]

use std::ptr;

use libc::{c_int, pid_t};
use perlxs::Call;

use super::{errno, last_error};
use crate::args::{PidfdRequest, SignalRequest, WaitRequest};
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
pub(crate) fn pidfd_open(request: PidfdRequest) -> Result<c_int, Error> {
    // SAFETY: touches no memory.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, request.pid, request.flags) } {
        -1 => Err(last_error()),
        fd => Ok(fd as c_int),
    }
}

/// pidfd_send_signal(2), with what kill(2) would say of the sender.
pub(crate) fn pidfd_send_signal(request: SignalRequest) -> Result<(), Error> {
    // SAFETY: a null `siginfo_t` is allowed.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            request.pidfd,
            request.signal,
            ptr::null::<libc::siginfo_t>(),
            request.flags,
        )
    };
    match outcome {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
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
pub(crate) fn waitid(call: &Call<'_>, request: WaitRequest) -> Result<Waited, Error> {
    let WaitRequest {
        idtype,
        id,
        options,
    } = request;
    loop {
        // SAFETY: all zeros is a valid `siginfo_t`; a place for the answer, and none for rusage.
        let info = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let outcome = libc::syscall(
                libc::SYS_waitid,
                idtype,
                id,
                &raw mut info,
                options | libc::WNOHANG,
                ptr::null::<libc::rusage>(),
            );
            if outcome == -1 {
                return Err(last_error());
            }
            info
        };
        if info.si_signo != 0 || options & libc::WNOHANG != 0 {
            // SAFETY: what waitid(2) fills in, or zeros.
            return Ok(unsafe {
                Waited {
                    pid: info.si_pid(),
                    uid: info.si_uid(),
                    code: info.si_code,
                    status: info.si_status(),
                }
            });
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

/// Whether a child has neither ended nor stopped (waitid(2)); it is not reaped.
pub(crate) fn is_running(pid: pid_t) -> bool {
    // SAFETY: all zeros is a valid `siginfo_t`, and a place for the answer.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        libc::waitid(
            libc::P_PID,
            pid as libc::id_t,
            &raw mut info,
            options as c_int,
        ) == 0
            && info.si_pid() == 0
    }
}

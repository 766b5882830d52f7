//! The bodies of the XSUBs.

use std::os::fd::{AsRawFd, IntoRawFd};

use libc::c_int;
use perlxs::{Call, Result, Value};

use crate::args::{self, CloneRequest, PidfdRequest, SignalRequest, WaitRequest};
use crate::child;
use crate::error::Error;
use crate::sys;

/// `$retval = unshare $flags`: 0, or -1 with `$!` (unshare(2)).
pub(crate) fn unshare(call: &Call<'_>) -> Result<Value> {
    match call.plain_int() {
        // as perl's `|` makes them, negative with the highest bit; errno is as the kernel left it
        Some(flags) => Ok(match sys::unshare(flags as u64) {
            Ok(()) => Value::Int(0),
            Err(_) => Value::Int(-1),
        }),
        None => unshare_by(call),
    }
}

/// With flags that are something else than a plain integer.
#[cold]
fn unshare_by(call: &Call<'_>) -> Result<Value> {
    call.hold();
    answer(|| {
        sys::unshare(args::unshare_flags(call)?)?;
        Ok(0)
    })
}

/// `$pid = clone $coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`: the child's process id, or
/// -1 with `$!` (clone(2)).
pub(crate) fn clone(call: &Call<'_>) -> Result<Value> {
    start(call, CloneRequest::from_args)
}

/// `$pid = clone3 $coderef, \%clone_args`: the child's process id, or -1 with `$!` (clone3(2)).
pub(crate) fn clone3(call: &Call<'_>) -> Result<Value> {
    start(call, CloneRequest::from_clone_args)
}

fn start(
    call: &Call<'_>,
    read: fn(&Call<'_>) -> core::result::Result<CloneRequest, Error>,
) -> Result<Value> {
    let errno = sys::errno();
    answer(|| {
        let request = read(call)?;
        let child = child::start(call, &request, errno)?;
        // with the old call a descriptor takes the place of the thread id
        let (pidfd, ptid) = match (&request.pidfd, &request.ptid) {
            (None, Some(ptid)) if child.pidfd.is_some() => (Some(ptid), None),
            (pidfd, ptid) => (pidfd.as_ref(), ptid.as_ref()),
        };
        if let Some(ptid) = ptid {
            ptid.set(child.pid)?;
        }
        if let Some(ctid) = request.cleared_in_parent() {
            ctid.set(0)?;
        }
        if let (Some(variable), Some(pidfd)) = (pidfd, child.pidfd) {
            variable.set(pidfd.as_raw_fd())?;
            // the caller's from here on
            let _ = pidfd.into_raw_fd();
        }
        Ok(child.pid)
    })
}

/// `$fd = pidfd_open $pid[, $flags]`: a descriptor, or -1 with `$!` (pidfd_open(2)).
pub(crate) fn pidfd_open(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::pidfd_open(PidfdRequest::from_args(call)?))
}

/// `$retval = pidfd_send_signal $pidfd, $sig[, $flags]`: 0, or -1 with `$!`
/// (pidfd_send_signal(2)).
pub(crate) fn pidfd_send_signal(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        sys::pidfd_send_signal(SignalRequest::from_args(call)?)?;
        Ok(0)
    })
}

/// `($pid, $uid, $code, $status) = waitid $idtype, $id, $options`: an empty list with `$!` where
/// the kernel refused; in scalar context the first, or undef (waitid(2)).
pub(crate) fn waitid(call: &Call<'_>) -> Result<Value> {
    let before = sys::errno();
    match WaitRequest::from_args(call).and_then(|request| sys::waitid(call, request)) {
        Ok(ended) => {
            sys::set_errno(before);
            Ok(match call.wants_list() {
                true => Value::List(vec![
                    ended.pid.into(),
                    ended.uid.into(),
                    ended.code.into(),
                    ended.status.into(),
                ]),
                false => ended.pid.into(),
            })
        }
        Err(Error::Errno(errno)) => {
            sys::set_errno(errno);
            Ok(Value::List(Vec::new()))
        }
        Err(Error::Perl(error)) => Err(error),
    }
}

/// Turns the outcome into what Perl sees: on success the value, with `$!` as it was; -1 and `$!`
/// where the kernel refused; else a croak.
fn answer(work: impl FnOnce() -> core::result::Result<c_int, Error>) -> Result<Value> {
    let before = sys::errno();
    match work() {
        Ok(value) => {
            sys::set_errno(before);
            Ok(value.into())
        }
        Err(Error::Errno(errno)) => {
            sys::set_errno(errno);
            Ok(Value::Int(-1))
        }
        Err(Error::Perl(error)) => Err(error),
    }
}

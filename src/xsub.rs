//! The bodies of the XSUBs.

use std::os::fd::{AsRawFd, IntoRawFd};

use libc::c_int;
use perlxs::{Call, Result, Value};

use crate::args::{self, CloneRequest};
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

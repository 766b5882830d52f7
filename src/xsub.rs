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
    if let Some(flags) = call.plain_int(0) {
        // as perl's `|` makes them, negative with the highest bit; errno is as the kernel left it
        let done = sys::unshare(flags as u64).is_ok();
        return Ok(Value::Int(if done { 0 } else { -1 }));
    }
    call.hold();
    answer(|| {
        sys::unshare(args::unshare_flags(call)?)?;
        Ok(0)
    })
}

/// `$pid = clone $coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`: the child's process id, or
/// -1 with `$!` (clone(2)).
pub(crate) fn clone(call: &Call<'_>) -> Result<Value> {
    let errno = sys::errno();
    answer(|| {
        let request = CloneRequest::from_args(call)?;
        let child = child::start(call, &request, errno)?;
        if let Some(ptid) = &request.ptid {
            match child.pidfd {
                None => ptid.set(child.pid)?,
                Some(pidfd) => {
                    ptid.set(pidfd.as_raw_fd())?;
                    // the caller's from here on
                    let _ = pidfd.into_raw_fd();
                }
            }
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

//! The bodies of the XSUBs.
//!
//! In taint mode those that change something outside of the program refuse tainted arguments, as
//! perl's own functions do; those that only tell something take them.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, IntoRawFd};

use libc::c_int;
use perlxs::{Call, Context, Result, Value};

use crate::args::{
    self, CloneRequest, InterfaceRequest, KcmpRequest, PidfdRequest, PivotRequest, SetnsRequest,
    SignalRequest, WaitRequest,
};
use crate::child;
use crate::error::Error;
use crate::options::SpawnRequest;
use crate::spawn;
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
        let flags = untainted(call, c"Linux::Clone::unshare", args::unshare_flags)?;
        sys::unshare(flags)?;
        Ok(0)
    })
}

/// `$pid = clone $coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`: the child's process id, or
/// -1 with `$!` (clone(2)).
pub(crate) fn clone(call: &Call<'_>) -> Result<Value> {
    start(call, c"Linux::Clone::clone", CloneRequest::from_args)
}

/// `$pid = clone3 $coderef, \%clone_args`: the child's process id, or -1 with `$!` (clone3(2)).
pub(crate) fn clone3(call: &Call<'_>) -> Result<Value> {
    start(call, c"Linux::Clone::clone3", CloneRequest::from_clone_args)
}

fn start(
    call: &Call<'_>,
    function: &CStr,
    read: fn(&Call<'_>) -> core::result::Result<CloneRequest, Error>,
) -> Result<Value> {
    let errno = sys::errno();
    answer(|| {
        let request = untainted(call, function, read)?;
        let child = child::start(call, &request, errno, None)?;
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
        let function = c"Linux::Clone::pidfd_send_signal";
        sys::pidfd_send_signal(untainted(call, function, SignalRequest::from_args)?)?;
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
            Ok(match call.context() == Context::List {
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

/// `$retval = setns $fh_or_fd[, $nstype]`: 0, or -1 with `$!` (setns(2)).
pub(crate) fn setns(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        let request = untainted(call, c"Linux::Clone::setns", SetnsRequest::from_args)?;
        sys::setns(request)?;
        Ok(0)
    })
}

/// `$retval = pivot_root $new_root, $old_root`: 0, or -1 with `$!` (pivot_root(2)).
pub(crate) fn pivot_root(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        let function = c"Linux::Clone::pivot_root";
        sys::pivot_root(&untainted(call, function, PivotRequest::from_args)?)?;
        Ok(0)
    })
}

/// `$order = kcmp $pid1, $pid2, $type[, $idx1, $idx2]`: 0 to 3, or -1 with `$!` (kcmp(2)).
pub(crate) fn kcmp(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::kcmp(&KcmpRequest::from_args(call)?))
}

/// `$retval = siocsifflags $ifname[, $flags]`: 0, or -1 with `$!` (netdevice(7)).
pub(crate) fn siocsifflags(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        let function = c"Linux::Clone::siocsifflags";
        let request = untainted(call, function, InterfaceRequest::from_args)?;
        let InterfaceRequest { name, flags } = request;
        sys::set_interface_flags(&name, flags)?;
        Ok(0)
    })
}

/// `$retval = configure_loopback`: 0, or -1 with `$!`.
pub(crate) fn configure_loopback(_: &Call<'_>) -> Result<Value> {
    answer(|| {
        sys::bring_up_loopback()?;
        Ok(0)
    })
}

/// `$fd = ns_get_userns $fh_or_fd`: a descriptor, or -1 with `$!` (ioctl_nsfs(2), as those below).
pub(crate) fn ns_get_userns(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_userns(args::namespace("ns_get_userns", call)?))
}

/// `$fd = ns_get_parent $fh_or_fd`: a descriptor, or -1 with `$!`.
pub(crate) fn ns_get_parent(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_parent(args::namespace("ns_get_parent", call)?))
}

/// `$nstype = ns_get_nstype $fh_or_fd`: its CLONE_NEW* flag, or -1 with `$!`.
pub(crate) fn ns_get_nstype(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_nstype(args::namespace("ns_get_nstype", call)?))
}

/// `$uid = ns_get_owner_uid $fh_or_fd`: 0 to 4294967295, or -1 with `$!`.
pub(crate) fn ns_get_owner_uid(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_owner_uid(args::namespace("ns_get_owner_uid", call)?))
}

/// `$child = spawn %options`: a Linux::Clone::Child; or undef with `$!` and
/// `$Linux::Clone::error`, and then there is no child.
pub(crate) fn spawn(call: &Call<'_>) -> Result<Value> {
    let before = sys::errno();
    let child = spawn::constructor(call.perl()).and_then(|new| {
        SpawnRequest::from_options(call)
            .and_then(|request| spawn::spawn(call, request, before))
            .and_then(|child| child.into_object(&new))
    });
    match child {
        Ok(child) => {
            sys::set_errno(before);
            Ok(child.into())
        }
        Err(spawn::Error::Refused(refusal)) => {
            let error = call.perl().variable(c"Linux::Clone::error")?;
            error.set(refusal.message)?;
            sys::set_errno(refusal.errno);
            Ok(Value::Undef)
        }
        Err(spawn::Error::Perl(error)) => Err(error),
    }
}

/// `$status = Linux::Clone::Child::_status_of($pidfd)`: what `$?` would be for a child that
/// somebody else has waited for; undef if it cannot be told.
pub(crate) fn status_of(call: &Call<'_>) -> Result<Value> {
    let pidfd = call.arg(0).fileno()?.unwrap_or(-1);
    Ok(sys::status_of(pidfd).map_or(Value::Undef, Value::from))
}

/// `($number, $wrong) = Linux::Clone::Child::_signal($to_end, $signal)`: the number of the signal,
/// if that is true for `kill_on_destroy`, which wants one that there is, else for `kill`; or undef
/// and the message of a croak, which the method throws at its caller's line.
pub(crate) fn signal(call: &Call<'_>) -> Result<Value> {
    const NAME: &str = "$signal";
    let arg = call.arg(1);
    let signal = match call.arg(0).is_true()? {
        true => untainted(call, c"Linux::Clone::Child::kill_on_destroy", |call| {
            args::signal_from(1, call, "Child::kill_on_destroy", NAME, &arg)
        }),
        false => untainted(call, c"Linux::Clone::Child::kill", |call| {
            args::signal(call, "Child::kill", NAME, &arg)
        }),
    };
    match signal {
        Ok(signal) => Ok(signal.into()),
        Err(Error::Perl(perlxs::Error::Croak(wrong))) => {
            Ok(Value::List(vec![Value::Undef, wrong.into()]))
        }
        Err(Error::Perl(error)) => Err(error),
        Err(Error::Errno(_)) => Ok(Value::Undef),
    }
}

/// What `read` makes of the arguments of `function`, if nothing that it has read is tainted.
fn untainted<T>(
    call: &Call<'_>,
    function: &CStr,
    read: impl FnOnce(&Call<'_>) -> core::result::Result<T, Error>,
) -> core::result::Result<T, Error> {
    let request = read(call)?;
    call.perl().taint_proper(function)?;
    Ok(request)
}

/// Turns the outcome into what Perl sees: on success the value, with `$!` as it was; -1 and `$!`
/// where the kernel refused; else a croak.
fn answer<T: Into<i64>>(work: impl FnOnce() -> core::result::Result<T, Error>) -> Result<Value> {
    let before = sys::errno();
    told(before, work().map(Into::into))
}

// one copy for all callers: the library has a size to keep
#[inline(never)]
fn told(before: c_int, outcome: core::result::Result<i64, Error>) -> Result<Value> {
    match outcome {
        Ok(value) => {
            sys::set_errno(before);
            Ok(Value::Int(value))
        }
        Err(Error::Errno(errno)) => {
            sys::set_errno(errno);
            Ok(Value::Int(-1))
        }
        Err(Error::Perl(error)) => Err(error),
    }
}

//! What the objects of Linux::Clone::Child ask for.

use std::ffi::CString;
use std::os::fd::IntoRawFd;
use std::time::Duration;

use libc::{c_int, pid_t};
use perlxs::{Call, Result, Scalar, Value};

use super::{told, untainted};
use crate::error::Error;
use crate::read;
use crate::spawn::killer;
use crate::sys;

perlxs::xsubs! {
    pub(super) static XSUBS in Linux::Clone::Child;

    /// `($number, $wrong) = _signal($method, $signal)`: the number of the signal. Only `kill` takes
    /// one that there is not, and 0.
    fn _signal (call: "method, signal") -> Result<Value> {
        const NAME: &str = "$signal";
        argument(call, |call, method| {
            let arg = call.arg(1);
            let signal = match method {
                "Child::kill" => read::signal(call, method, NAME, &arg),
                _ => read::signal_from(1, call, method, NAME, &arg),
            };
            signal.map(Value::from)
        })
    }

    /// `($seconds, $wrong) = _seconds($method, $seconds)`: a number that is not negative, perhaps
    /// infinite.
    fn _seconds (call: "method, seconds") -> Result<Value> {
        argument(call, |call, method| {
            read::seconds(method, "$seconds", &call.arg(1)).map(Value::from)
        })
    }

    /// `$told = _wait($pidfd, $seconds, $status)`: waits for a child to end, for ever if `$seconds`
    /// is undef. True if there is nothing to wait for, or no longer; then `$status` is what `$?`
    /// would be, or `$!` says why there is none. False when the time is over.
    ///
    /// It assigns `$status` itself: a signal handler that dies between two statements of the caller
    /// would take the status along, which the kernel gives once.
    fn _wait (call: "pidfd, seconds, status") -> Result<Value> {
        let before = sys::errno();
        let ended = pidfd("wait", &call.arg(0)).and_then(|pidfd| {
            let limit = match call.arg(1).is_defined()? {
                true => Some(read::seconds("Child::wait", "$seconds", &call.arg(1))?),
                false => None,
            };
            let ended = sys::wait_for_end(call, pidfd, limit.and_then(read::duration))?;
            if let Some(ended) = &ended {
                call.arg(2).set(ended.wait_status())?;
            }
            Ok(ended.is_some().into())
        });
        told(before, ended, true.into())
    }

    /// `$status = _status_of($pidfd)`: what `$?` would be for a child that somebody else has waited
    /// for; undef if it cannot be told.
    fn _status_of (call: "pidfd") -> Result<Value> {
        let pidfd = call.arg(0).fileno()?.unwrap_or(-1);
        Ok(sys::status_of(pidfd).map_or(Value::Undef, Value::from))
    }

    /// `$sent = _send($pidfd, $pid, $signal, $to_end)`: sends the child a signal; false with `$!`
    /// if it cannot be sent. With `$to_end` a child that is stopped goes on, to hear of it.
    fn _send (call: "pidfd, pid, signal, to_end") -> Result<Value> {
        let before = sys::errno();
        let sent = send_arguments(call).and_then(|(pidfd, pid, signal, to_end)| {
            sys::signal_child(pidfd, pid, signal)?;
            if to_end && signal != libc::SIGKILL {
                let _ = sys::signal_child(pidfd, pid, libc::SIGCONT);
            }
            Ok(1.into())
        });
        told(before, sent, 0.into())
    }

    /// `$fd = _start_killer($pidfd, $seconds)`: the pidfd of a new process that kills the child
    /// after that time; undef with `$!` if there cannot be one.
    fn _start_killer (call: "pidfd, seconds") -> Result<Value> {
        let before = sys::errno();
        let started = pidfd("terminate", &call.arg(0)).and_then(|pidfd| {
            let after = read::seconds("Child::terminate", "$seconds", &call.arg(1))?;
            let decades = Duration::from_secs(i32::MAX as u64);
            call.block_signals(); // the process, too, has no use for any
            let killer = killer::start(pidfd, read::duration(after).unwrap_or(decades))?;
            Ok(killer.into_raw_fd().into())
        });
        told(before, started, Value::Undef)
    }

    /// `$gone = _stop_killer($pidfd, $now)`: waits for such a process if it has ended, or with
    /// `$now` ends it.
    fn _stop_killer (call: "pidfd, now") -> Result<Value> {
        let now = call.arg(1).is_true()?;
        let pidfd = call.arg(0).fileno()?.filter(|&fd| fd >= 0);
        Ok(pidfd.is_none_or(|pidfd| killer::stop(&pidfd, now)).into())
    }
}

/// An argument of a method, whose name is the first one here; or undef and the message of a croak,
/// which the method throws at its caller's line.
fn argument(
    call: &Call<'_>,
    read: impl FnOnce(&Call<'_>, &str) -> core::result::Result<Value, Error>,
) -> Result<Value> {
    // these change something, so that a tainted argument is refused
    const CHANGING: [&str; 3] = ["Child::kill", "Child::kill_on_destroy", "Child::terminate"];
    let method = format!("Child::{}", call.arg(0).text()?.unwrap_or_default());
    let value = match CHANGING.contains(&&method[..]) {
        true => {
            let function = CString::new(format!("Linux::Clone::{method}")).unwrap_or_default();
            untainted(call, &function, |call| read(call, &method))
        }
        false => read(call, &method),
    };
    match value {
        Ok(value) => Ok(value),
        Err(Error::Perl(perlxs::Error::Croak(wrong))) => {
            Ok(Value::List(vec![Value::Undef, wrong.into()]))
        }
        Err(Error::Perl(error)) => Err(error),
        Err(Error::Errno(_)) => Ok(Value::Undef),
    }
}

fn send_arguments(call: &Call<'_>) -> core::result::Result<(c_int, pid_t, c_int, bool), Error> {
    let pidfd = pidfd("kill", &call.arg(0))?;
    let pid = read::number("Child::kill", "pid", &call.arg(1))?;
    let signal = read::number("Child::kill", "signal", &call.arg(2))?;
    Ok((pidfd, pid, signal, call.arg(3).is_true()?))
}

/// That of an object. `method` is for what is no object of ours.
fn pidfd(method: &str, handle: &Scalar) -> core::result::Result<c_int, Error> {
    read::descriptor(&format!("Child::{method}"), "pidfd", handle)
}

//! What Perl calls, one file a family: its rows of the table, its reading of arguments, its bodies.
//!
//! In taint mode those that change something outside of the program refuse tainted arguments, as
//! perl's own functions do; those that only tell something take them.

mod child;
mod clone;
mod interface;
mod namespace;
mod process;
mod spawn;

use std::ffi::CStr;

use libc::c_int;
use perlxs::{Call, Result, Value, Xsub};

use crate::error::Error;
use crate::sys;

/// The rows of all families.
pub(crate) fn xsubs() -> impl Iterator<Item = &'static Xsub> {
    [
        clone::XSUBS,
        namespace::XSUBS,
        process::XSUBS,
        interface::XSUBS,
        spawn::XSUBS,
        child::XSUBS,
    ]
    .into_iter()
    .flatten()
    .copied()
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
    told(
        before,
        work().map(|value| Value::Int(value.into())),
        Value::Int(-1),
    )
}

/// The same with any value, and with `refused` in the place of -1. `before` is the `$!` as it was.
// one copy for all callers: the library has a size to keep
#[inline(never)]
fn told(
    before: c_int,
    outcome: core::result::Result<Value, Error>,
    refused: Value,
) -> Result<Value> {
    match outcome {
        Ok(value) => {
            sys::set_errno(before);
            Ok(value)
        }
        Err(Error::Errno(errno)) => {
            sys::set_errno(errno);
            Ok(refused)
        }
        Err(Error::Perl(error)) => Err(error),
    }
}

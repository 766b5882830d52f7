//! From scalars to numbers, signals, descriptors and names, with the messages for what is none; no
//! system calls.

use std::ffi::CString;
use std::time::Duration;

use libc::c_int;
use perlxs::{Call, Code, Number, Scalar};

use crate::error::Error;
use crate::flags::LAST_SIGNAL;

/// A coderef, by itself or by the name of a sub that is defined.
pub(crate) fn code(function: &str, name: &str, arg: &Scalar) -> Result<Code, Error> {
    arg.code()?.ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be a CODE reference or the name of a defined \
             sub, not {}",
            arg.describe()
        ))
    })
}

/// A name that is none, for a message: of a long one the beginning.
pub(crate) fn quoted(name: &str) -> String {
    match name.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// A string as perl passes it to the system.
pub(crate) fn string(function: &str, name: &str, arg: &Scalar) -> Result<CString, Error> {
    let bytes = arg.file_name()?.ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be a string, not {}",
            arg.describe()
        ))
    })?;
    c_string(function, name, arg, bytes)
}

/// `bytes`, which have been read from `arg`, for the kernel.
pub(crate) fn c_string(
    function: &str,
    name: &str,
    arg: &Scalar,
    bytes: Vec<u8>,
) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} has a NUL: {}",
            arg.describe()
        ))
    })
}

/// A descriptor, by a handle or by its number. Negative numbers are the kernel's: some have a
/// meaning (PIDFD_SELF).
///
/// Returns `Err` with EBADF for a handle without one.
#[inline(never)]
pub(crate) fn descriptor(function: &str, name: &str, arg: &Scalar) -> Result<c_int, Error> {
    let value = arg.copy()?;
    match value.fileno()? {
        Some(fd) if fd < 0 => Err(Error::Errno(libc::EBADF)),
        Some(fd) => Ok(fd),
        None => match value.number()?.integer() {
            Some(fd) => fd.try_into().map_err(|_| out_of_range(function, name, arg)),
            None => Err(Error::usage(format!(
                "Linux::Clone::{function}: {name} must be a handle or the number of a \
                 descriptor, not {}",
                arg.describe()
            ))),
        },
    }
}

/// A signal that there is, from `least` on.
pub(crate) fn signal_from(
    least: c_int,
    call: &Call<'_>,
    function: &str,
    name: &str,
    arg: &Scalar,
) -> Result<c_int, Error> {
    let signal = signal(call, function, name, arg)?;
    match (least..=LAST_SIGNAL as c_int).contains(&signal) {
        true => Ok(signal),
        false => Err(out_of_range(function, name, arg)),
    }
}

/// A signal, by its number or by its name as perl's `kill` takes it.
pub(crate) fn signal(
    call: &Call<'_>,
    function: &str,
    name: &str,
    arg: &Scalar,
) -> Result<c_int, Error> {
    let value = arg.copy()?;
    let number = value.number()?;
    if let Some(number) = number.integer() {
        return number
            .try_into()
            .map_err(|_| out_of_range(function, name, arg));
    }
    let signal_name = match number {
        Number::NotANumber => value.file_name()?,
        _ => None,
    };
    signal_name
        .and_then(|name| call.perl().signal_number(std::str::from_utf8(&name).ok()?))
        .ok_or_else(|| {
            Error::usage(format!(
                "Linux::Clone::{function}: {name} must be the number or the name of a signal, \
                 not {}",
                arg.describe()
            ))
        })
}

/// `$flags`, 0 if it is not given.
pub(crate) fn optional_flags(function: &str, arg: Option<&Scalar>) -> Result<u32, Error> {
    Ok(optional(function, "$flags", arg)?.unwrap_or(0))
}

/// A number, or `None` if it is not given, as a literal undef is not.
pub(crate) fn optional<T: TryFrom<i128>>(
    function: &str,
    name: &str,
    arg: Option<&Scalar>,
) -> Result<Option<T>, Error> {
    arg.filter(|arg| !arg.is_undef_constant())
        .map(|arg| number(function, name, arg))
        .transpose()
}

/// A number, in the range of its type.
// one copy of this and of the like for all callers: the library has a size to keep
#[inline(never)]
pub(crate) fn number<T: TryFrom<i128>>(
    function: &str,
    name: &str,
    arg: &Scalar,
) -> Result<T, Error> {
    integer(function, name, arg, arg.number()?)?
        .try_into()
        .map_err(|_| out_of_range(function, name, arg))
}

/// A number that has no room where it goes.
pub(crate) fn out_of_range(function: &str, name: &str, arg: &Scalar) -> Error {
    Error::usage(format!(
        "Linux::Clone::{function}: {name} is out of range: {}",
        arg.describe()
    ))
}

/// 64 bits; a negative number is what perl's `|` makes of the highest.
#[inline(never)]
pub(crate) fn bits(function: &str, name: &str, arg: &Scalar) -> Result<u64, Error> {
    let bits = integer(function, name, arg, arg.number()?)?;
    u64::try_from(bits)
        .or_else(|_| i64::try_from(bits).map(|negative| negative as u64))
        .map_err(|_| out_of_range(function, name, arg))
}

/// An integer of any size.
pub(crate) fn integer(
    function: &str,
    name: &str,
    arg: &Scalar,
    number: Number,
) -> Result<i128, Error> {
    number.integer().ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be an integer, not {}",
            arg.describe()
        ))
    })
}

/// A number of seconds, fractions too, that is not negative; it may be infinite.
pub(crate) fn seconds(function: &str, name: &str, arg: &Scalar) -> Result<f64, Error> {
    let seconds = match arg.number()? {
        Number::Int(seconds) => seconds as f64,
        Number::Uint(seconds) => seconds as f64,
        Number::Float(seconds) => seconds,
        Number::Undef | Number::NotANumber => f64::NAN,
    };
    match seconds >= 0.0 {
        true => Ok(seconds),
        false => Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} must be a number of seconds, 0 or more, not {}",
            arg.describe()
        ))),
    }
}

/// So many seconds; `None` for more than anybody waits.
pub(crate) fn duration(seconds: f64) -> Option<Duration> {
    // what a time of 32 bits holds
    const DECADES: f64 = 2e9;
    (seconds < DECADES).then(|| Duration::from_secs_f64(seconds))
}

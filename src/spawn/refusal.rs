//! What failed, for `$!` and `$Linux::Clone::error`.

use libc::c_int;

use crate::error;
use crate::sys;

/// Why there is no child.
#[derive(Debug)]
pub(crate) enum Error {
    /// The system refused.
    Refused(Refusal),
    /// What perl code threw meanwhile.
    Perl(perlxs::Error),
}

/// What the system refused, for `$!` and `$Linux::Clone::error`.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: c_int,
    pub(crate) message: String,
}

impl Refusal {
    /// - `what`: the step, with what it was about.
    /// - `hint`: what is missing, if that can be told.
    pub(super) fn new(what: &str, errno: c_int, hint: Option<String>) -> Self {
        let mut message = format!("Linux::Clone::spawn: {what}: {}", sys::strerror(errno));
        if let Some(hint) = hint {
            message += &format!(" ({hint})");
        }
        Refusal { errno, message }
    }
}

impl Error {
    /// This was refused, with this errno.
    pub(crate) fn refused(what: &str, errno: c_int) -> Self {
        Error::Refused(Refusal::new(what, errno, None))
    }

    /// The handle that this option has been given has no descriptor.
    pub(super) fn bad_handle(option: &str, errno: c_int) -> Self {
        let hint = "the handle is closed, or in memory".into();
        Error::Refused(Refusal::new(option, errno, Some(hint)))
    }
}

impl From<error::Error> for Error {
    fn from(error: error::Error) -> Self {
        match error {
            error::Error::Errno(errno) => Error::Refused(Refusal::new("the start", errno, None)),
            error::Error::Perl(error) => Error::Perl(error),
        }
    }
}

impl From<perlxs::Error> for Error {
    fn from(error: perlxs::Error) -> Self {
        Error::Perl(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}

/// The function that messages about bad input name.
pub(super) const FUNCTION: &str = "spawn";

/// Bad input to spawn: a croak.
pub(super) fn wrong(message: impl AsRef<str>) -> error::Error {
    error::Error::usage(format!("Linux::Clone::{FUNCTION}: {}", message.as_ref()))
}

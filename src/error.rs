//! Why a call did not do what it was asked.

use libc::c_int;

/// The two ways to fail; `calls` says how Perl hears of each.
#[derive(Debug)]
pub(crate) enum Error {
    /// The kernel refused: -1, with this in `$!`.
    Errno(c_int),
    /// A croak: bad input, or what perl code threw while it was read.
    Perl(perlxs::Error),
}

impl Error {
    /// Bad input; the message names the argument and what it got.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Error::Perl(perlxs::Error::croak(message))
    }

    /// What the kernel said; EIO where it was not the kernel.
    pub(crate) fn errno(&self) -> c_int {
        match self {
            Error::Errno(errno) => *errno,
            Error::Perl(_) => libc::EIO,
        }
    }
}

impl From<perlxs::Error> for Error {
    fn from(error: perlxs::Error) -> Self {
        Error::Perl(error)
    }
}

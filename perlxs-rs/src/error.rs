//! What can go wrong between perl and Rust.

use crate::Scalar;

/// Why a call did not return a value. An XSUB that returns it throws it into perl, once all
/// Rust values are dropped.
#[derive(Debug)]
pub enum Error {
    /// A message. Perl appends ` at FILE line N.` unless it ends with a newline
    /// (perlapi: `croak_sv`).
    Croak(String),
    /// An exception that perl code has thrown: any scalar.
    Exception(Scalar),
    /// Perl code has called `exit`. perl's stacks are unwound already: until the XSUB has
    /// returned, whatever would run perl code returns this error.
    Exit,
}

/// The result of what may run perl code.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An [`Error::Croak`] with this message.
    pub fn croak(message: impl Into<String>) -> Self {
        Error::Croak(message.into())
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error::Croak(message)
    }
}

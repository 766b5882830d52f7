//! What can go wrong between perl and Rust.

use std::any::Any;
use std::fmt;

use crate::Scalar;

/// Why a call did not return a value. An XSUB that returns it throws it into perl, once all
/// Rust values are dropped.
///
/// ```
/// # use perlxs::*;
/// /// `half($n)`: croaks with text, or with a hash if the number is odd.
/// fn half(call: &Call<'_>) -> Result<Value> {
///     let number = call.arg(0).number()?.integer();
///     let number = number.ok_or_else(|| Error::croak("half needs an integer"))?;
///     if number % 2 != 0 {
///         let error = Hash::of(call.perl(), [("odd", number as i64)]);
///         return Err(Error::Exception(Scalar::new(call.perl(), &error)));
///     }
///     Ok((number as i64 / 2).into())
/// }
///
/// /// `parse($text)`: somebody else's error becomes a message.
/// fn parse(call: &Call<'_>) -> Result<Value> {
///     let text = call.arg(0).text()?.unwrap_or_default();
///     let number: i32 = text.parse().map_err(|e| Error::croak(format!("'{text}': {e}")))?;
///     Ok(number.into())
/// }
///
/// /// `first_line($file)`: the errors of the standard library are messages by themselves.
/// fn first_line(call: &Call<'_>) -> Result<Value> {
///     let file = call.arg(0).text()?.ok_or("first_line needs a file")?;
///     let text = std::fs::read_to_string(file)?;
///     Ok(text.lines().next().unwrap_or_default().trim().parse::<i64>()?.into())
/// }
/// ```
/// ```perl
/// half(42);                       # 21
/// half('x');                      # dies: half needs an integer at
/// eval { half(7) };
/// $@;                             # { odd => 7 }
/// parse('17');                    # 17
/// parse('1x');                    # dies: '1x': invalid digit found in string at
/// first_line(undef);              # dies: first_line needs a file at
/// first_line('/no/such');         # dies: No such file or directory (os error 2) at
/// first_line('/proc/self/limits');        # dies: invalid digit found in string at
/// ```
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
///
/// Example: [`Error`].
pub type Result<T, E = Error> = core::result::Result<T, E>;

impl Error {
    /// An [`Error::Croak`] with this message.
    ///
    /// Example: [`Error`].
    pub fn croak(message: impl Into<String>) -> Self {
        Error::Croak(message.into())
    }
}

impl fmt::Display for Error {
    /// The message, or what perl makes of the exception as a string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Croak(message) => f.write_str(message),
            Error::Exception(exception) => match exception.text() {
                Ok(Some(text)) => f.write_str(&text),
                _ => f.write_str(&exception.describe()),
            },
            Error::Exit => f.write_str("perl is about to exit"),
        }
    }
}

impl std::error::Error for Error {}

/// Somebody's error as ours, with its message; what was ours before stays as it was, in a `Box` of
/// any error too.
pub(crate) fn from_any<E: fmt::Display + 'static>(error: E) -> Error {
    let mut error = Some(error);
    let any: &mut dyn Any = &mut error;
    if let Some(ours) = any.downcast_mut::<Option<Error>>() {
        return ours.take().expect("an error");
    }
    if let Some(boxed) = any.downcast_mut::<Option<Box<dyn std::error::Error>>>() {
        let boxed = boxed.take().expect("an error");
        return boxed.into();
    }
    Error::Croak(error.expect("an error").to_string())
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error::Croak(message)
    }
}

impl From<Box<dyn std::error::Error>> for Error {
    /// The error that [`Error`] became by `?`, or another one's message.
    fn from(error: Box<dyn std::error::Error>) -> Self {
        match error.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::Croak(other.to_string()),
        }
    }
}

macro_rules! error_from {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Error {
            fn from(error: $type) -> Self {
                Error::Croak(error.to_string())
            }
        }
    )*};
}

error_from! {
    &str,
    Box<dyn std::error::Error + Send + Sync>,
    std::char::ParseCharError,
    std::env::VarError,
    std::ffi::NulError,
    std::fmt::Error,
    std::io::Error,
    std::net::AddrParseError,
    std::num::ParseFloatError,
    std::num::ParseIntError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    std::time::SystemTimeError,
}

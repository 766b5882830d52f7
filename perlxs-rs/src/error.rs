//! What can go wrong between perl and Rust.

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
/// ```
/// ```perl
/// half(42);                       # 21
/// half('x');                      # dies: half needs an integer at
/// eval { half(7) };
/// $@;                             # { odd => 7 }
/// parse('17');                    # 17
/// parse('1x');                    # dies: '1x': invalid digit found in string at
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
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An [`Error::Croak`] with this message.
    ///
    /// Example: [`Error`].
    pub fn croak(message: impl Into<String>) -> Self {
        Error::Croak(message.into())
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Error::Croak(message)
    }
}

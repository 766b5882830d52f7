//! Calling perl from Rust.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::iter;

use crate::{Perl, Result, Scalar, Value, ffi};

/// A perl sub that can be called.
///
/// ```
/// # use perlxs::*;
/// /// `apply($code, @values)`: the code is called for each; all that it returns.
/// fn apply(call: &Call<'_>) -> Result<Value> {
///     let sv = call.arg(0);
///     let Some(code) = sv.code()? else {
///         return Err(Error::croak(format!("apply needs code, not {}", sv.describe())));
///     };
///     let mut results = Vec::new();
///     for value in call.args().skip(1) {
///         results.extend(code.call_list(&[value])?);
///     }
///     Ok(Value::list(results))
/// }
///
/// /// `attempt($code)`: what it returns, or what it died of.
/// fn attempt(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("attempt needs code"))?;
///     match code.call(&[Scalar::new(code.perl(), "argument")]) {
///         Ok(value) => Ok(value.into()),
///         Err(Error::Exception(exception)) => Ok(exception.into()),
///         Err(exit) => Err(exit), // perl is on its way out
///     }
/// }
/// ```
/// ```perl
/// apply(sub { ($_[0]) x 2 }, 1, 2);       # 1, 1, 2, 2
/// apply([], 1);                           # dies: apply needs code, not a reference to an ARRAY
/// apply(sub { die "oh\n" }, 1);           # dies: oh
/// attempt(sub { "got @_" });              # 'got argument'
/// attempt(sub { die [7] });               # [7]
/// ```
#[derive(Clone, Debug)]
pub struct Code {
    cv: Scalar,
}

impl Code {
    pub(crate) fn new(cv: Scalar) -> Self {
        Code { cv }
    }

    /// The interpreter that it belongs to.
    ///
    /// Example: [`Code`].
    pub fn perl(&self) -> Perl {
        self.cv.perl()
    }

    pub(crate) fn cv(&self) -> &Scalar {
        &self.cv
    }

    /// Calls the sub in scalar context with `args` and returns a copy of what it returns
    /// (perlapi: `call_sv`).
    ///
    /// Returns `Err` if it dies or exits. It cannot leave by `last`, `next`, `redo` or `goto`:
    /// to perl that is an error, which it may catch or die of.
    ///
    /// Example: [`Code`].
    pub fn call(&self, args: &[Scalar]) -> Result<Scalar> {
        Self::run(&self.cv, 0, args)
    }

    /// As [`call`](Code::call), in list context: copies of all that it returns.
    ///
    /// Example: [`Code`].
    pub fn call_list(&self, args: &[Scalar]) -> Result<Vec<Scalar>> {
        Ok(Self::run(&self.cv, ffi::CALL_LIST, args)?.unpacked())
    }

    /// Calls `code` in the way that [`ffi::CALL_LIST`] and its like say; returns a scalar, or an
    /// array.
    pub(crate) fn run<'a>(
        code: &Scalar,
        how: c_int,
        args: impl IntoIterator<Item = &'a Scalar>,
    ) -> Result<Scalar> {
        let perl = code.perl();
        let args: Vec<_> = args.into_iter().map(Scalar::raw).collect();
        let result = Scalar::stored(perl, |out, error| {
            // SAFETY: live values of this interpreter; `args` and the places outlive the call.
            unsafe {
                let (p, len) = (args.as_ptr(), args.len());
                ffi::perlxs_code_call(perl.raw(), code.raw(), how, p, len, out, error)
            }
        })?;
        Ok(result.expect("a result"))
    }
}

impl Scalar {
    /// The code that this is or names: a CODE reference, an object that overloads `&{}`, a glob
    /// with a sub or a reference to one, the name of a defined sub (perlapi: `sv_2cv`, but for
    /// names, which it does not define). `None` for anything else.
    ///
    /// Returns `Err` if a tie or an overload method dies or exits.
    ///
    /// Example: [`Code`].
    pub fn code(&self) -> Result<Option<Code>> {
        let cv = Self::stored(self.perl(), |out, error| {
            // SAFETY: a live scalar of this interpreter; the places outlive the call.
            unsafe { ffi::perlxs_sv_code(self.perl().raw(), self.raw(), out, error) }
        })?;
        Ok(cv.map(Code::new))
    }

    /// Calls the method `name` of this object, or of the class that this names, in scalar context,
    /// and returns a copy of what it returns (perlapi: `call_method`).
    ///
    /// Returns `Err` as [`Code::call`] does, and if there is no such method.
    ///
    /// ```
    /// # use perlxs::*;
    /// /// `read_line($handle)`: by the handle's own method, whatever its class.
    /// fn read_line(call: &Call<'_>) -> Result<Value> {
    ///     let line = call.arg(0).call_method("getline", &[])?.text()?;
    ///     Ok(line.map(|line| line.trim_end().to_string()).into())
    /// }
    ///
    /// /// `read_all($handle)`
    /// fn read_all(call: &Call<'_>) -> Result<Value> {
    ///     Ok(Value::list(call.arg(0).call_method_list("getlines", &[])?))
    /// }
    ///
    /// /// `make($class, @args)`: a class method.
    /// fn make(call: &Call<'_>) -> Result<Value> {
    ///     let args: Vec<_> = call.args().skip(1).collect();
    ///     Ok(call.arg(0).call_method("new", &args)?.into())
    /// }
    /// ```
    /// ```perl
    /// use IO::Handle ();
    /// open my $in, '<', \"a\nb\nc\n" or die $!;
    /// read_line($in);                 # 'a'
    /// read_all($in);                  # "b\n", "c\n"
    /// ref make('IO::Handle');         # 'IO::Handle'
    /// read_line([]);                  # dies: Can't call method "getline" on unblessed reference
    /// ```
    pub fn call_method(&self, name: &str, args: &[Scalar]) -> Result<Scalar> {
        self.called(name, 0, args)
    }

    /// As [`call_method`](Scalar::call_method), in list context.
    ///
    /// Example: [`Scalar::call_method`].
    pub fn call_method_list(&self, name: &str, args: &[Scalar]) -> Result<Vec<Scalar>> {
        Ok(self.called(name, ffi::CALL_LIST, args)?.unpacked())
    }

    fn called(&self, name: &str, how: c_int, args: &[Scalar]) -> Result<Scalar> {
        let name = Scalar::new(self.perl(), name);
        Code::run(&name, how | ffi::CALL_METHOD, iter::once(self).chain(args))
    }
}

impl From<&Code> for Value {
    /// A reference to the code.
    fn from(code: &Code) -> Self {
        Value::Scalar(code.cv.reference())
    }
}

//! Constants: subs that perl folds at compile time.

use std::ffi::CString;
use std::ptr;

use crate::{Perl, Scalar, Value, ffi};

/// A constant sub of a [`Module`](crate::Module), with the prototype `()`
/// (perlapi: `newCONSTSUB`).
///
/// ```
/// # use perlxs::*;
/// fn module() -> Module {
///     Module::new(c"Numbers", c"1.0", &[]).constants([
///         Constant::new("ANSWER", 42),
///         Constant::of("NOTHING", |_| (-1).into()),
///         Constant::of("NAME", |_| "numbers".into()),
///         Constant::of("PRIMES", |perl| (&Array::of(perl, [2, 3, 5])).into()),
///     ])
/// }
///
/// perlxs::boot!(boot_Numbers, module);
/// ```
/// ```perl
/// XSLoader::load('Numbers', '1.0');
/// Numbers::ANSWER();              # 42
/// Numbers::NOTHING();             # -1
/// Numbers::NAME();                # 'numbers'
/// Numbers::PRIMES();              # [2, 3, 5]
/// prototype 'Numbers::ANSWER';    # ''
/// ```
#[derive(Clone, Debug)]
pub struct Constant {
    name: CString,
    value: u64,
    make: Option<fn(Perl) -> Value>,
}

impl Constant {
    /// `name` without its package; `value` is what the sub returns, never negative.
    ///
    /// # Panics
    /// If the name has a NUL.
    ///
    /// Example: [`Constant`].
    pub fn new(name: impl Into<Vec<u8>>, value: u64) -> Self {
        Constant {
            name: CString::new(name).expect("a name without NUL"),
            value,
            make: None,
        }
    }

    /// One whose value is something else than an unsigned integer: `make` is called when the
    /// module is loaded, once for each interpreter that loads it.
    ///
    /// # Panics
    /// If the name has a NUL.
    ///
    /// Example: [`Constant`].
    pub fn of(name: impl Into<Vec<u8>>, make: fn(Perl) -> Value) -> Self {
        let mut constant = Constant::new(name, 0);
        constant.make = Some(make);
        constant
    }

    /// For the shim, which takes over the reference. The name's pointer is good while this lives.
    pub(crate) fn raw(&self, perl: Perl) -> ffi::Constant {
        let sv = self
            .make
            .map(|make| Scalar::new(perl, make(perl)).into_raw());
        ffi::Constant {
            name: self.name.as_ptr(),
            value: self.value,
            sv: sv.unwrap_or(ptr::null_mut()),
        }
    }
}

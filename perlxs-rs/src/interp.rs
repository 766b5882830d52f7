//! The interpreter handle.

#![allow(unsafe_code)]

use std::ffi::CStr;

use crate::guard::contained;
use crate::{Result, Scalar, ffi};

/// A handle to the perl interpreter that called us.
///
/// It cannot be sent to another thread. What is kept of an interpreter (a [`Scalar`] in a
/// `thread_local!`, say) until perl is done with it cannot be used any more: that panics, and to
/// drop it does nothing. While perl clones an interpreter, both are there on one thread; a value of
/// one is an error where the other's is meant.
///
/// ```
/// # use perlxs::*;
/// /// `stop($message)`: with the place of the call, as Carp has it; it is in `$Log::last` too.
/// fn stop(call: &Call<'_>) -> Result<Value> {
///     let perl = call.perl();
///     perl.load_module("Carp")?;
///     let shortmess = Scalar::new(perl, "Carp::shortmess").code()?;
///     let shortmess = shortmess.ok_or_else(|| Error::croak("no Carp"))?;
///     let text = shortmess.call(&[call.arg(0).clone()])?;
///     perl.variable(c"Log::last")?.set(&text)?;
///     Ok(text.into())
/// }
///
/// /// `is_signal($name)`
/// fn is_signal(call: &Call<'_>) -> Result<Value> {
///     let name = call.arg(0).text()?.unwrap_or_default();
///     Ok(call.perl().signal_number(&name).is_some().into())
/// }
///
/// /// `grows($code)`: how many scalars it leaves behind.
/// fn grows(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("grows needs code"))?;
///     let before = call.perl().sv_count();
///     drop(code.call(&[])?);
///     Ok((call.perl().sv_count() as i64 - before as i64).into())
/// }
///
/// /// `is_level($code)`: whether it leaves perl's stacks as they were.
/// fn is_level(call: &Call<'_>) -> Result<Value> {
///     let code = call.arg(0).code()?.ok_or_else(|| Error::croak("is_level needs code"))?;
///     let before = call.perl().depths();
///     drop(code.call(&[])?);
///     Ok((call.perl().depths() == before).into())
/// }
/// ```
/// ```perl
/// sub caller_of { return stop('too late') }
/// caller_of() =~ /^too late at -e line \d+/;      # 1
/// $Log::last =~ /^too late/;                      # 1
/// is_signal('TERM');                              # 1
/// is_signal('NOSUCH');                            # ''
/// our @kept;
/// grows(sub { push @kept, 1, 2; 1 });             # 2
/// is_level(sub { sort { $a <=> $b } 1, 2 });      # 1
/// ```
#[derive(Clone, Copy)]
pub struct Perl {
    raw: *mut ffi::Interp,
}

impl Perl {
    /// Wraps what stands for an interpreter in the shim.
    pub(crate) fn from_raw(raw: *mut ffi::Interp) -> Self {
        Perl { raw }
    }

    /// For the shim.
    ///
    /// # Panics
    /// If perl is done with the interpreter: its values are no more.
    #[inline]
    pub(crate) fn raw(self) -> *mut ffi::Interp {
        assert!(self.is_alive(), "this interpreter is at its end");
        self.raw
    }

    /// Whether both are the same interpreter.
    pub(crate) fn is(self, other: Perl) -> bool {
        self.raw == other.raw
    }

    #[inline]
    pub(crate) fn is_alive(self) -> bool {
        // SAFETY: the shim never frees it.
        unsafe { !(*self.raw).perl.is_null() }
    }

    /// The package variable of this name, with its package and without `$`. It is made if there
    /// is none (perlapi: `get_sv`).
    ///
    /// Returns `Err` if perl refuses: `$*` and `$#` are no more.
    ///
    /// Example: [`Perl`].
    pub fn variable(self, name: &CStr) -> Result<Scalar> {
        let variable = Scalar::stored(self, |out, error| {
            // SAFETY: a C string; the places outlive the call.
            unsafe { ffi::perlxs_variable(self.raw, name.as_ptr(), out, error) }
        })?;
        Ok(variable.expect("a variable"))
    }

    /// Loads a module by its name, as in `Some::Module`, and imports nothing (perlapi:
    /// `load_module`).
    ///
    /// Returns `Err` if it is not found, or dies or exits while it is loaded.
    ///
    /// Example: [`Perl`].
    pub fn load_module(self, name: &str) -> Result<()> {
        contained(self, |error| {
            // SAFETY: a string with its length.
            unsafe { ffi::perlxs_load_module(self.raw, name.as_ptr().cast(), name.len(), error) }
        })
    }

    /// How many scalars, arrays, hashes and so on perl holds now: for tests that look for leaks
    /// (`PL_sv_count`).
    ///
    /// Example: [`Perl`].
    pub fn sv_count(self) -> usize {
        // SAFETY: this thread's interpreter.
        unsafe { ffi::perlxs_sv_count(self.raw()) }
    }

    /// How much is on perl's stacks now, in a fixed order that means nothing: for tests that look
    /// for what is left on them.
    ///
    /// Example: [`Perl`].
    pub fn depths(self) -> [usize; ffi::STACKS] {
        let mut depths = [0; ffi::STACKS];
        // SAFETY: this thread's interpreter, and room for as many as it has.
        unsafe { ffi::perlxs_depths(self.raw(), depths.as_mut_ptr()) }
        depths
    }
}

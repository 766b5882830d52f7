//! The interpreter handle.

#![allow(unsafe_code)]

use std::ffi::CStr;

use crate::frame::contained;
use crate::{Result, Scalar, ffi};

/// A handle to the perl interpreter that called us.
///
/// It is valid on the thread of that interpreter while the interpreter lives, and cannot be
/// sent to another thread. On a perl built without MULTIPLICITY it carries nothing.
///
/// ```
/// # use perlxs::*;
/// /// `stop($message)`: with the place of the call, as Carp has it; it is in `$Log::last` too.
/// fn stop(call: &Call<'_>) -> Result<Value> {
///     let perl = call.perl();
///     perl.load_module("Carp")?;
///     let shortmess = Scalar::new(perl, "Carp::shortmess").code()?;
///     let shortmess = shortmess.ok_or_else(|| Error::croak("no Carp"))?;
///     let text = shortmess.call(&[call.arg(0)])?;
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
    /// Wraps what perl passed to an XSUB.
    pub(crate) fn from_raw(raw: *mut ffi::Interp) -> Self {
        Perl { raw }
    }

    pub(crate) fn raw(self) -> *mut ffi::Interp {
        self.raw
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

    /// Taint mode (`perlsec`): refuses to go on if anything tainted has been read in this call, for
    /// what acts on files, processes or whatever else is outside of the program.
    ///
    /// Every reading of a scalar counts, and what it led to: an element, what a tie or an overload
    /// method gave. What the caller's expression has read beside the arguments does not.
    ///
    /// - `what`: who refuses, for the message.
    ///
    /// Returns `Err` with `Insecure dependency in WHAT while running with -T switch` (perlapi:
    /// `TAINT_PROPER`). With -t that is a warning; `Err` is what its handler throws. Without them,
    /// and in perls without taint support, it is `Ok`.
    ///
    /// ```
    /// # use perlxs::*;
    /// # use std::ffi::OsStr;
    /// # use std::os::unix::ffi::OsStrExt;
    /// /// `delete_file($path)`
    /// fn delete_file(call: &Call<'_>) -> Result<Value> {
    ///     let path = call.arg(0).file_name()?.unwrap_or_default();
    ///     call.perl().taint_proper(c"delete_file")?;
    ///     Ok(std::fs::remove_file(OsStr::from_bytes(&path)).is_ok().into())
    /// }
    ///
    /// /// `date()`: what the program of this name says.
    /// fn date(call: &Call<'_>) -> Result<Value> {
    ///     call.perl().taint_env()?;
    ///     let output = std::process::Command::new("date").output();
    ///     let output = output.map_err(|e| Error::croak(e.to_string()))?;
    ///     Ok(output.stdout.into())
    /// }
    /// ```
    /// ```perl
    /// #!perl -T
    /// delete_file('/no/such');        # ''
    /// delete_file("$ENV{HOME}/x");    # dies: Insecure dependency in delete_file while running
    /// date();                         # dies: Insecure $ENV{PATH} while running with -T switch
    /// $ENV{PATH} = '/usr/bin:/bin';
    /// delete @ENV{qw(IFS CDPATH ENV BASH_ENV)};
    /// date() =~ /\d\d:\d\d/;          # 1
    /// ```
    pub fn taint_proper(self, what: &CStr) -> Result<()> {
        contained(self, |error| {
            // SAFETY: a C string; `error` outlives the call.
            unsafe { ffi::perlxs_taint_proper(self.raw, what.as_ptr(), error) }
        })
    }

    /// Taint mode: refuses to go on if a program would get an environment that is not to be
    /// trusted: a `$ENV{PATH}` that is tainted, or has a directory that is relative or that
    /// everybody may write; a tainted IFS, CDPATH, ENV or BASH_ENV; a strange TERM.
    ///
    /// Returns `Err` with `Insecure $ENV{PATH} while running with -T switch` or the like (perlapi:
    /// `TAINT_ENV`), otherwise as [`taint_proper`](Perl::taint_proper).
    ///
    /// Example: [`Perl::taint_proper`].
    pub fn taint_env(self) -> Result<()> {
        contained(self, |error| {
            // SAFETY: `error` outlives the call.
            unsafe { ffi::perlxs_taint_env(self.raw, error) }
        })
    }
}

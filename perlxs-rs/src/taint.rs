//! Taint mode.

#![allow(unsafe_code)]

use std::ffi::CStr;

use crate::guard::contained;
use crate::{Perl, Result, ffi};

impl Perl {
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
            unsafe { ffi::perlxs_taint_proper(self.raw(), what.as_ptr(), error) }
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
            unsafe { ffi::perlxs_taint_env(self.raw(), error) }
        })
    }
}

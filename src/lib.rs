//! clone(2) and unshare(2) for Perl: the library that `Linux::Clone` loads.
//!
//! Perl's side of it is lib/Linux/Clone.pm, where the manual starts. This crate knows the
//! system calls; what it says to perl goes through `perlxs`.
//!
//! Above stand those who use what is below: calls, spawn, child, read, sys, flags and error.

mod calls;
mod child;
mod error;
mod flags;
mod read;
mod spawn;
mod sys;

use std::ffi::CStr;

use perlxs::{Module, Xsub};

/// `$Linux::Clone::VERSION`, which build.rs makes from Cargo.toml's.
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("PERL_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("the version has a NUL"),
    };

/// Every name that Perl sees.
fn module() -> Module {
    let xsubs: Vec<&Xsub> = calls::xsubs().collect();
    Module::new(c"Linux::Clone", VERSION, &xsubs).constants(flags::constants())
}

perlxs::boot!(boot_Linux__Clone, module);

//! clone(2) and unshare(2) for Perl: the library that `Linux::Clone` loads.
//!
//! Perl's side of it is lib/Linux/Clone.pm, which has the manual. This crate knows the system
//! calls; what it says to perl goes through `perlxs`.

mod args;
mod child;
mod error;
mod flags;
mod stack;
mod sys;
mod xsub;

use std::ffi::CStr;

use perlxs::{Module, Xsub};

static CLONE: Xsub = Xsub::new(
    c"Linux::Clone::clone",
    c"coderef, stacksize, flags, ptid = undef, tls = undef, ctid = undef",
    3,
    Some(6),
    xsub::clone,
)
.prototype(c"$$$;$$$");

static CLONE3: Xsub = Xsub::new(
    c"Linux::Clone::clone3",
    c"coderef, \\%clone_args",
    2,
    Some(2),
    xsub::clone3,
)
.prototype(c"$$");

// The prototype is a list's, so that `unshare A | B` takes the whole expression.
static UNSHARE: Xsub = Xsub::new(
    c"Linux::Clone::unshare",
    c"flags",
    1,
    Some(1),
    xsub::unshare,
)
.prototype(c"@")
.quick();

/// `$Linux::Clone::VERSION`: Cargo.toml's, without the patch level.
const VERSION: &CStr = match CStr::from_bytes_with_nul(
    concat!(
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR"),
        "\0"
    )
    .as_bytes(),
) {
    Ok(version) => version,
    Err(_) => panic!("the version has a NUL"),
};

/// Every name that Perl sees.
fn module() -> Module {
    Module::new(c"Linux::Clone", VERSION, &[&CLONE, &CLONE3, &UNSHARE])
        .constants(flags::constants())
}

perlxs::boot!(boot_Linux__Clone, module);

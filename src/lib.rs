//! clone(2) and unshare(2) for Perl: the library that `Linux::Clone` loads.
//!
//! Perl's side of it is lib/Linux/Clone.pm, which has the manual. This crate knows the system
//! calls; what it says to perl goes through `perlxs`.

mod args;
mod child;
mod error;
mod flags;
mod hint;
mod options;
mod setup;
mod spawn;
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

static PIDFD_OPEN: Xsub = Xsub::new(
    c"Linux::Clone::pidfd_open",
    c"pid, flags = 0",
    1,
    Some(2),
    xsub::pidfd_open,
)
.prototype(c"$;$");

// The stars: a handle may be a bareword.
static PIDFD_SEND_SIGNAL: Xsub = Xsub::new(
    c"Linux::Clone::pidfd_send_signal",
    c"pidfd, sig, flags = 0",
    2,
    Some(3),
    xsub::pidfd_send_signal,
)
.prototype(c"*$;$");

static WAITID: Xsub = Xsub::new(
    c"Linux::Clone::waitid",
    c"idtype, id, options",
    3,
    Some(3),
    xsub::waitid,
)
.prototype(c"$*$");

static SETNS: Xsub = Xsub::new(
    c"Linux::Clone::setns",
    c"fh_or_fd, nstype = 0",
    1,
    Some(2),
    xsub::setns,
)
.prototype(c"*;$");

static PIVOT_ROOT: Xsub = Xsub::new(
    c"Linux::Clone::pivot_root",
    c"new_root, old_root",
    2,
    Some(2),
    xsub::pivot_root,
)
.prototype(c"$$");

static KCMP: Xsub = Xsub::new(
    c"Linux::Clone::kcmp",
    c"pid1, pid2, type, idx1 = 0, idx2 = 0",
    3,
    Some(5),
    xsub::kcmp,
)
.prototype(c"$$$;$$");

static SIOCSIFFLAGS: Xsub = Xsub::new(
    c"Linux::Clone::siocsifflags",
    c"ifname, flags = undef",
    1,
    Some(2),
    xsub::siocsifflags,
)
.prototype(c"$;$");

static CONFIGURE_LOOPBACK: Xsub = Xsub::new(
    c"Linux::Clone::configure_loopback",
    c"",
    0,
    Some(0),
    xsub::configure_loopback,
)
.prototype(c"");

static NS_GET_USERNS: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_userns",
    c"fh_or_fd",
    1,
    Some(1),
    xsub::ns_get_userns,
)
.prototype(c"*");

static NS_GET_PARENT: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_parent",
    c"fh_or_fd",
    1,
    Some(1),
    xsub::ns_get_parent,
)
.prototype(c"*");

static NS_GET_NSTYPE: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_nstype",
    c"fh_or_fd",
    1,
    Some(1),
    xsub::ns_get_nstype,
)
.prototype(c"*");

static NS_GET_OWNER_UID: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_owner_uid",
    c"fh_or_fd",
    1,
    Some(1),
    xsub::ns_get_owner_uid,
)
.prototype(c"*");
static SPAWN: Xsub = Xsub::new(c"Linux::Clone::spawn", c"%options", 0, None, xsub::spawn);

static STATUS_OF: Xsub = Xsub::new(
    c"Linux::Clone::Child::_status_of",
    c"pidfd",
    1,
    Some(1),
    xsub::status_of,
);

static SIGNAL: Xsub = Xsub::new(
    c"Linux::Clone::Child::_signal",
    c"to_end, signal",
    2,
    Some(2),
    xsub::signal,
);

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
    let xsubs = [
        &CLONE,
        &CLONE3,
        &UNSHARE,
        &PIDFD_OPEN,
        &PIDFD_SEND_SIGNAL,
        &WAITID,
        &SETNS,
        &PIVOT_ROOT,
        &KCMP,
        &SIOCSIFFLAGS,
        &CONFIGURE_LOOPBACK,
        &NS_GET_USERNS,
        &NS_GET_PARENT,
        &NS_GET_NSTYPE,
        &NS_GET_OWNER_UID,
        &SPAWN,
        &STATUS_OF,
        &SIGNAL,
    ];
    Module::new(c"Linux::Clone", VERSION, &xsubs).constants(flags::constants())
}

perlxs::boot!(boot_Linux__Clone, module);

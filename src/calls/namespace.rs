//! unshare(2), setns(2), pivot_root(2), and what can be asked of a namespace (ioctl_nsfs(2)).

use std::ffi::CString;

use libc::c_int;
use perlxs::{Call, Result, Scalar, Value, Xsub};

use super::{answer, untainted};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read::{bits, c_string, descriptor, optional};
use crate::sys;

pub(super) static XSUBS: &[&Xsub] = &[
    &UNSHARE,
    &SETNS,
    &PIVOT_ROOT,
    &NS_GET_USERNS,
    &NS_GET_PARENT,
    &NS_GET_NSTYPE,
    &NS_GET_OWNER_UID,
];

// The prototype is a list's, so that `unshare A | B` takes the whole expression.
static UNSHARE: Xsub =
    Xsub::new(c"Linux::Clone::unshare", c"flags", 1, Some(1), unshare).prototype(c"@");

/// `$retval = unshare $flags`: 0, or -1 with `$!` (unshare(2)). All 64 bits go to the kernel,
/// negative numbers as perl's `|` makes them.
fn unshare(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        let flags = untainted(call, c"Linux::Clone::unshare", |call| {
            bits("unshare", "$flags", &call.arg(0))
        })?;
        leave(call, flags)?;
        Ok(0)
    })
}

/// unshare(2). perl's handles go with the table of descriptors.
fn leave(call: &Call<'_>, flags: u64) -> std::result::Result<(), Error> {
    sys::unshare(flags)?;
    if CloneFlags::from_bits_retain(flags).contains(CloneFlags::FILES) {
        call.perl().has_own_files();
    }
    Ok(())
}

static SETNS: Xsub = Xsub::new(
    c"Linux::Clone::setns",
    c"fh_or_fd, nstype = 0",
    1,
    Some(2),
    setns,
)
.prototype(c"*;$");

/// `$retval = setns $fh_or_fd[, $nstype]`: 0, or -1 with `$!` (setns(2)).
fn setns(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        let (fd, nstype) = untainted(call, c"Linux::Clone::setns", |call| {
            let fd = namespace("setns", call)?;
            let nstype = optional("setns", "$nstype", call.get(1).as_deref())?;
            Ok((fd, nstype.unwrap_or(0)))
        })?;
        sys::setns(fd, nstype)?;
        Ok(0)
    })
}

static PIVOT_ROOT: Xsub = Xsub::new(
    c"Linux::Clone::pivot_root",
    c"new_root, old_root",
    2,
    Some(2),
    pivot_root,
)
.prototype(c"$$");

/// `$retval = pivot_root $new_root, $old_root`: 0, or -1 with `$!` (pivot_root(2)).
fn pivot_root(call: &Call<'_>) -> Result<Value> {
    answer(|| {
        let (new_root, old_root) = untainted(call, c"Linux::Clone::pivot_root", |call| {
            Ok((
                directory("pivot_root", "$new_root", &call.arg(0))?,
                directory("pivot_root", "$old_root", &call.arg(1))?,
            ))
        })?;
        sys::pivot_root(&new_root, &old_root)?;
        Ok(0)
    })
}

static NS_GET_USERNS: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_userns",
    c"fh_or_fd",
    1,
    Some(1),
    ns_get_userns,
)
.prototype(c"*");

/// `$fd = ns_get_userns $fh_or_fd`: a descriptor, or -1 with `$!` (ioctl_nsfs(2), as those below).
fn ns_get_userns(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_userns(namespace("ns_get_userns", call)?))
}

static NS_GET_PARENT: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_parent",
    c"fh_or_fd",
    1,
    Some(1),
    ns_get_parent,
)
.prototype(c"*");

/// `$fd = ns_get_parent $fh_or_fd`: a descriptor, or -1 with `$!`.
fn ns_get_parent(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_parent(namespace("ns_get_parent", call)?))
}

static NS_GET_NSTYPE: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_nstype",
    c"fh_or_fd",
    1,
    Some(1),
    ns_get_nstype,
)
.prototype(c"*");

/// `$nstype = ns_get_nstype $fh_or_fd`: its CLONE_NEW* flag, or -1 with `$!`.
fn ns_get_nstype(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_nstype(namespace("ns_get_nstype", call)?))
}

static NS_GET_OWNER_UID: Xsub = Xsub::new(
    c"Linux::Clone::ns_get_owner_uid",
    c"fh_or_fd",
    1,
    Some(1),
    ns_get_owner_uid,
)
.prototype(c"*");

/// `$uid = ns_get_owner_uid $fh_or_fd`: 0 to 4294967295, or -1 with `$!`.
fn ns_get_owner_uid(call: &Call<'_>) -> Result<Value> {
    answer(|| sys::ns_get_owner_uid(namespace("ns_get_owner_uid", call)?))
}

/// Reads `$fh_or_fd`, the first argument.
fn namespace(function: &str, call: &Call<'_>) -> core::result::Result<c_int, Error> {
    descriptor(function, "$fh_or_fd", &call.arg(0))
}

/// The name of a directory, which the kernel looks up.
fn directory(function: &str, name: &str, arg: &Scalar) -> core::result::Result<CString, Error> {
    let path = arg.file_name()?.ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be the name of a directory, not {}",
            arg.describe()
        ))
    })?;
    c_string(function, name, arg, path)
}

//! unshare(2), setns(2), pivot_root(2), and what can be asked of a namespace (ioctl_nsfs(2)).

use std::ffi::CString;

use libc::c_int;
use perlxs::{Call, Result, Scalar, Value};

use super::{answer, untainted};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read::{bits, c_string, descriptor, optional};
use crate::sys;

perlxs::xsubs! {
    pub(super) static XSUBS in Linux::Clone;

    /// `$retval = unshare $flags`: 0, or -1 with `$!` (unshare(2)). All 64 bits go to the kernel,
    /// negative numbers as perl's `|` makes them. The prototype is a list's, so that
    /// `unshare A | B` takes the whole expression.
    fn unshare :prototype("@") (call: "flags") -> Result<Value> {
        answer(|| {
            let flags = untainted(call, c"Linux::Clone::unshare", |call| {
                bits("unshare", "$flags", &call.arg(0))
            })?;
            leave(call, flags)?;
            Ok(0)
        })
    }

    /// `$retval = setns $fh_or_fd[, $nstype]`: 0, or -1 with `$!` (setns(2)).
    fn setns :prototype("*;$") (call: "fh_or_fd, nstype = 0") -> Result<Value> {
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

    /// `$retval = pivot_root $new_root, $old_root`: 0, or -1 with `$!` (pivot_root(2)).
    fn pivot_root :prototype("$$") (call: "new_root, old_root") -> Result<Value> {
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

    /// `$fd = ns_get_userns $fh_or_fd`: a descriptor, or -1 with `$!` (ioctl_nsfs(2), as those
    /// below).
    fn ns_get_userns :prototype("*") (call: "fh_or_fd") -> Result<Value> {
        answer(|| sys::ns_get_userns(namespace("ns_get_userns", call)?))
    }

    /// `$fd = ns_get_parent $fh_or_fd`: a descriptor, or -1 with `$!`.
    fn ns_get_parent :prototype("*") (call: "fh_or_fd") -> Result<Value> {
        answer(|| sys::ns_get_parent(namespace("ns_get_parent", call)?))
    }

    /// `$nstype = ns_get_nstype $fh_or_fd`: its CLONE_NEW* flag, or -1 with `$!`.
    fn ns_get_nstype :prototype("*") (call: "fh_or_fd") -> Result<Value> {
        answer(|| sys::ns_get_nstype(namespace("ns_get_nstype", call)?))
    }

    /// `$uid = ns_get_owner_uid $fh_or_fd`: 0 to 4294967295, or -1 with `$!`.
    fn ns_get_owner_uid :prototype("*") (call: "fh_or_fd") -> Result<Value> {
        answer(|| sys::ns_get_owner_uid(namespace("ns_get_owner_uid", call)?))
    }
}

/// unshare(2). perl's handles go with the table of descriptors.
fn leave(call: &Call<'_>, flags: u64) -> std::result::Result<(), Error> {
    sys::unshare(flags)?;
    if CloneFlags::from_bits_retain(flags).contains(CloneFlags::FILES) {
        call.perl().has_own_files();
    }
    Ok(())
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

//! What failed, for `$!` and `$Linux::Clone::error`; and what is missing where the kernel says no
//! to several steps for one reason: its errno alone does not tell.

use std::fs;

use libc::c_int;

use crate::error;
use crate::sys;

/// Why there is no child.
#[derive(Debug)]
pub(crate) enum Error {
    /// The system refused.
    Refused(Refusal),
    /// What perl code threw meanwhile.
    Perl(perlxs::Error),
}

/// What the system refused, for `$!` and `$Linux::Clone::error`.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: c_int,
    pub(crate) message: String,
}

impl Refusal {
    /// - `what`: the step, with what it was about.
    /// - `hint`: what is missing, if that can be told.
    pub(super) fn new(what: &str, errno: c_int, hint: Option<String>) -> Self {
        let mut message = format!("Linux::Clone::spawn: {what}: {}", sys::strerror(errno));
        if let Some(hint) = hint {
            message += &format!(" ({hint})");
        }
        Refusal { errno, message }
    }
}

impl Error {
    /// This was refused, with this errno.
    pub(crate) fn refused(what: &str, errno: c_int) -> Self {
        Error::Refused(Refusal::new(what, errno, None))
    }

    /// The handle that this option has been given has no descriptor.
    pub(super) fn bad_handle(option: &str, errno: c_int) -> Self {
        let hint = "the handle is closed, or in memory".into();
        Error::Refused(Refusal::new(option, errno, Some(hint)))
    }
}

impl From<error::Error> for Error {
    fn from(error: error::Error) -> Self {
        match error {
            error::Error::Errno(errno) => Error::Refused(Refusal::new("the start", errno, None)),
            error::Error::Perl(error) => Error::Perl(error),
        }
    }
}

impl From<perlxs::Error> for Error {
    fn from(error: perlxs::Error) -> Self {
        Error::Perl(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}

/// The function that messages about bad input name.
pub(super) const FUNCTION: &str = "spawn";

/// Bad input to spawn: a croak.
pub(super) fn wrong(message: impl AsRef<str>) -> error::Error {
    error::Error::usage(format!("Linux::Clone::{FUNCTION}: {}", message.as_ref()))
}

/// A number in a file of /proc/sys.
fn sysctl(name: &str) -> Option<i64> {
    let text = fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()?;
    text.trim().parse().ok()
}

/// A setting that keeps users from user namespaces, or takes their rights in them.
pub(super) fn user_namespace_setting() -> Option<String> {
    let is_root = sys::has_capability(sys::CAP_SYS_ADMIN);
    [
        ("user.max_user_namespaces", 0, false),
        ("kernel.unprivileged_userns_clone", 0, true),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, true),
    ]
    .into_iter()
    .find(|&(name, value, for_users)| !(for_users && is_root) && sysctl(name) == Some(value))
    .map(|(name, value, _)| format!("the sysctl {name} is {value}"))
}

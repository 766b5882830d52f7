//! `spawn`.

use std::os::fd::{AsRawFd, IntoRawFd};

use perlxs::{Code, Perl, Result, Scalar, Value};

use crate::spawn::{self, Child};
use crate::sys;

perlxs::xsubs! {
    pub(super) static XSUBS in Linux::Clone;

    /// `$child = spawn %options`: a Linux::Clone::Child; or undef with `$!` and
    /// `$Linux::Clone::error`, and then there is no child.
    fn spawn (call: "%options") -> Result<Value> {
        let before = sys::errno();
        let child = constructor(call.perl())
            .and_then(|new| spawn::spawn(call, before).and_then(|child| into_object(child, &new)));
        match child {
            Ok(child) => {
                sys::set_errno(before);
                Ok(child.into())
            }
            Err(spawn::Error::Refused(refusal)) => {
                let error = call.perl().variable(c"Linux::Clone::error")?;
                error.set(refusal.message)?;
                sys::set_errno(refusal.errno);
                Ok(Value::Undef)
            }
            Err(spawn::Error::Perl(error)) => Err(error),
        }
    }
}

/// The constructor of the class in lib/Linux/Clone/Child.pm.
///
/// Returns `Err` if somebody has taken it away.
fn constructor(perl: Perl) -> core::result::Result<Code, spawn::Error> {
    let new = Scalar::new(perl, "Linux::Clone::Child::_new").code()?;
    Ok(new.ok_or_else(|| perlxs::Error::croak("Linux::Clone::Child is not that of Linux::Clone"))?)
}

/// The Perl object for a child.
///
/// Returns `Err` if it cannot be made; then the child is gone.
fn into_object(child: Child, new: &Code) -> core::result::Result<Scalar, spawn::Error> {
    let perl = new.perl();
    let Child { pid, pidfd } = child;
    // true once the handle has it: then perl closes it, whatever comes next
    let taken = Scalar::new(perl, false);
    let object = new.call(&[
        Scalar::new(perl, pid),
        Scalar::new(perl, pidfd.as_raw_fd()),
        taken.clone(),
    ]);
    let errno = sys::errno();
    let pidfd = match matches!(taken.is_true(), Ok(false)) {
        true => Some(pidfd),
        false => {
            let _ = pidfd.into_raw_fd();
            None
        }
    };
    let error = match object {
        Ok(object) if matches!(object.is_defined(), Ok(true)) => return Ok(object),
        Ok(_) => spawn::Error::refused("pidfd", errno),
        Err(error) => spawn::Error::Perl(error),
    };
    match pidfd {
        Some(pidfd) => sys::kill_and_reap(pidfd.as_raw_fd(), pid),
        None => sys::kill_and_reap_by_id(pid),
    }
    Err(error)
}

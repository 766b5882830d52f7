//! What is asked of a new child: the data that `calls` and `spawn` fill in, and
//! what both read alike.

use std::ptr::{self, NonNull};

use libc::pid_t;
use perlxs::{Code, Number, Scalar};

use super::stack::ChildStack;
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::sys::{self, Tls};

/// What `clone` was asked for, checked.
#[derive(Debug)]
pub(crate) struct CloneRequest {
    /// What the child runs.
    pub(crate) code: Code,
    /// In bytes, not yet rounded to pages. More than the address space holds is the kernel's to
    /// refuse.
    pub(crate) stack_size: usize,
    pub(crate) flags: CloneFlags,
    /// Where the caller wants the thread id, or with PIDFD the descriptor.
    pub(crate) ptid: Option<Scalar>,
    /// With SETTLS.
    pub(crate) tls: Option<Tls>,
    /// With CHILD_SETTID or CHILD_CLEARTID.
    pub(crate) ctid: Option<ChildTid>,
    /// For clone3: where it wants the descriptor.
    pub(crate) pidfd: Option<Scalar>,
    pub(crate) system_call: SystemCall,
}

/// Which system call starts the child, with what it alone can say.
#[derive(Debug)]
pub(crate) enum SystemCall {
    /// clone(2): the exit signal is in the flags.
    Clone,
    /// clone3(2).
    Clone3 {
        exit_signal: u64,
        set_tid: Vec<pid_t>,
        cgroup: u64,
    },
}

/// Where CHILD_SETTID and CHILD_CLEARTID store.
#[derive(Debug)]
pub(crate) enum ChildTid {
    /// A variable of the child's: perl code assigns to it.
    Variable(Scalar),
    /// The address of a word: the kernel stores.
    Address(usize),
}

impl SystemCall {
    /// The same for a sibling of the caller, whose exit signal it gets (CLONE_PARENT).
    pub(super) fn for_sibling(&self) -> Self {
        match self {
            SystemCall::Clone => SystemCall::Clone,
            SystemCall::Clone3 {
                set_tid, cgroup, ..
            } => SystemCall::Clone3 {
                exit_signal: 0,
                set_tid: set_tid.clone(),
                cgroup: *cgroup,
            },
        }
    }
}

impl CloneRequest {
    /// The signal that the parent gets when the child ends, or 0.
    pub(super) fn exit_signal(&self) -> u64 {
        match self.system_call {
            SystemCall::Clone => self.flags.exit_signal(),
            SystemCall::Clone3 { exit_signal, .. } => exit_signal,
        }
    }

    /// What perl code assigns in the child for CHILD_SETTID.
    pub(super) fn child_assigns(&self) -> Option<(&Scalar, i64)> {
        match &self.ctid {
            Some(ChildTid::Variable(ctid)) if self.flags.contains(CloneFlags::CHILD_SETTID) => {
                Some((ctid, sys::gettid().into()))
            }
            _ => None,
        }
    }

    /// The variable that CHILD_CLEARTID clears for the parent to see: where memory is shared, the
    /// child has let go of it when clone returns.
    pub(crate) fn cleared_in_parent(&self) -> Option<&Scalar> {
        let flags = CloneFlags::VM | CloneFlags::CHILD_CLEARTID;
        match &self.ctid {
            Some(ChildTid::Variable(ctid)) if self.flags.contains(flags) => Some(ctid),
            _ => None,
        }
    }

    /// The flags for the kernel and the address that they are about: the caller's, or `own` with
    /// `own_flags`, which the caller's variable needs nothing of.
    pub(super) fn child_tid(
        &self,
        own: Option<NonNull<pid_t>>,
        own_flags: CloneFlags,
    ) -> (CloneFlags, *mut pid_t) {
        let rest = self.flags - (CloneFlags::CHILD_SETTID | CloneFlags::CHILD_CLEARTID);
        match (&self.ctid, own) {
            (Some(ChildTid::Address(address)), _) => (self.flags, *address as *mut pid_t),
            (_, Some(own)) => (rest | own_flags, own.as_ptr()),
            (_, None) => (rest, ptr::null_mut()),
        }
    }
}

/// A stack's size in bytes: the default for undef and 0, at least what a child needs.
pub(crate) fn stack_size(function: &str, name: &str, arg: &Scalar) -> Result<usize, Error> {
    let size = match arg.number()? {
        Number::Undef => 0,
        number => read::integer(function, name, arg, number)?,
    };
    if size < 0 {
        return Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} is negative: {size}"
        )));
    }
    Ok(match usize::try_from(size) {
        Ok(0) => ChildStack::DEFAULT,
        Ok(size) => size.max(ChildStack::LEAST),
        Err(_) => usize::MAX,
    })
}

/// `set_tid`: thread ids, from the innermost PID namespace outwards.
pub(crate) fn thread_ids(function: &str, value: &Scalar) -> Result<Vec<pid_t>, Error> {
    let wrong = |what: &Scalar| {
        Error::usage(format!(
            "Linux::Clone::{function}: set_tid must be a reference to an array of thread ids, \
             not {}",
            what.describe()
        ))
    };
    let elements = value.elements()?.ok_or_else(|| wrong(value))?;
    let mut ids = Vec::with_capacity(elements.len());
    for element in elements {
        let id = element.number()?.integer();
        let id = id.and_then(|id| pid_t::try_from(id).ok());
        ids.push(id.ok_or_else(|| wrong(&element))?);
    }
    Ok(ids)
}

/// `cgroup`, a descriptor of its directory. Negative numbers are the kernel's to refuse.
pub(crate) fn control_group(function: &str, arg: &Scalar) -> Result<u64, Error> {
    Ok(i64::from(read::descriptor(function, "cgroup", arg)?) as u64)
}

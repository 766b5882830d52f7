//! From scalars to requests: defaults and range checks, no system calls.

use perlxs::{Call, Code, Number, Scalar};

use crate::error::Error;
use crate::flags::CloneFlags;
use crate::stack::ChildStack;

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
}

impl CloneRequest {
    /// Reads `$coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`. The last two belong to flags
    /// that are refused.
    ///
    /// Returns `Err` if one is not what clone takes, or if reading it dies.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        let code = call.arg(0);
        let code = code.code()?.ok_or_else(|| {
            Error::usage(format!(
                "Linux::Clone::clone: $coderef must be a CODE reference or the name of a defined \
                 sub, not {}",
                code.describe()
            ))
        })?;
        let stack_size = stack_size(&call.arg(1))?;
        let flags = CloneFlags::from_bits_retain(flags("clone", &call.arg(2))?);
        if let Some(refusal) = flags.refusal() {
            return Err(Error::usage(format!("Linux::Clone::clone: {refusal}")));
        }
        // a literal undef stands for an argument that is not given
        let ptid = call.get(3).filter(|ptid| !ptid.is_undef_constant());
        match &ptid {
            Some(ptid) if !ptid.assignable()? => {
                return Err(Error::usage(format!(
                    "Linux::Clone::clone: $ptid cannot be assigned to: it is read-only or a glob \
                     ({})",
                    ptid.describe()
                )));
            }
            None if flags.contains(CloneFlags::PIDFD) => {
                return Err(Error::usage(
                    "Linux::Clone::clone: PIDFD needs $ptid: it receives the descriptor",
                ));
            }
            _ => {}
        }
        Ok(CloneRequest {
            code,
            stack_size,
            flags,
            ptid,
        })
    }
}

/// The flags of unshare: all 64 bits go to the kernel, negative numbers as perl's `|` makes
/// them.
pub(crate) fn unshare_flags(call: &Call<'_>) -> Result<u64, Error> {
    flags("unshare", &call.arg(0))
}

fn flags(function: &str, arg: &Scalar) -> Result<u64, Error> {
    let bits = integer(function, "$flags", arg, arg.number()?)?;
    u64::try_from(bits)
        .or_else(|_| i64::try_from(bits).map(|negative| negative as u64))
        .map_err(|_| {
            Error::usage(format!(
                "Linux::Clone::{function}: $flags is out of range: {}",
                arg.describe()
            ))
        })
}

fn stack_size(arg: &Scalar) -> Result<usize, Error> {
    let size = match arg.number()? {
        Number::Undef => 0,
        number => integer("clone", "$stacksize", arg, number)?,
    };
    if size < 0 {
        return Err(Error::usage(format!(
            "Linux::Clone::clone: $stacksize is negative: {size}"
        )));
    }
    Ok(match usize::try_from(size) {
        Ok(0) => ChildStack::DEFAULT,
        Ok(size) => size.max(ChildStack::LEAST),
        Err(_) => usize::MAX,
    })
}

fn integer(function: &str, name: &str, arg: &Scalar, number: Number) -> Result<i128, Error> {
    number.integer().ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be an integer, not {}",
            arg.describe()
        ))
    })
}

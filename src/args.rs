//! From scalars to requests: defaults and range checks, no system calls.

use perlxs::{Call, Code, Number, Scalar};

use crate::error::Error;
use crate::flags::CloneFlags;
use crate::stack::ChildStack;
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
}

/// Where CHILD_SETTID and CHILD_CLEARTID store.
#[derive(Debug)]
pub(crate) enum ChildTid {
    /// A variable of the child's: perl code assigns to it.
    Variable(Scalar),
    /// The address of a word: the kernel stores.
    Address(usize),
}

/// The largest thread id that Linux gives (PID_MAX_LIMIT): a larger number in `$ctid` is an address.
const LARGEST_TID: i128 = 1 << 22;

impl CloneRequest {
    /// Reads `$coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`. The last two are read only with
    /// the flags that they belong to.
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
        let tls = match flags.contains(CloneFlags::SETTLS) {
            true => Some(tls(call.get(4))?),
            false => None,
        };
        let ctid = match flags.wants_child_tid() {
            Some(flag) => Some(child_tid(flag, call.get(5))?),
            None => None,
        };
        Ok(CloneRequest {
            code,
            stack_size,
            flags,
            ptid,
            tls,
            ctid,
        })
    }
}

impl CloneRequest {
    /// The variable that CHILD_CLEARTID clears for the parent to see: where memory is shared, the
    /// child has let go of it when clone returns.
    pub(crate) fn cleared_in_parent(&self) -> Option<&Scalar> {
        match &self.ctid {
            Some(ChildTid::Variable(ctid))
                if self
                    .flags
                    .contains(CloneFlags::VM | CloneFlags::CHILD_CLEARTID) =>
            {
                Some(ctid)
            }
            _ => None,
        }
    }
}

fn child_tid(flag: &str, arg: Option<Scalar>) -> Result<ChildTid, Error> {
    let Some(ctid) = arg.filter(|ctid| !ctid.is_undef_constant()) else {
        return Err(Error::usage(format!(
            "Linux::Clone::clone: {flag} needs $ctid"
        )));
    };
    match ctid.number()?.integer() {
        Some(address) if address > LARGEST_TID => match usize::try_from(address) {
            Ok(address) if address % align_of::<libc::pid_t>() == 0 && sys::is_mapped(address) => {
                Ok(ChildTid::Address(address))
            }
            _ => Err(Error::usage(format!(
                "Linux::Clone::clone: $ctid is no address of a word in memory: {}",
                ctid.describe()
            ))),
        },
        _ if ctid.assignable()? => Ok(ChildTid::Variable(ctid)),
        _ => Err(Error::usage(format!(
            "Linux::Clone::clone: $ctid is neither a variable nor an address: {}",
            ctid.describe()
        ))),
    }
}

#[cfg(not(target_arch = "x86"))]
fn tls(arg: Option<Scalar>) -> Result<Tls, Error> {
    let Some(tls) = arg.filter(|tls| !tls.is_undef_constant()) else {
        return Err(Error::usage("Linux::Clone::clone: SETTLS needs $tls"));
    };
    match tls.number()?.integer().map(usize::try_from) {
        Some(Ok(address)) if sys::is_mapped(address) => Ok(Tls(address)),
        _ => Err(Error::usage(format!(
            "Linux::Clone::clone: $tls is no address in memory: {}",
            tls.describe()
        ))),
    }
}

/// On i386 `$tls` is the bytes of a `struct user_desc` (set_thread_area(2)).
#[cfg(target_arch = "x86")]
fn tls(arg: Option<Scalar>) -> Result<Tls, Error> {
    let Some(tls) = arg.filter(|tls| !tls.is_undef_constant()) else {
        return Err(Error::usage("Linux::Clone::clone: SETTLS needs $tls"));
    };
    match tls.bytes()?.map(<[u8; 16]>::try_from) {
        Some(Ok(descriptor)) => Ok(Tls(descriptor)),
        _ => Err(Error::usage(format!(
            "Linux::Clone::clone: $tls must be the 16 bytes of a struct user_desc, not {}",
            tls.describe()
        ))),
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

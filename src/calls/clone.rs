//! clone(2) and clone3(2).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, IntoRawFd};

use perlxs::{Call, Result, Scalar, Value};

use super::{answer, untainted};
use crate::child::{
    self, ChildStack, ChildTid, CloneRequest, SystemCall, control_group, stack_size, thread_ids,
};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read::{bits, code, quoted};
use crate::sys::{self, Tls};

perlxs::xsubs! {
    pub(super) static XSUBS in Linux::Clone;

    /// `$pid = clone $coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`: the child's process id,
    /// or -1 with `$!` (clone(2)).
    fn clone :prototype("$$$;$$$")
        (call: "coderef, stacksize, flags, ptid = undef, tls = undef, ctid = undef")
        -> Result<Value>
    {
        start(call, c"Linux::Clone::clone", clone_arguments)
    }

    /// `$pid = clone3 $coderef, \%clone_args`: the child's process id, or -1 with `$!` (clone3(2)).
    fn clone3 :prototype("$$") (call: "coderef, \\%clone_args") -> Result<Value> {
        start(call, c"Linux::Clone::clone3", clone3_arguments)
    }
}

/// Reads `$coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`. The last two are read only with
/// the flags that they belong to.
///
/// Returns `Err` if one is not what clone takes, or if reading it dies.
fn clone_arguments(call: &Call<'_>) -> core::result::Result<CloneRequest, Error> {
    let code = code("clone", "$coderef", &call.arg(0))?;
    let stack_size = stack_size("clone", "$stacksize", &call.arg(1))?;
    let flags = CloneFlags::from_bits_retain(bits("clone", "$flags", &call.arg(2))?);
    if let Some(refusal) = flags.old_refusal() {
        return Err(Error::usage(format!("Linux::Clone::clone: {refusal}")));
    }
    refuse("clone", flags)?;
    // a literal undef stands for an argument that is not given
    let ptid = call.get(3).filter(|ptid| !ptid.is_undef_constant());
    match &ptid {
        Some(ptid) => must_be_assignable("clone", "$ptid", ptid)?,
        None if flags.contains(CloneFlags::PIDFD) => {
            return Err(Error::usage(
                "Linux::Clone::clone: PIDFD needs $ptid: it receives the descriptor",
            ));
        }
        _ => {}
    }
    let tls = match flags.contains(CloneFlags::SETTLS) {
        true => Some(tls("clone", "$tls", call.get(4).as_deref())?),
        false => None,
    };
    let ctid = match flags.wants_child_tid() {
        Some(flag) => {
            let ctid = call.get(5).filter(|ctid| !ctid.is_undef_constant());
            let ctid = ctid.ok_or_else(|| missing("clone", flag, "$ctid"))?;
            Some(match address_tid("clone", "$ctid", &ctid)? {
                Some(address) => address,
                None => variable_tid("clone", "$ctid", &ctid)?,
            })
        }
        None => None,
    };
    Ok(CloneRequest {
        code,
        stack_size,
        flags,
        ptid: ptid.map(|ptid| ptid.clone()),
        tls,
        ctid,
        pidfd: None,
        system_call: SystemCall::Clone,
    })
}

/// Reads `$coderef, \%clone_args`.
///
/// Returns `Err` if a value is not what clone3 takes, if there is a key that it does not know,
/// or if reading one dies.
fn clone3_arguments(call: &Call<'_>) -> core::result::Result<CloneRequest, Error> {
    const FUNCTION: &str = "clone3";
    let code = code(FUNCTION, "$coderef", &call.arg(0))?;
    let Some(entries) = call.arg(1).entries()? else {
        return Err(Error::usage(format!(
            "Linux::Clone::clone3: the second argument must be a reference to a hash, not {}",
            call.arg(1).describe()
        )));
    };
    let mut flags_given = CloneFlags::empty();
    let mut implied = CloneFlags::empty();
    let mut stack_bytes = ChildStack::DEFAULT;
    let (mut pidfd, mut ptid, mut tls_given, mut ctid) = (None, None, None, None);
    let mut exit_signal_given = None;
    let mut set_tid = Vec::new();
    let mut cgroup = 0;
    for (key, value) in entries {
        let value = value.copy()?;
        match key.as_str() {
            "flags" => {
                flags_given = CloneFlags::from_bits_retain(bits(FUNCTION, "flags", &value)?);
            }
            "exit_signal" => exit_signal_given = Some(bits(FUNCTION, "exit_signal", &value)?),
            "stack_size" => stack_bytes = stack_size(FUNCTION, "stack_size", &value)?,
            "pidfd" => {
                pidfd = Some(variable("pidfd", &value)?);
                implied |= CloneFlags::PIDFD;
            }
            "parent_tid" => {
                ptid = Some(variable("parent_tid", &value)?);
                implied |= CloneFlags::PARENT_SETTID;
            }
            "child_tid" => {
                ctid = Some(match value.referent() {
                    Some(variable) => variable_tid(FUNCTION, "child_tid", &variable)?,
                    None => address_tid(FUNCTION, "child_tid", &value)?.ok_or_else(|| {
                        Error::usage(format!(
                            "Linux::Clone::clone3: child_tid must be a reference to a scalar \
                             or an address, not {}",
                            value.describe()
                        ))
                    })?,
                });
            }
            "tls" => {
                tls_given = Some(tls(FUNCTION, "tls", Some(&value))?);
                implied |= CloneFlags::SETTLS;
            }
            "set_tid" => set_tid = thread_ids(FUNCTION, &value)?,
            "cgroup" => {
                cgroup = control_group(FUNCTION, &value)?;
                implied |= CloneFlags::INTO_CGROUP;
            }
            _ => {
                return Err(Error::usage(format!(
                    "Linux::Clone::clone3: there is no {} in struct clone_args",
                    quoted(&key)
                )));
            }
        }
    }
    let mut flags = flags_given | implied;
    if ctid.is_some() && flags.wants_child_tid().is_none() {
        flags |= CloneFlags::CHILD_SETTID;
    }
    refuse(FUNCTION, flags)?;
    if flags.contains(CloneFlags::VM) && !sys::CLONE3_HAS_OWN_STACK {
        return Err(Error::usage(
            "Linux::Clone::clone3: VM needs a stack of the child's own; here only clone gives \
             it",
        ));
    }
    for (flag, name, key) in [
        (CloneFlags::PIDFD, "PIDFD", "pidfd"),
        (CloneFlags::SETTLS, "SETTLS", "tls"),
        (CloneFlags::INTO_CGROUP, "INTO_CGROUP", "cgroup"),
    ] {
        if flags.contains(flag) && !implied.contains(flag) {
            return Err(missing(FUNCTION, name, key));
        }
    }
    if let (Some(flag), None) = (flags.wants_child_tid(), &ctid) {
        return Err(missing(FUNCTION, flag, "child_tid"));
    }
    // the kernel wants none of a thread or of a sibling
    let unsignalled = flags.intersects(CloneFlags::THREAD | CloneFlags::PARENT);
    let exit_signal = exit_signal_given.unwrap_or(match unsignalled {
        true => 0,
        false => libc::SIGCHLD as u64,
    });
    Ok(CloneRequest {
        code,
        stack_size: stack_bytes,
        flags,
        ptid,
        tls: tls_given,
        ctid,
        pidfd,
        system_call: SystemCall::Clone3 {
            exit_signal,
            set_tid,
            cgroup,
        },
    })
}

fn start(
    call: &Call<'_>,
    function: &CStr,
    read: fn(&Call<'_>) -> core::result::Result<CloneRequest, Error>,
) -> Result<Value> {
    let errno = sys::errno();
    answer(|| {
        let request = untainted(call, function, read)?;
        let lent = request.flags.contains(CloneFlags::VM);
        // before the coderef has been called, be it in the child or here
        let copied = || {
            let name = function.to_str().unwrap_or_default();
            let name = name.rsplit(':').next().unwrap_or_default();
            Error::usage(format!(
                "Linux::Clone::{name}: VM|VFORK does not share memory here (valgrind, an \
                 emulator): the child would have a copy; leave both out"
            ))
        };
        if lent && !sys::is_lent() {
            return Err(copied());
        }
        let child = child::start(call, &request, errno, None)?;
        if lent && sys::got_a_copy(child.pid) {
            return Err(copied());
        }
        // with the old call a descriptor takes the place of the thread id
        let (pidfd, ptid) = match (&request.pidfd, &request.ptid) {
            (None, Some(ptid)) if child.pidfd.is_some() => (Some(ptid), None),
            (pidfd, ptid) => (pidfd.as_ref(), ptid.as_ref()),
        };
        if let Some(ptid) = ptid {
            ptid.set(child.pid)?;
        }
        if let Some(ctid) = request.cleared_in_parent() {
            ctid.set(0)?;
        }
        if let (Some(variable), Some(pidfd)) = (pidfd, child.pidfd) {
            variable.set(pidfd.as_raw_fd())?;
            // the caller's from here on
            let _ = pidfd.into_raw_fd();
        }
        Ok(child.pid)
    })
}

/// The largest thread id that Linux gives (PID_MAX_LIMIT): a larger `$ctid` is an address.
const LARGEST_TID: i128 = 1 << 22;

fn refuse(function: &str, flags: CloneFlags) -> core::result::Result<(), Error> {
    match flags.refusal() {
        Some(refusal) => Err(Error::usage(format!("Linux::Clone::{function}: {refusal}"))),
        None => Ok(()),
    }
}

fn must_be_assignable(function: &str, name: &str, sv: &Scalar) -> core::result::Result<(), Error> {
    match sv.assignable()? {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} cannot be assigned to: it is read-only or a glob \
             ({})",
            sv.describe()
        ))),
    }
}

/// A value of clone3's hash that is to be assigned to.
fn variable(key: &str, value: &Scalar) -> core::result::Result<Scalar, Error> {
    let Some(variable) = value.referent() else {
        return Err(Error::usage(format!(
            "Linux::Clone::clone3: {key} must be a reference to a scalar, not {}",
            value.describe()
        )));
    };
    must_be_assignable("clone3", key, &variable)?;
    Ok(variable)
}

/// A variable for the child's thread id.
fn variable_tid(function: &str, name: &str, sv: &Scalar) -> core::result::Result<ChildTid, Error> {
    match sv.assignable()? {
        true => Ok(ChildTid::Variable(sv.clone())),
        false => Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} is neither a variable nor an address: {}",
            sv.describe()
        ))),
    }
}

/// An address for it, or `None` if the number is no address.
fn address_tid(
    function: &str,
    name: &str,
    sv: &Scalar,
) -> core::result::Result<Option<ChildTid>, Error> {
    match sv.number()?.integer() {
        Some(address) if address > LARGEST_TID => match usize::try_from(address) {
            Ok(address) if address % align_of::<libc::pid_t>() == 0 && sys::is_mapped(address) => {
                Ok(Some(ChildTid::Address(address)))
            }
            _ => Err(Error::usage(format!(
                "Linux::Clone::{function}: {name} is no address of a word in memory: {}",
                sv.describe()
            ))),
        },
        _ => Ok(None),
    }
}

/// A flag without the value that it is about.
fn missing(function: &str, flag: &str, name: &str) -> Error {
    Error::usage(format!("Linux::Clone::{function}: {flag} needs {name}"))
}

#[cfg(not(target_arch = "x86"))]
fn tls(function: &str, name: &str, arg: Option<&Scalar>) -> core::result::Result<Tls, Error> {
    let Some(tls) = arg.filter(|tls| !tls.is_undef_constant()) else {
        return Err(missing(function, "SETTLS", name));
    };
    match tls.number()?.integer().map(usize::try_from) {
        Some(Ok(address)) if sys::is_mapped(address) => Ok(Tls(address)),
        _ => Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} is no address in memory: {}",
            tls.describe()
        ))),
    }
}

/// On i386 `$tls` is the bytes of a `struct user_desc` (set_thread_area(2)).
#[cfg(target_arch = "x86")]
fn tls(function: &str, name: &str, arg: Option<&Scalar>) -> core::result::Result<Tls, Error> {
    let Some(tls) = arg.filter(|tls| !tls.is_undef_constant()) else {
        return Err(missing(function, "SETTLS", name));
    };
    let value = tls.copy()?;
    // characters above 255 are no bytes
    match value.bytes().unwrap_or_default().map(<[u8; 16]>::try_from) {
        Some(Ok(descriptor)) => Ok(Tls(descriptor)),
        _ => Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} must be the 16 bytes of a struct user_desc, not {}",
            tls.describe()
        ))),
    }
}

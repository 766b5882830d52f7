//! From scalars to requests: defaults and range checks, no system calls.

use std::ffi::CString;

use libc::{c_int, pid_t};
use perlxs::{Call, Code, Number, Scalar};

use crate::error::Error;
use crate::flags::{CloneFlags, LAST_SIGNAL};
use crate::stack::ChildStack;
use crate::sys::{self, InterfaceName, Tls};

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
        set_tid: Vec<libc::pid_t>,
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

/// The largest thread id that Linux gives (PID_MAX_LIMIT): a larger `$ctid` is an address.
const LARGEST_TID: i128 = 1 << 22;

impl CloneRequest {
    /// Reads `$coderef, $stacksize, $flags[, $ptid, $tls, $ctid]`. The last two are read only with
    /// the flags that they belong to.
    ///
    /// Returns `Err` if one is not what clone takes, or if reading it dies.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
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
            true => Some(tls("clone", "$tls", call.get(4))?),
            false => None,
        };
        let ctid = match flags.wants_child_tid() {
            Some(flag) => {
                let ctid = call.get(5).filter(|ctid| !ctid.is_undef_constant());
                let ctid = ctid.ok_or_else(|| missing("clone", flag, "$ctid"))?;
                Some(match address_tid("clone", "$ctid", &ctid)? {
                    Some(address) => address,
                    None => variable_tid("clone", "$ctid", ctid)?,
                })
            }
            None => None,
        };
        Ok(CloneRequest {
            code,
            stack_size,
            flags,
            ptid,
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
    pub(crate) fn from_clone_args(call: &Call<'_>) -> Result<Self, Error> {
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
                        Some(variable) => variable_tid(FUNCTION, "child_tid", variable)?,
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
                    tls_given = Some(tls(FUNCTION, "tls", Some(value))?);
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
}

pub(crate) fn code(function: &str, name: &str, arg: &Scalar) -> Result<Code, Error> {
    arg.code()?.ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be a CODE reference or the name of a defined \
             sub, not {}",
            arg.describe()
        ))
    })
}

/// A name that is none, for a message: of a long one the beginning.
pub(crate) fn quoted(name: &str) -> String {
    match name.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &name[..end]),
        None => format!("{name:?}"),
    }
}

fn refuse(function: &str, flags: CloneFlags) -> Result<(), Error> {
    match flags.refusal() {
        Some(refusal) => Err(Error::usage(format!("Linux::Clone::{function}: {refusal}"))),
        None => Ok(()),
    }
}

fn must_be_assignable(function: &str, name: &str, sv: &Scalar) -> Result<(), Error> {
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
fn variable(key: &str, value: &Scalar) -> Result<Scalar, Error> {
    let Some(variable) = value.referent() else {
        return Err(Error::usage(format!(
            "Linux::Clone::clone3: {key} must be a reference to a scalar, not {}",
            value.describe()
        )));
    };
    must_be_assignable("clone3", key, &variable)?;
    Ok(variable)
}

pub(crate) fn thread_ids(function: &str, value: &Scalar) -> Result<Vec<libc::pid_t>, Error> {
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
        let id = id.and_then(|id| libc::pid_t::try_from(id).ok());
        ids.push(id.ok_or_else(|| wrong(&element))?);
    }
    Ok(ids)
}

/// A variable for the child's thread id.
fn variable_tid(function: &str, name: &str, sv: Scalar) -> Result<ChildTid, Error> {
    match sv.assignable()? {
        true => Ok(ChildTid::Variable(sv)),
        false => Err(Error::usage(format!(
            "Linux::Clone::{function}: {name} is neither a variable nor an address: {}",
            sv.describe()
        ))),
    }
}

/// An address for it, or `None` if the number is no address.
fn address_tid(function: &str, name: &str, sv: &Scalar) -> Result<Option<ChildTid>, Error> {
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
fn tls(function: &str, name: &str, arg: Option<Scalar>) -> Result<Tls, Error> {
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
fn tls(function: &str, name: &str, arg: Option<Scalar>) -> Result<Tls, Error> {
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

/// The flags of unshare: all 64 bits go to the kernel, negative numbers as perl's `|` makes
/// them.
pub(crate) fn unshare_flags(call: &Call<'_>) -> Result<u64, Error> {
    bits("unshare", "$flags", &call.arg(0))
}

/// What `pidfd_open` was asked for.
#[derive(Debug)]
pub(crate) struct PidfdRequest {
    pub(crate) pid: pid_t,
    pub(crate) flags: u32,
}

impl PidfdRequest {
    /// Reads `$pid[, $flags]`. What is no process or flag is the kernel's to refuse.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        Ok(PidfdRequest {
            pid: number("pidfd_open", "$pid", &call.arg(0))?,
            flags: optional_flags("pidfd_open", call.get(1))?,
        })
    }
}

/// What `pidfd_send_signal` was asked for.
#[derive(Debug)]
pub(crate) struct SignalRequest {
    pub(crate) pidfd: c_int,
    pub(crate) signal: c_int,
    pub(crate) flags: u32,
}

impl SignalRequest {
    /// Reads `$pidfd, $sig[, $flags]`.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        const FUNCTION: &str = "pidfd_send_signal";
        Ok(SignalRequest {
            pidfd: descriptor(FUNCTION, "$pidfd", &call.arg(0))?,
            signal: signal(call, FUNCTION, "$sig", &call.arg(1))?,
            flags: optional_flags(FUNCTION, call.get(2))?,
        })
    }
}

/// What `waitid` was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitRequest {
    pub(crate) idtype: c_int,
    pub(crate) id: c_int,
    pub(crate) options: c_int,
}

impl WaitRequest {
    /// Reads `$idtype, $id, $options`.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        let idtype: c_int = number("waitid", "$idtype", &call.arg(0))?;
        let id = match u32::try_from(idtype) {
            // the kernel ignores it
            Ok(libc::P_ALL) => 0,
            Ok(libc::P_PIDFD) => descriptor("waitid", "$id", &call.arg(1))?,
            _ => number("waitid", "$id", &call.arg(1))?,
        };
        // __WCLONE is the sign bit of the kernel's int
        let options: u32 = number("waitid", "$options", &call.arg(2))?;
        Ok(WaitRequest {
            idtype,
            id,
            options: options as c_int,
        })
    }
}

/// What `setns` was asked for.
#[derive(Debug)]
pub(crate) struct SetnsRequest {
    pub(crate) fd: c_int,
    pub(crate) nstype: u32,
}

impl SetnsRequest {
    /// Reads `$fh_or_fd[, $nstype]`.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        Ok(SetnsRequest {
            fd: namespace("setns", call)?,
            nstype: optional("setns", "$nstype", call.get(1))?.unwrap_or(0),
        })
    }
}

/// Reads `$fh_or_fd`, the first argument.
pub(crate) fn namespace(function: &str, call: &Call<'_>) -> Result<c_int, Error> {
    descriptor(function, "$fh_or_fd", &call.arg(0))
}

/// What `pivot_root` was asked for.
#[derive(Debug)]
pub(crate) struct PivotRequest {
    pub(crate) new_root: CString,
    pub(crate) old_root: CString,
}

impl PivotRequest {
    /// Reads `$new_root, $old_root`.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        Ok(PivotRequest {
            new_root: directory("pivot_root", "$new_root", &call.arg(0))?,
            old_root: directory("pivot_root", "$old_root", &call.arg(1))?,
        })
    }
}

/// The name of a directory, which the kernel looks up.
fn directory(function: &str, name: &str, arg: &Scalar) -> Result<CString, Error> {
    let path = arg.file_name()?.ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be the name of a directory, not {}",
            arg.describe()
        ))
    })?;
    c_string(function, name, arg, path)
}

/// `bytes`, which have been read from `arg`, for the kernel.
pub(crate) fn c_string(
    function: &str,
    name: &str,
    arg: &Scalar,
    bytes: Vec<u8>,
) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} has a NUL: {}",
            arg.describe()
        ))
    })
}

/// What `kcmp` was asked for.
#[derive(Debug)]
pub(crate) struct KcmpRequest {
    pub(crate) pid1: pid_t,
    pub(crate) pid2: pid_t,
    pub(crate) kind: c_int,
    pub(crate) idx1: u64,
    pub(crate) idx2: KcmpIndex,
}

/// The last argument of kcmp.
#[derive(Debug)]
pub(crate) enum KcmpIndex {
    Number(u64),
    /// The bytes of a `struct kcmp_epoll_slot`.
    Slot([u8; 12]),
}

impl KcmpRequest {
    /// Reads `$pid1, $pid2, $type[, $idx1, $idx2]`. What is no process, type or index is the
    /// kernel's to refuse.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        let kind = number("kcmp", "$type", &call.arg(2))?;
        let given = |i| call.get(i).filter(|index| !index.is_undef_constant());
        Ok(KcmpRequest {
            pid1: number("kcmp", "$pid1", &call.arg(0))?,
            pid2: number("kcmp", "$pid2", &call.arg(1))?,
            kind,
            idx1: match given(3) {
                Some(index) => kcmp_index(kind, "$idx1", &index)?,
                None => 0,
            },
            idx2: match given(4) {
                Some(index) if kind == sys::KCMP_EPOLL_TFD => epoll_slot(&index)?,
                Some(index) => KcmpIndex::Number(kcmp_index(kind, "$idx2", &index)?),
                None => KcmpIndex::Number(0),
            },
        })
    }
}

/// A descriptor where kcmp takes one, else a number, which it ignores.
fn kcmp_index(kind: c_int, name: &str, arg: &Scalar) -> Result<u64, Error> {
    match kind {
        // negative numbers are the kernel's to refuse
        sys::KCMP_FILE | sys::KCMP_EPOLL_TFD => {
            Ok(i64::from(descriptor("kcmp", name, arg)?) as u64)
        }
        _ => bits("kcmp", name, arg),
    }
}

/// The bytes of a `struct kcmp_epoll_slot`, or their address. (What `pack` makes of three
/// descriptors does not look like a number: it has NULs.)
fn epoll_slot(arg: &Scalar) -> Result<KcmpIndex, Error> {
    let value = arg.copy()?;
    if let Some(address) = value.number()?.integer() {
        return match usize::try_from(address) {
            Ok(address) => Ok(KcmpIndex::Number(address as u64)),
            Err(_) => Err(out_of_range("kcmp", "$idx2", arg)),
        };
    }
    let slot = match value.file_name()? {
        // characters above 255 are no bytes
        Some(_) => value.bytes().unwrap_or_default(),
        None => None,
    };
    let slot = slot.and_then(|slot| slot.try_into().ok());
    slot.map(KcmpIndex::Slot).ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::kcmp: $idx2 must be the 12 bytes of a struct kcmp_epoll_slot, or their \
             address, not {}",
            arg.describe()
        ))
    })
}

/// What `siocsifflags` was asked for.
#[derive(Debug)]
pub(crate) struct InterfaceRequest {
    pub(crate) name: InterfaceName,
    /// None: up, and otherwise as they are.
    pub(crate) flags: Option<u16>,
}

impl InterfaceRequest {
    /// Reads `$ifname[, $flags]`. What is no interface is the kernel's to refuse.
    pub(crate) fn from_args(call: &Call<'_>) -> Result<Self, Error> {
        const FUNCTION: &str = "siocsifflags";
        let arg = call.arg(0);
        let name = arg.file_name()?;
        let name = name.as_deref().and_then(InterfaceName::new);
        Ok(InterfaceRequest {
            name: name.ok_or_else(|| {
                Error::usage(format!(
                    "Linux::Clone::{FUNCTION}: $ifname must be the name of an interface, 1 to 15 \
                     bytes without a NUL, not {}",
                    arg.describe()
                ))
            })?,
            flags: optional(FUNCTION, "$flags", call.get(1))?,
        })
    }
}

/// A descriptor, by a handle or by its number. Negative numbers are the kernel's: some have a
/// meaning (PIDFD_SELF).
///
/// Returns `Err` with EBADF for a handle without one.
#[inline(never)]
pub(crate) fn descriptor(function: &str, name: &str, arg: &Scalar) -> Result<c_int, Error> {
    let value = arg.copy()?;
    match value.fileno()? {
        Some(fd) if fd < 0 => Err(Error::Errno(libc::EBADF)),
        Some(fd) => Ok(fd),
        None => match value.number()?.integer() {
            Some(fd) => fd.try_into().map_err(|_| out_of_range(function, name, arg)),
            None => Err(Error::usage(format!(
                "Linux::Clone::{function}: {name} must be a handle or the number of a \
                 descriptor, not {}",
                arg.describe()
            ))),
        },
    }
}

/// clone3's `cgroup`. Negative numbers are the kernel's to refuse.
pub(crate) fn control_group(function: &str, arg: &Scalar) -> Result<u64, Error> {
    Ok(i64::from(descriptor(function, "cgroup", arg)?) as u64)
}

/// A signal that there is, from `least` on.
pub(crate) fn signal_from(
    least: c_int,
    call: &Call<'_>,
    function: &str,
    name: &str,
    arg: &Scalar,
) -> Result<c_int, Error> {
    let signal = signal(call, function, name, arg)?;
    match (least..=LAST_SIGNAL as c_int).contains(&signal) {
        true => Ok(signal),
        false => Err(out_of_range(function, name, arg)),
    }
}

/// A signal, by its number or by its name as perl's `kill` takes it.
pub(crate) fn signal(
    call: &Call<'_>,
    function: &str,
    name: &str,
    arg: &Scalar,
) -> Result<c_int, Error> {
    let value = arg.copy()?;
    let number = value.number()?;
    if let Some(number) = number.integer() {
        return number
            .try_into()
            .map_err(|_| out_of_range(function, name, arg));
    }
    let signal_name = match number {
        Number::NotANumber => value.file_name()?,
        _ => None,
    };
    signal_name
        .and_then(|name| call.perl().signal_number(std::str::from_utf8(&name).ok()?))
        .ok_or_else(|| {
            Error::usage(format!(
                "Linux::Clone::{function}: {name} must be the number or the name of a signal, \
                 not {}",
                arg.describe()
            ))
        })
}

fn optional_flags(function: &str, arg: Option<Scalar>) -> Result<u32, Error> {
    Ok(optional(function, "$flags", arg)?.unwrap_or(0))
}

fn optional<T: TryFrom<i128>>(
    function: &str,
    name: &str,
    arg: Option<Scalar>,
) -> Result<Option<T>, Error> {
    arg.filter(|arg| !arg.is_undef_constant())
        .map(|arg| number(function, name, &arg))
        .transpose()
}

// one copy of this and of the like for all callers: the library has a size to keep
#[inline(never)]
pub(crate) fn number<T: TryFrom<i128>>(
    function: &str,
    name: &str,
    arg: &Scalar,
) -> Result<T, Error> {
    integer(function, name, arg, arg.number()?)?
        .try_into()
        .map_err(|_| out_of_range(function, name, arg))
}

fn out_of_range(function: &str, name: &str, arg: &Scalar) -> Error {
    Error::usage(format!(
        "Linux::Clone::{function}: {name} is out of range: {}",
        arg.describe()
    ))
}

/// 64 bits; a negative number is what perl's `|` makes of the highest.
#[inline(never)]
pub(crate) fn bits(function: &str, name: &str, arg: &Scalar) -> Result<u64, Error> {
    let bits = integer(function, name, arg, arg.number()?)?;
    u64::try_from(bits)
        .or_else(|_| i64::try_from(bits).map(|negative| negative as u64))
        .map_err(|_| out_of_range(function, name, arg))
}

pub(crate) fn stack_size(function: &str, name: &str, arg: &Scalar) -> Result<usize, Error> {
    let size = match arg.number()? {
        Number::Undef => 0,
        number => integer(function, name, arg, number)?,
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

pub(crate) fn integer(
    function: &str,
    name: &str,
    arg: &Scalar,
    number: Number,
) -> Result<i128, Error> {
    number.integer().ok_or_else(|| {
        Error::usage(format!(
            "Linux::Clone::{function}: {name} must be an integer, not {}",
            arg.describe()
        ))
    })
}

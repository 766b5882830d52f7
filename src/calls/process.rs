//! Processes and pidfds: pidfd_open(2), pidfd_send_signal(2), waitid(2), kcmp(2).

use libc::c_int;
use perlxs::{Call, Context, Result, Scalar, Value};

use super::{answer, told, untainted};
use crate::error::Error;
use crate::flags::{KCMP_EPOLL_TFD, KCMP_FILE};
use crate::read::{bits, descriptor, number, optional_flags, out_of_range, signal};
use crate::sys;

perlxs::xsubs! {
    pub(super) static XSUBS in Linux::Clone;

    /// `$fd = pidfd_open $pid[, $flags]`: a descriptor, or -1 with `$!` (pidfd_open(2)). What is no
    /// process or flag is the kernel's to refuse.
    fn pidfd_open :prototype("$;$") (call: "pid, flags = 0") -> Result<Value> {
        answer(|| {
            let pid = number("pidfd_open", "$pid", &call.arg(0))?;
            sys::pidfd_open(pid, optional_flags("pidfd_open", call.get(1).as_deref())?)
        })
    }

    // The stars: a handle may be a bareword.
    /// `$retval = pidfd_send_signal $pidfd, $sig[, $flags]`: 0, or -1 with `$!`
    /// (pidfd_send_signal(2)).
    fn pidfd_send_signal :prototype("*$;$") (call: "pidfd, sig, flags = 0") -> Result<Value> {
        const FUNCTION: &str = "pidfd_send_signal";
        answer(|| {
            let name = c"Linux::Clone::pidfd_send_signal";
            let (pidfd, signal, flags) = untainted(call, name, |call| {
                Ok((
                    descriptor(FUNCTION, "$pidfd", &call.arg(0))?,
                    signal(call, FUNCTION, "$sig", &call.arg(1))?,
                    optional_flags(FUNCTION, call.get(2).as_deref())?,
                ))
            })?;
            sys::pidfd_send_signal(pidfd, signal, flags)?;
            Ok(0)
        })
    }

    /// `($pid, $uid, $code, $status) = waitid $idtype, $id, $options`: an empty list with `$!`
    /// where the kernel refused; in scalar context the first, or undef (waitid(2)).
    fn waitid :prototype("$*$") (call: "idtype, id, options") -> Result<Value> {
        let before = sys::errno();
        let ended = waitid_arguments(call)
            .and_then(|(idtype, id, options)| sys::waitid(call, idtype, id, options));
        let ended = ended.map(|ended| match call.context() == Context::List {
            true => Value::List(vec![
                ended.pid.into(),
                ended.uid.into(),
                ended.code.into(),
                ended.status.into(),
            ]),
            false => ended.pid.into(),
        });
        told(before, ended, Value::List(Vec::new()))
    }

    /// `$order = kcmp $pid1, $pid2, $type[, $idx1, $idx2]`: 0 to 3, or -1 with `$!` (kcmp(2)). What
    /// is no process, type or index is the kernel's to refuse.
    fn kcmp :prototype("$$$;$$") (call: "pid1, pid2, type, idx1 = 0, idx2 = 0") -> Result<Value> {
        answer(|| {
            let kind = number("kcmp", "$type", &call.arg(2))?;
            let given = |i| call.get(i).filter(|index| !index.is_undef_constant());
            let pid1 = number("kcmp", "$pid1", &call.arg(0))?;
            let pid2 = number("kcmp", "$pid2", &call.arg(1))?;
            let idx1 = match given(3) {
                Some(index) => kcmp_index(kind, "$idx1", &index)?,
                None => 0,
            };
            let idx2 = match given(4) {
                Some(index) if kind == KCMP_EPOLL_TFD => epoll_slot(&index)?,
                Some(index) => KcmpIndex::Number(kcmp_index(kind, "$idx2", &index)?),
                None => KcmpIndex::Number(0),
            };
            let idx2 = match &idx2 {
                KcmpIndex::Number(number) => *number,
                KcmpIndex::Slot(slot) => slot.as_ptr().addr() as u64,
            };
            sys::kcmp(pid1, pid2, kind, idx1, idx2)
        })
    }
}

fn waitid_arguments(call: &Call<'_>) -> core::result::Result<(c_int, c_int, c_int), Error> {
    let idtype: c_int = number("waitid", "$idtype", &call.arg(0))?;
    let id = match u32::try_from(idtype) {
        // the kernel ignores it
        Ok(libc::P_ALL) => 0,
        Ok(libc::P_PIDFD) => descriptor("waitid", "$id", &call.arg(1))?,
        _ => number("waitid", "$id", &call.arg(1))?,
    };
    // __WCLONE is the sign bit of the kernel's int
    let options: u32 = number("waitid", "$options", &call.arg(2))?;
    Ok((idtype, id, options as c_int))
}

/// The last argument of kcmp.
#[derive(Debug)]
enum KcmpIndex {
    Number(u64),
    /// The bytes of a `struct kcmp_epoll_slot`.
    Slot([u8; 12]),
}

/// A descriptor where kcmp takes one, else a number, which it ignores.
fn kcmp_index(kind: c_int, name: &str, arg: &Scalar) -> core::result::Result<u64, Error> {
    match kind {
        // negative numbers are the kernel's to refuse
        KCMP_FILE | KCMP_EPOLL_TFD => Ok(i64::from(descriptor("kcmp", name, arg)?) as u64),
        _ => bits("kcmp", name, arg),
    }
}

/// The bytes of a `struct kcmp_epoll_slot`, or their address. (What `pack` makes of three
/// descriptors does not look like a number: it has NULs.)
fn epoll_slot(arg: &Scalar) -> core::result::Result<KcmpIndex, Error> {
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

//! `flags`: the namespaces that clone(2) makes, and what else has a meaning for a child that is set
//! up.

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{FUNCTION, Needs, Plan, Step};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::read;
use crate::spawn::caller;
use crate::spawn::refusal::wrong;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct Flags {
    given: CloneFlags,
}

impl Step for Flags {
    fn options(&self) -> &'static [&'static str] {
        &["flags"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.given = value.map(flags).transpose()?.unwrap_or_default();
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        plan.flags |= self.given;
        Ok(())
    }

    fn needs(&self, plan: &Plan) -> Needs {
        // a time namespace is entered by one that has its memory for itself
        match plan.flags.contains(CloneFlags::NEWTIME) || sys::next_child_changes_time_namespace() {
            true => Needs::Memory,
            false => Needs::Nothing,
        }
    }

    fn clone_hint(&self, errno: c_int, plan: &Plan) -> Option<String> {
        const IPC_AND_UNDO: CloneFlags = CloneFlags::NEWIPC.union(CloneFlags::SYSVSEM);
        let hint = match errno {
            libc::EINVAL if plan.flags.contains(IPC_AND_UNDO) => {
                "NEWIPC and SYSVSEM exclude each other"
            }
            libc::EINVAL
                if plan.flags.contains(CloneFlags::NEWPID)
                    && caller::has_left_its_pid_namespace() =>
            {
                "NEWPID: the caller's children get another PID namespace already, by unshare or \
                 setns"
            }
            libc::ENOMEM if caller::has_left_its_pid_namespace() => {
                "the caller's children get another PID namespace, and that takes none once its \
                 process 1 has ended"
            }
            _ => return namespace_hint(errno, plan, plan.flags),
        };
        Some(hint.into())
    }
}

/// Why these namespaces may have been refused.
pub(super) fn namespace_hint(errno: c_int, plan: &Plan, made: CloneFlags) -> Option<String> {
    let new_user = made.contains(CloneFlags::NEWUSER);
    let setting = match new_user {
        true => caller::creation_setting(errno),
        false => None,
    };
    let hint = match errno {
        _ if setting.is_some() => return setting,
        libc::EPERM if new_user => {
            "NEWUSER: is the caller in a chroot, without a user or group id in its own user \
             namespace, or under a filter?"
        }
        libc::EPERM | libc::EACCES if plan.flags.contains(CloneFlags::NEWUSER) => {
            return plan.right_hint(errno, "CAP_SYS_ADMIN in the user namespace");
        }
        libc::EPERM
            if made.intersects(CloneFlags::NAMESPACES)
                && !sys::has_capability(sys::CAP_SYS_ADMIN) =>
        {
            "the namespaces need CAP_SYS_ADMIN, or NEWUSER with them"
        }
        libc::EUSERS if !made.intersects(CloneFlags::NEWUSER | CloneFlags::NEWPID) => return None,
        libc::ENOSPC | libc::EUSERS => {
            "a limit below /proc/sys/user, or namespaces nested too deeply"
        }
        libc::EINVAL => {
            let name = caller::lacks_namespace(made)?;
            return Some(format!("this kernel has no {name} namespaces"));
        }
        _ => return None,
    };
    Some(hint.into())
}

fn flags(value: &Scalar) -> Result<CloneFlags, Error> {
    let given = CloneFlags::from_bits_retain(read::bits(FUNCTION, "flags", value)?);
    let allowed = CloneFlags::NAMESPACES
        | CloneFlags::SYSVSEM
        | CloneFlags::IO
        | CloneFlags::PTRACE
        | CloneFlags::UNTRACED
        | CloneFlags::CLEAR_SIGHAND;
    let refused = given.difference(allowed);
    if refused.is_empty() {
        return Ok(given);
    }
    if refused.bits() & !CloneFlags::CSIGNAL.bits() == 0 {
        return Err(wrong(
            "flags has an exit signal: that is the option exit_signal",
        ));
    }
    let names: Vec<_> = (refused - CloneFlags::CSIGNAL)
        .iter_names()
        .map(|(name, _)| name)
        .collect();
    match &names[..] {
        [] => Err(wrong(format!(
            "flags has unknown bits: {:#x}",
            refused.bits()
        ))),
        names => Err(wrong(format!("flags may not have {}", names.join("|")))),
    }
}

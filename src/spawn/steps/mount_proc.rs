//! `mount_proc`: proc(5) of a new PID namespace on /proc.

use libc::c_int;
use perlxs::{Call, Scalar};

use super::{Plan, Scene, Step, Stop, is_on};
use crate::error::Error;
use crate::flags::CloneFlags;
use crate::sys;

/// Parts of the step: their errors mean different things.
const FIND: u8 = 0;
const MOUNT: u8 = 1;

#[derive(Debug, Default)]
pub(super) struct MountProc {
    on: bool,
}

impl Step for MountProc {
    fn options(&self) -> &'static [&'static str] {
        &["mount_proc"]
    }

    fn read(&mut self, _: &Call<'_>, _: &'static str, value: Option<&Scalar>) -> Result<(), Error> {
        self.on = is_on(value)?;
        Ok(())
    }

    fn plan(&mut self, plan: &mut Plan) -> Result<(), Error> {
        if self.on {
            plan.flags |= CloneFlags::NEWNS | CloneFlags::NEWPID;
        }
        Ok(())
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        match self.on {
            true => mount_proc(scene.plan.root.is_some()),
            false => Ok(()),
        }
    }

    fn name(&self, _: u8) -> &'static str {
        "mount_proc"
    }

    fn hint(&self, part: u8, errno: c_int, plan: &Plan) -> Option<String> {
        let hint = match (errno, &plan.root) {
            (libc::EACCES, _) if part == FIND => return plan.ids_hint(c"/proc", true),
            (libc::EPERM | libc::EACCES, _) => {
                let hides = errno == libc::EPERM && plan.has_user_namespace();
                let hint = "a user namespace gets a new /proc only where one is in sight that \
                            hides nothing";
                return plan.setting().or_else(|| hides.then(|| hint.into()));
            }
            (libc::ENOENT, Some(_)) => "the new root has no directory /proc",
            (libc::ENOENT, None) => "there is no directory /proc",
            (libc::ENOTDIR, Some(_)) => "/proc of the new root is a file or a symbolic link",
            (libc::ENOTDIR, None) => "/proc is a file or a symbolic link",
            (libc::ENOSPC, _) => "more mounts than the sysctl fs.mount-max allows",
            _ => return None,
        };
        Some(hint.into())
    }
}

/// ENOTDIR if /proc is a symbolic link: it could lead elsewhere, and above a new root lies the old.
/// In a new root, which others may write to, it could become one meanwhile: there it is the
/// directory itself that is mounted on. The working directory must be the root, and stays so.
fn mount_proc(in_new_root: bool) -> Result<(), Stop> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let directory = sys::open(c"/proc", flags).map_err(Stop::at(FIND.into()))?;
    let mount_on = |target| {
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        sys::mount(c"proc", target, Some(c"proc"), flags).map_err(Stop::at(MOUNT.into()))
    };
    match in_new_root {
        true => {
            sys::change_directory_to(&directory).map_err(Stop::at(FIND.into()))?;
            mount_on(c".")?;
            Ok(sys::change_directory(c"/")?)
        }
        false => mount_on(c"/proc"),
    }
}

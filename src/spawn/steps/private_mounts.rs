//! What is mounted in a new mount namespace stays there, and what is mounted elsewhere stays away
//! (mount_namespaces(7)): implied by NEWNS.

use libc::c_int;

use super::{Plan, Scene, Step, Stop};
use crate::flags::CloneFlags;
use crate::sys;

#[derive(Debug, Default)]
pub(super) struct PrivateMounts;

impl Step for PrivateMounts {
    fn options(&self) -> &'static [&'static str] {
        &[]
    }

    fn act(&self, scene: &Scene<'_>) -> Result<(), Stop> {
        let Plan { flags, root, .. } = scene.plan;
        // for a root the child makes the namespace
        match flags.contains(CloneFlags::NEWNS) || root.is_some() {
            true => {
                let flags = libc::MS_REC | libc::MS_PRIVATE;
                Ok(sys::mount(c"none", c"/", None, flags)?)
            }
            false => Ok(()),
        }
    }

    fn name(&self, _: u8) -> &'static str {
        "private mounts"
    }

    fn hint(&self, _: u8, errno: c_int, plan: &Plan) -> Option<String> {
        match errno {
            libc::EPERM | libc::EACCES => {
                plan.right_hint(errno, "CAP_SYS_ADMIN in the user namespace")
            }
            libc::EINVAL => Some("is the caller in a chroot?".into()),
            _ => None,
        }
    }
}
